package providertest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

func testMembers(t *testing.T, s *session) {
	ann, bob := userRef(anchor(1)), userRef(anchor(2))
	annID, bobID := s.user(ann.ID, "ann"), s.user(bob.ID, "bob")
	g := s.want(groupRef(anchor(3)), "staff")
	g.Members = []plan.Member{{Ref: ann}, {Ref: bob}}
	s.settled()
	group := s.links[g.Ref].RemoteID
	// Members that are not ours stay.
	guest := s.Admin.AddUser(t, User{Address: s.address("guest")})
	s.Admin.AddMember(t, group, guest)
	g.Members = []plan.Member{{Ref: bob}}
	s.settled()
	want := []string{bobID, guest}
	slices.Sort(want)
	if got := s.Admin.Members(group); !slices.Equal(got, want) {
		t.Errorf("members = %v, want %v", got, want)
	}
	if o := s.object(group); !o.Listed || !slices.Equal(o.Members, want) {
		t.Errorf("members read = %v (listed %v), want %v", o.Members, o.Listed, want)
	}
	// Groups can be members of groups.
	board := s.want(groupRef(anchor(4)), "board")
	board.Members = []plan.Member{{Ref: ann}, {Ref: g.Ref}}
	s.settled()
	if got := s.Admin.Members(s.links[board.Ref].RemoteID); len(got) != 2 {
		t.Errorf("members of the outer group = %v, want two", got)
	}
	board.Members = []plan.Member{{Ref: ann}}
	s.settled()
	// A missing group or a missing member makes an addition fail.
	s.refused(member(plan.AddMember, g.ID, "no-such-group", ann, annID), fault.NotFound)
	s.refused(member(plan.AddMember, g.ID, group, userRef(anchor(9)), ""), fault.NotFound)
	s.must(member(plan.RemoveMember, g.ID, group, ann, annID)) // It is not a member, so the removal succeeds.
}

func testConfirmedMembers(t *testing.T, s *session) {
	ann := userRef(anchor(1))
	g := s.want(groupRef(anchor(2)), "staff")
	s.want(ann, "ann")
	g.Members = []plan.Member{{Ref: ann}}
	s.settled()
	o := s.object(s.links[g.Ref].RemoteID)
	if !o.Listed {
		t.Fatal("a group without confirmed members was not listed")
	}
	if o.Witness == "" {
		return // The provider has no witness and always lists members.
	}
	kept := []string{"from-the-ledger"}
	s.confirmed[g.ID] = plan.Confirmed{Witness: o.Witness, Members: kept, VerifyBy: plan.VerifyBy(s.Now(), g.ID)}
	if o := s.object(o.RemoteID); o.Listed || !slices.Equal(o.Members, kept) {
		t.Errorf("members = %v (listed %v), want the ledger's", o.Members, o.Listed)
	}
	guest := s.Admin.AddUser(t, User{Address: s.address("guest")})
	s.Admin.AddMember(t, o.RemoteID, guest)
	if o := s.object(o.RemoteID); !o.Listed || !slices.Contains(o.Members, guest) {
		t.Errorf("members after the witness changed = %v (listed %v), want them listed", o.Members, o.Listed)
	}
	confirmed := s.confirmed[g.ID]
	confirmed.Witness, confirmed.VerifyBy = s.object(o.RemoteID).Witness, s.Now()
	s.confirmed[g.ID] = confirmed
	if o := s.object(o.RemoteID); !o.Listed {
		t.Error("members were not listed when their verification was due")
	}
}

func (s *session) lookUp(l ...provider.Lookup) plan.State {
	s.t.Helper()
	q := provider.Query{Lookups: l, Known: s.links, Groups: s.confirmed, Now: s.Now()}
	state, err := s.Provider.Read(s.t.Context(), q)
	if err != nil {
		s.t.Fatalf("Read(%+v) = %v", l, err)
	}
	return state
}

func testLookup(t *testing.T, s *session) {
	u, g := userRef(anchor(1)), groupRef(anchor(2))
	user, group := s.user(u.ID, "ann"), s.group(g.ID, "staff")
	s.user(anchor(3), "bob")
	guest := s.Admin.AddUser(t, User{Address: s.address("guest")})
	club := s.Admin.AddGroup(t, s.address("club"))
	userThen, groupThen := []string{user, club}, []string{group, guest} // with the object that has the name
	if s.Unnamed {
		userThen, groupThen = userThen[:1], groupThen[:1]
	}
	for _, tc := range []struct {
		name   string
		lookup provider.Lookup
		want   []string
	}{
		{"user by remote id", provider.Lookup{Ref: u, RemoteID: user}, []string{user}},
		{"user without a ledger", provider.Lookup{Ref: u, Address: s.address("ann")}, []string{user}},
		{"user and the object that has its new name",
			provider.Lookup{Ref: u, RemoteID: user, Address: s.address("guest")}, []string{user, guest}},
		{"user and a group that has its name", provider.Lookup{Ref: u, RemoteID: user, Address: s.address("club")}, userThen},
		{"no object", provider.Lookup{Ref: userRef(anchor(9)), Address: s.address("missing")}, nil},
		{"no object in a foreign domain", provider.Lookup{Ref: userRef(anchor(9)), Address: "x@elsewhere.invalid"}, nil},
		{"group by remote id", provider.Lookup{Ref: g, RemoteID: group}, []string{group}},
		{"group without a ledger", provider.Lookup{Ref: g, Address: s.addressOf(directory.Group, "staff")}, []string{group}},
		{"group and the user that has its name", provider.Lookup{Ref: g, RemoteID: group, Address: s.address("guest")},
			groupThen},
	} {
		var got []string
		for _, o := range s.lookUp(tc.lookup).Objects {
			got = append(got, o.RemoteID)
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s: found %v, want %v", tc.name, got, tc.want)
		}
	}
	s.Admin.Delete(t, directory.User, user)
	if state := s.lookUp(provider.Lookup{Ref: u, RemoteID: user}); len(state.Objects) > 0 || len(state.Unsettled) != 1 {
		t.Errorf("an invisible account that was created moments ago: %+v, want it unsettled", state)
	}
	s.Advance(time.Hour)
	if state := s.lookUp(provider.Lookup{Ref: u, RemoteID: user}); len(state.Objects) > 0 || len(state.Unsettled) > 0 {
		t.Errorf("an account that is gone: %+v, want nothing", state)
	}
}

func testLookupMemberships(t *testing.T, s *session) {
	ann, bob := userRef(anchor(1)), userRef(anchor(2))
	staff, board := s.want(groupRef(anchor(3)), "staff"), s.want(groupRef(anchor(4)), "board")
	s.want(ann, "ann")
	s.want(bob, "bob")
	staff.Members = []plan.Member{{Ref: ann}, {Ref: bob}}
	s.settled()
	user := s.links[ann].RemoteID
	refs := []provider.GroupRef{
		{ID: staff.ID, RemoteID: s.links[staff.Ref].RemoteID},
		{ID: board.ID, RemoteID: s.links[board.Ref].RemoteID},
	}
	state := s.lookUp(provider.Lookup{Ref: ann, RemoteID: user, Groups: refs})
	if o := pick(t, state, refs[0].RemoteID); o.Ref != staff.Ref || !slices.Equal(o.Members, []string{user}) {
		t.Errorf("a group that the user is in = %+v, want the user as its member", o)
	}
	if o := pick(t, state, refs[1].RemoteID); o.Ref != board.Ref || len(o.Members) > 0 {
		t.Errorf("a group that the user is not in = %+v, want no members", o)
	}
	// The planner can work with this state. The user moves from one group to the other, and no other membership
	// changes.
	staff.Members, board.Members = []plan.Member{{Ref: bob}}, []plan.Member{{Ref: ann}, {Ref: bob}}
	in := plan.Input{
		Desired: []plan.Desired{*s.desired[ann], *s.desired[bob], *staff, *board}, State: state, Links: s.links,
		Only:         []directory.Ref{ann},
		Capabilities: s.Provider.Capabilities(), Policy: s.policy, Now: s.Now(),
	}
	p := plan.Compute(in)
	does := func(op plan.Op) bool {
		return slices.ContainsFunc(p.Changes, func(c plan.Change) bool { return c.Op == op })
	}
	if len(p.Changes) != 2 || !does(plan.AddMember) || !does(plan.RemoveMember) {
		t.Errorf("the plan for one user:\n%s\nwant one membership added and one removed", ops(p))
	}
	// Two users of one group are both its members. With the lookup of the group, at either end, it has all of its own.
	in1, in2 := provider.Lookup{Ref: ann, RemoteID: user, Groups: refs},
		provider.Lookup{Ref: bob, RemoteID: s.links[bob].RemoteID, Groups: refs}
	whole, both := provider.Lookup{Ref: staff.Ref, RemoteID: refs[0].RemoteID}, []string{user, in2.RemoteID}
	slices.Sort(both)
	for _, lookups := range [][]provider.Lookup{{in1, in2}, {in1, in2, whole}, {whole, in1}, {in1, whole}} {
		o := pick(t, s.lookUp(lookups...), refs[0].RemoteID)
		if !slices.Equal(o.Members, both) {
			t.Errorf("members of a group by %d lookups = %v, want %v", len(lookups), o.Members, both)
		}
		if slices.ContainsFunc(lookups, func(l provider.Lookup) bool { return l.Ref == staff.Ref }) &&
			(!o.Listed || o.Size != 0 || len(o.Fields) == 0) {
			t.Errorf("a group by its own lookup and that of a member: listed %t, %d members in all, fields %v", o.Listed,
				o.Size, o.Fields)
		}
	}
	// A lookup of a group reads its members.
	state = s.lookUp(provider.Lookup{Ref: staff.Ref, RemoteID: refs[0].RemoteID})
	if o := pick(t, state, refs[0].RemoteID); len(o.Members) != 2 {
		t.Errorf("members of a group that was looked up = %v, want two", o.Members)
	}
}

// Answers is a tenant with good answers, one of which a fuzz input replaces.
type Answers struct {
	// Open returns a new Provider that sends its requests through the transport.
	Open func(http.RoundTripper) (provider.Provider, error)
	// Op names a request, and Good returns the body of its good answer.
	Op   func(*http.Request) string
	Good map[string]string
	// Listings are the requests without which there is no state.
	Listings []string
	// Changes are applied after the read, one by one.
	Changes []plan.Change
	// Query is that of the read. Now is required.
	Query provider.Query
	// Seeds are bodies of answers. $TOKEN stands for the access token in the request, and $SECRET for the password in
	// it.
	Seeds []string
}

// mostRequests is far more than the good answers take.
const mostRequests = 1000

// Fuzz replaces one answer of the tenant by the input. A read fails or has a state that a second Provider reads in the
// same way, and no message has a secret, a control character or an unbounded length.
func (a *Answers) Fuzz(f *testing.F) {
	var ops []string
	for op := range a.Good {
		ops = append(ops, op)
	}
	slices.Sort(ops)
	for i := range ops {
		f.Add(byte(i), uint16(200), "", []byte(a.Good[ops[i]]))
		for _, seed := range a.Seeds {
			f.Add(byte(i), uint16(200), "", []byte(seed))
			f.Add(byte(i), uint16(400), "7", []byte(seed))
		}
		for _, status := range []uint16{204, 307, 401, 403, 404, 409, 412, 429, 503} {
			f.Add(byte(i), status, "Wed, 21 Oct 2315 07:28:00 GMT", []byte(`{}`))
		}
	}
	f.Fuzz(func(t *testing.T, op byte, status uint16, retry string, body []byte) {
		bad := badAnswer{op: ops[int(op)%len(ops)], status: 200 + int(status-200)%400, retry: retry, body: body}
		first, second := a.try(t, bad), a.try(t, bad)
		if first != nil && second != nil && !reflect.DeepEqual(first, second) {
			t.Errorf("two reads of the same answers differ:\n%+v\n%+v", first, second)
		}
		if first != nil && bad.status >= 300 && slices.Contains(a.Listings, bad.op) {
			t.Errorf("Read() succeeds although %s was answered with %d", bad.op, bad.status)
		}
	})
}

// try reads and applies the changes once. It returns nil if the read fails.
func (a *Answers) try(t *testing.T, bad badAnswer) []plan.Object {
	tenant := &answering{Answers: a, bad: bad}
	p, err := a.Open(tenant)
	if err != nil {
		t.Fatal(err)
	}
	q := a.Query
	q.Now = time.Now()
	state, err := p.Read(t.Context(), q)
	tenant.check(t, err)
	for _, o := range state.Objects {
		tenant.checkText(t, o.ReadOnly+o.Unproven+o.Protected)
		if o.RemoteID == "" {
			t.Errorf("%+v has no id", o)
		}
	}
	for i := range a.Changes {
		for _, r := range p.Apply(t.Context(), a.Changes[i:i+1]) {
			tenant.check(t, r.Err)
			tenant.checkText(t, r.Note)
			if r.Err == nil && a.Changes[i].Op == plan.Create && r.RemoteID == "" {
				t.Errorf("%+v was created without an id", a.Changes[i])
			}
		}
	}
	if tenant.requests > mostRequests {
		t.Errorf("%d requests were made", tenant.requests)
	}
	if err != nil {
		return nil
	}
	slices.SortFunc(state.Objects, func(x, y plan.Object) int {
		return cmp.Or(cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.RemoteID, y.RemoteID), cmp.Compare(x.ID, y.ID))
	})
	return state.Objects
}

type badAnswer struct {
	op, retry string
	status    int
	body      []byte
}

// answering answers requests and remembers the secrets in them.
type answering struct {
	*Answers
	bad badAnswer

	mu       sync.Mutex
	requests int
	secrets  []string
}

var sentPassword = regexp.MustCompile(`"password":"([^"]+)"`)

// RoundTrip implements http.RoundTripper.
func (a *answering) RoundTrip(r *http.Request) (*http.Response, error) {
	var sent []byte
	if r.Body != nil {
		sent, _ = io.ReadAll(r.Body)
		_ = r.Body.Close()
	}
	_, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	form, _ := url.ParseQuery(string(sent))
	_, password, _ := r.BasicAuth()
	secret := form.Get("client_secret") + form.Get("assertion") + password
	if m := sentPassword.FindSubmatch(sent); m != nil {
		secret = string(m[1])
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.secrets = append(a.secrets, token, secret)
	if a.requests++; a.requests > 2*mostRequests {
		return nil, fmt.Errorf("%d requests", a.requests)
	}
	op := a.Op(r)
	body, known := a.Good[op]
	res := &http.Response{StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}}
	if !known {
		res.StatusCode, body = http.StatusNotFound, "{}"
	}
	if op == a.bad.op {
		res.StatusCode, body = a.bad.status, string(a.bad.body)
		res.Header.Set("Retry-After", a.bad.retry)
		body = strings.NewReplacer("$TOKEN", token, "$SECRET", secret).Replace(body)
	}
	res.Status = http.StatusText(res.StatusCode)
	res.ContentLength = int64(len(body))
	res.Body = io.NopCloser(bytes.NewReader([]byte(body)))
	return res, nil
}

func (a *answering) check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		a.checkText(t, err.Error())
		a.checkText(t, strings.NewReplacer("\n", " ", "\t", " ").Replace(fmt.Sprintf("%+v", err)))
	}
}

// checkText checks a text that people read.
func (a *answering) checkText(t *testing.T, text string) {
	t.Helper()
	const most = 4000
	if plan.Clean(text) != text || !utf8.ValidString(text) || utf8.RuneCountInString(text) > most {
		t.Errorf("a message of %d bytes is long or not plain: %.500q", len(text), text)
	}
	for _, s := range a.secrets {
		if len(s) > 8 && strings.Contains(text, s) {
			t.Errorf("a message has the secret %s: %.500q", s, text)
		}
	}
}
