package scim_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/scim"
	"rollcall/provider/scim/elimitytest"
)

// company is a small engine on a server that another project wrote.
type company struct {
	t        *testing.T
	cfg      scim.Config
	provider *scim.Provider
	desired  map[directory.Ref]*plan.Desired
	links    map[directory.Ref]plan.Link
	policy   plan.Policy
	// known are the entries that the directory ever had.
	known map[directory.Ref]bool
}

// losing returns the address of a proxy that carries out every n-th write and closes the connection without an answer.
func losing(t *testing.T, target string, n int64) string {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	var writes atomic.Int64
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: to.Scheme, Host: to.Host})
		r.Out.Host = to.Host
	}}
	proxy.ModifyResponse = func(res *http.Response) error {
		if res.Request.Method != http.MethodGet && writes.Add(1)%n == 0 {
			panic(http.ErrAbortHandler)
		}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL + to.Path
}

func newCompany(t *testing.T, endpoint, token string) *company {
	t.Helper()
	c := &company{t: t, desired: map[directory.Ref]*plan.Desired{}, links: map[directory.Ref]plan.Link{},
		known: map[directory.Ref]bool{}}
	c.policy = plan.Policy{UserDeleteAction: plan.ActionSuspend, GroupDeleteAction: plan.ActionDelete}
	c.cfg.ID, c.cfg.Name = 1, "SCIM"
	c.cfg.Endpoint, c.cfg.TokenFile = endpoint, secretFile(t, token)
	c.cfg.UserPropertyMappings = map[string]string{"title": "cn", "enterprise.department": "cn", "phoneNumbers.work": "cn"}
	c.restart()
	return c
}

// restart opens a new Provider, as after a crash.
func (c *company) restart() {
	c.t.Helper()
	p, err := scim.New(c.cfg, scim.Options{Caller: unlimited()})
	if err != nil {
		c.t.Fatal(err)
	}
	c.provider = p
}

func (c *company) user(n int) *plan.Desired {
	ref := userRef(directory.ID(fmt.Sprintf("5f3a1c9e-0000-4000-8000-%012d", n)))
	name := fmt.Sprintf("user%d@example.com", n)
	d := &plan.Desired{Ref: ref, Label: name, Address: name, Active: true, Fields: directory.Attributes{
		{Name: "displayName", Values: []string{fmt.Sprint("User ", n)}},
		{Name: "emails.work", Values: []string{name}},
		{Name: "enterprise.department", Values: []string{"Sales"}},
		{Name: "name.familyName", Values: []string{fmt.Sprint("Müller-", n)}},
		{Name: "phoneNumbers.work", Values: []string{fmt.Sprint("+49 ", n)}},
		{Name: "title", Values: []string{"Engineer"}},
	}}
	c.desired[ref], c.known[ref] = d, true
	return d
}

func (c *company) group(n int, members ...directory.Ref) *plan.Desired {
	ref := groupRef(directory.ID(fmt.Sprintf("5f3a1c9e-1111-4000-8000-%012d", n)))
	d := &plan.Desired{Ref: ref, Label: fmt.Sprint("Group ", n), Active: true,
		Fields: directory.Attributes{{Name: "displayName", Values: []string{fmt.Sprint("Group ", n)}}}}
	for _, m := range members {
		d.Members = append(d.Members, plan.Member{Ref: m})
	}
	c.desired[ref], c.known[ref] = d, true
	return d
}

func (c *company) read() (plan.State, error) {
	return c.provider.Read(c.t.Context(), provider.Query{Known: c.links, Now: time.Now()})
}

func (c *company) state() plan.State {
	c.t.Helper()
	state, err := c.read()
	if err != nil {
		c.t.Fatalf("Read() = %v", err)
	}
	return state
}

// sync plans and applies the first changes of the plan, and returns how many there are in all.
func (c *company) sync(most int) int {
	c.t.Helper()
	changes, errs := c.attempt(most)
	if len(errs) > 0 {
		c.t.Fatal(errs)
	}
	return changes
}

// attempt is sync on a server that may refuse something.
func (c *company) attempt(most int) (changes int, errs []error) {
	c.t.Helper()
	state, err := c.read()
	if err != nil {
		return 0, []error{fmt.Errorf("Read() = %w", err)}
	}
	for i := range state.Objects { // As in the engine, an anchor that names no known entry is another system's.
		if o := &state.Objects[i]; o.Unproven != "" && o.ID != "" && !c.known[o.Ref] {
			o.ID, o.Protected = "", o.Unproven
		}
	}
	in := plan.Input{State: state, Links: c.links, Capabilities: c.provider.Capabilities(), Now: time.Now(),
		Policy: c.policy}
	for _, d := range c.desired {
		d := *d
		d.Members = c.members(d.Members)
		in.Desired = append(in.Desired, d)
	}
	slices.SortFunc(in.Desired, func(a, b plan.Desired) int { return a.Ref.Compare(b.Ref) })
	p := plan.Compute(in)
	made := map[directory.Ref]string{}
	for left := p.Changes[:min(most, len(p.Changes))]; len(left) > 0; {
		n := c.provider.Batch(left)
		batch := left[:n]
		left = left[n:]
		for i := range batch {
			if batch[i].RemoteID == "" {
				batch[i].RemoteID = made[batch[i].Ref]
			}
			if m := batch[i].Member; m != nil && batch[i].MemberRemoteID == "" {
				batch[i].MemberRemoteID = made[*m]
			}
		}
		for i, r := range c.provider.Apply(c.t.Context(), batch) {
			ch := &batch[i]
			if r.Err != nil {
				errs = append(errs, fmt.Errorf("Apply(%s %s) = %w", ch.Op, ch.Ref, r.Err))
			} else if !ch.Op.Membership() {
				made[ch.Ref] = r.RemoteID
				c.learn(ch, &r)
			}
		}
	}
	return len(p.Changes), errs
}

// members returns those that a directory has. Disabled ones are passive.
func (c *company) members(all []plan.Member) (out []plan.Member) {
	for _, m := range all {
		if d := c.desired[m.Ref]; d != nil {
			m.Passive = !d.Active
			out = append(out, m)
		}
	}
	return out
}

// learn records a change in the ledger, as an engine does.
func (c *company) learn(ch *plan.Change, r *provider.Result) {
	link := c.links[ch.Ref]
	link.RemoteID = r.RemoteID
	switch ch.Op {
	case plan.Suspend:
		link.Suspended = !r.Foreign
	case plan.Restore, plan.Create:
		link.Suspended, link.Outlived = false, false
	case plan.Delete:
		if r.Outlived {
			link.Suspended, link.Outlived = !r.Foreign, true
			break
		}
		delete(c.links, ch.Ref)
		return
	default:
	}
	if capabilities := c.provider.Capabilities(); ch.Op != plan.Delete {
		link.Given = capabilities.After(link.Given, ch.Fields)
	}
	c.links[ch.Ref] = link
}

// settle syncs until the plan is empty, which has to be so at once.
func (c *company) settle() (changes int) {
	c.t.Helper()
	changes = c.sync(1 << 30)
	if again := c.sync(0); again > 0 {
		c.t.Errorf("%d changes after %d were applied, want none", again, changes)
	}
	return changes
}

// guest creates a user without an anchor, as an administrator of the server would.
func (c *company) guest(token string) string {
	c.t.Helper()
	body := `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"guest@example.com","active":true}`
	req, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.cfg.Endpoint+"/Users",
		bytes.NewReader([]byte(body)))
	if err != nil {
		c.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/scim+json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		c.t.Fatalf("the guest = %d", res.StatusCode)
	}
	for _, o := range c.state().Objects {
		if o.Address == "guest@example.com" {
			return o.RemoteID
		}
	}
	c.t.Fatal("the guest is not listed")
	return ""
}

// lifeOfACompany provisions users and groups to a server, with lost answers, a crash in the middle and a lost ledger.
// Then people leave, change and move.
func lifeOfACompany(t *testing.T, endpoint, token string, users int) {
	c := newCompany(t, endpoint, token)
	guest := c.guest(token)
	c.cfg.Endpoint = losing(t, endpoint, 50)
	c.restart()
	var refs []directory.Ref
	for n := range users {
		refs = append(refs, c.user(n).Ref)
	}
	half := users / 2
	first, second := c.group(1, refs[:half]...), c.group(2, refs[half:]...)
	c.sync(users) // The worker dies before it has done everything, and the ledger is lost.
	clear(c.links)
	c.restart()
	c.settle()
	if n := len(c.state().Objects); n != users+3 {
		t.Fatalf("%d objects, want %d users, the guest and two groups", n, users)
	}

	for n := range 5 {
		delete(c.desired, refs[n])
	}
	set := func(d *plan.Desired, name, value string) {
		d.Fields = d.Fields.Clone().Set(name, value)
	}
	set(c.desired[refs[5]], "title", "Manager")
	set(c.desired[refs[6]], "phoneNumbers.work", "")
	set(c.desired[refs[7]], "enterprise.department", "")
	c.desired[refs[8]].Address = "renamed@example.com"
	set(c.desired[first.Ref], "displayName", "First half")
	moved := first.Members[10]
	first.Members = append(slices.Clone(first.Members[5:10]), first.Members[11:]...)
	second.Members = append([]plan.Member{moved}, second.Members...)
	slices.SortFunc(second.Members, func(a, b plan.Member) int { return a.Ref.Compare(b.Ref) })
	c.settle()
	c.restart()
	byRef := map[directory.Ref]plan.Object{}
	for _, o := range c.state().Objects {
		byRef[o.Ref] = o
		if o.RemoteID == guest && (!o.Active || o.Anchored()) {
			t.Errorf("the guest = %+v, want it untouched", o)
		}
	}
	for n, ref := range refs[:12] {
		if o := byRef[ref]; o.Active != (n >= 5) {
			t.Errorf("user %d is active: %v", n, o.Active)
		}
	}
	if o := byRef[refs[8]]; o.Address != "renamed@example.com" {
		t.Errorf("the renamed user = %+v", o)
	}
	a, b := byRef[first.Ref], byRef[second.Ref]
	if len(a.Members) != half-6 || len(b.Members) != users-half+1 {
		t.Errorf("%d and %d members, want %d and %d", len(a.Members), len(b.Members), half-6, users-half+1)
	}
}

// TestElimity provisions users to a server of github.com/elimity-com/scim.
func TestElimity(t *testing.T) {
	t.Parallel()
	lifeOfACompany(t, elimitytest.Start(t, nil).URL, "token", 2000)
}

// TestServersByTheLetter provisions users to servers with what the RFCs allow and few servers do.
func TestServersByTheLetter(t *testing.T) {
	t.Parallel()
	for name, l := range map[string]*letter{
		"lower case":                            {},
		"upper case":                            {spell: strings.ToUpper},
		"sparse":                                {sparse: true},
		"put":                                   {put: true},
		"sparse put":                            {put: true, sparse: true, spell: strings.ToUpper},
		"cursors":                               {cursors: true},
		"members in the answer about one group": {alone: true, sparse: true},
		"cursors and members alone":             {cursors: true, alone: true, spell: strings.ToTitle},
		"put and members alone":                 {put: true, alone: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lifeOfACompany(t, l.start(t), "token", 60)
		})
	}
}
