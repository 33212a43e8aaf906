package scim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// as opens a tenant that is simulated as, and configured with, a profile.
func as(name string) setup {
	return func(tenant *simulator.Config, c *scim.Config) {
		profile, err := simulator.Profile(name)
		if err != nil {
			panic(err) // The names are those of the simulator.
		}
		tenant.Behaviours, c.Profile = profile.Behaviours, name
	}
}

func TestEachProfile(t *testing.T) {
	t.Parallel()
	for _, name := range simulator.Profiles() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, users, group := populated(t, as(name))
			w.must(member(plan.RemoveMember, "g", group, "u0", users[0]))
			w.must(change(plan.Suspend, userRef("u1"), users[1]))
			w.must(change(plan.Update, userRef("u2"), users[2], field("emails.work", "third@example.com")))
			w.again()
			state := w.read(provider.Query{})
			for _, o := range state.Objects {
				switch o.RemoteID {
				case group:
					if !o.Listed || !slices.Equal(o.Members, []string{users[1]}) {
						t.Errorf("members = %v (listed %v), want %s", o.Members, o.Listed, users[1])
					}
				case users[1]:
					if o.Active {
						t.Error("the suspended user is active")
					}
				}
			}
			lookup := provider.Lookup{Ref: userRef("u1"), Address: "user1@example.com",
				Groups: []provider.GroupRef{{ID: "g", RemoteID: group}}}
			single := w.read(provider.Query{Lookups: []provider.Lookup{lookup}})
			if len(single.Objects) != 2 || single.Objects[0].RemoteID != users[1] ||
				!slices.Equal(single.Objects[1].Members, []string{users[1]}) {
				t.Errorf("a look-up = %+v, want the user and its group", single.Objects)
			}
			w.must(change(plan.Delete, groupRef("g"), group))
		})
	}
}

// TestCallsOfAQuietRun counts the calls for 500 users and 200 groups that did not change.
func TestCallsOfAQuietRun(t *testing.T) {
	t.Parallel()
	for name, most := range map[string]int{"generic": 7 + 5, "aws": 510} {
		w := open(t, as(name))
		var users []string
		for i := range 500 {
			id, err := w.tenant.AddUser(map[string]any{"userName": fmt.Sprintf("user%d@example.com", i),
				"externalId": fmt.Sprint("u", i)})
			if err != nil {
				t.Fatal(err)
			}
			users = append(users, id)
		}
		for i := range 200 {
			id, err := w.tenant.AddGroup(map[string]any{"displayName": fmt.Sprint("Group ", i),
				"externalId": fmt.Sprint("g", i)})
			if err != nil {
				t.Fatal(err)
			}
			for k := range 5 {
				adminOf{w.tenant}.AddMember(t, id, users[(i*5+k)%len(users)])
			}
		}
		w.tenant.ResetCalls()
		members := 0
		for _, o := range w.read(provider.Query{}).Objects {
			members += len(o.Members)
		}
		if calls := w.tenant.Calls(); members != 1000 || calls.Reads > most || calls.Writes > 0 {
			t.Errorf("%s: %d members with %d reads and %d writes, want 1000 with at most %d reads", name, members,
				calls.Reads, calls.Writes, most)
		}
	}
}

// TestCallsWithoutMembersInLists counts the calls on a server of another's hand, the lists of which show no members.
func TestCallsWithoutMembersInLists(t *testing.T) {
	t.Parallel()
	l, calls := &letter{alone: true}, atomic.Int64{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		l.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	c := newCompany(t, server.URL+"/v2", "token")
	var users []*entity
	for i := range 500 {
		d := c.user(i)
		users = append(users, l.add("Users", map[string]any{"username": d.Address, "externalid": string(d.ID)}))
	}
	for i := range 200 {
		d := c.group(i)
		g := l.add("Groups", map[string]any{"displayname": d.Label, "externalid": string(d.ID)})
		for k := range 5 {
			g.members = append(g.members, users[(i*5+k)%len(users)].id)
		}
	}
	for range 3 { // A server that showed members once shows them in no list all the same.
		calls.Store(0)
		members := 0
		for _, o := range c.state().Objects {
			members += len(o.Members)
		}
		if n := calls.Load(); members != 1000 || n > 510 {
			t.Errorf("%d members with %d calls, want 1000 with at most 510", members, n)
		}
	}
}

// TestLargeGroup adds and removes many members in chunks of 100, while answers get lost.
// ROLLCALL_SCIM_MEMBERS=100000 go test -run LargeGroup ./provider/scim makes it thorough.
func TestLargeGroup(t *testing.T) {
	t.Parallel()
	n := 5000
	if more, err := strconv.Atoi(os.Getenv("ROLLCALL_SCIM_MEMBERS")); err == nil {
		n = more
	}
	w := open(t, behaving(simulator.Behaviours{RepeatMembers: true}))
	p, err := scim.New(w.cfg, scim.Options{Now: w.clock.Now, Caller: unlimited()})
	if err != nil {
		t.Fatal(err)
	}
	w.Provider = p
	group := w.must(newGroup("g", "Everyone"))
	batch := make([]plan.Change, 0, n)
	for i := range n {
		id, err := w.tenant.AddUser(map[string]any{"userName": fmt.Sprint("user", i)})
		if err != nil {
			t.Fatal(err)
		}
		batch = append(batch, member(plan.AddMember, "g", group, directory.ID(fmt.Sprint("u", i)), id))
	}
	w.tenant.ResetCalls()
	send := func() {
		w.tenant.ClearFaults()
		w.tenant.Inject(simulator.Fault{Method: "groups.patch", Effect: simulator.LoseAnswer, Nth: 4, Times: 3})
		for left := batch; len(left) > 0; {
			size := w.Batch(left)
			for _, r := range w.apply(left[:size]...) {
				if r.Err != nil {
					t.Fatal(r.Err)
				}
			}
			left = left[size:]
		}
	}
	send()
	if got, calls := len(w.tenant.Members(group)), w.tenant.Calls().Writes; got != n || calls != n/100 {
		t.Errorf("%d members after %d requests, want %d after %d, none of which is repeated", got, calls, n,
			n/100)
	}
	if o := w.object(group); len(o.Members) != n {
		t.Errorf("%d members are read, want %d", len(o.Members), n)
	}
	for i := range batch {
		batch[i].Op = plan.RemoveMember
	}
	send()
	if got := len(w.tenant.Members(group)); got != 0 {
		t.Errorf("%d members after the removal, want none", got)
	}
}

// TestATokenInAHeaderOfItsOwn covers servers that want an API key in a header of their own, or their token without
// Bearer. An error shows neither.
// TestLifetimesOfTokens covers token endpoints that give the lifetime as a number, as a text or not at all.
// TestNoErrorShowsASecret covers a server that repeats the credentials in its errors.
func TestRefusedValueIsNamed(t *testing.T) {
	t.Parallel()
	w, users, _ := populated(t)
	w.tenant.Inject(simulator.Fault{Method: "users.patch", Status: 400, Code: "invalidValue",
		Message: "Attribute locale is invalid."})
	err := w.refused(change(plan.Update, userRef("u0"), users[0], field("displayName", "New"), field("locale", "xx")),
		fault.Invalid)
	if got := fault.RejectedField(err); got != "locale" {
		t.Errorf("field = %q of %v, want locale", got, err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	good := func() scim.Config {
		c := scim.Config{Endpoint: "https://example.com/scim/v2", TokenFile: "token"}
		c.ID, c.Name = 1, "SCIM"
		return c
	}
	if err := good().Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
	for want, change := range map[string]func(*scim.Config){
		"microsoft_entra":    func(c *scim.Config) { c.Profile = "entra" },
		"google_workspace":   func(c *scim.Config) { c.Profile = "google" },
		"did you mean slack": func(c *scim.Config) { c.Profile = "slac" },
		"endpoint":           func(c *scim.Config) { c.Endpoint = "http://example.com" },
		"3 ways to sign in":  func(c *scim.Config) { c.Username, c.ClientID = "a", "b" },
		"password_file":      func(c *scim.Config) { c.TokenFile, c.Username = "", "a" },
		"needed with token_header": func(c *scim.Config) {
			c.TokenFile, c.TokenHeader, c.Username, c.PasswordFile = "", "X-API-Key", "a", "b"
		},
		`"user-agent" is no header`: func(c *scim.Config) { c.TokenHeader = "user-agent" },
		`"expect" is no header`:     func(c *scim.Config) { c.TokenHeader = "expect" },
		`"Cookie" is no header`:     func(c *scim.Config) { c.TokenHeader = "Cookie" },
		`"X Key" is no header`:      func(c *scim.Config) { c.TokenHeader = "X Key" },
		"token_url":                 func(c *scim.Config) { c.TokenFile, c.ClientID, c.ClientSecretFile = "", "a", "b" },
		"update":                    func(c *scim.Config) { c.Update = "push" },
		"filters":                   func(c *scim.Config) { c.Filters = []string{"title"} },
		"needs groups.value":        func(c *scim.Config) { c.Members = "user_filter" },
		"protected_roles":           func(c *scim.Config) { c.ProtectedRoles = []string{"["} },
		"max_writes_per_second":     func(c *scim.Config) { c.Writes = -1 },
		"domains":                   func(c *scim.Config) { c.Domains = []string{"a@b"} },
		"groups of SCIM have no":    func(c *scim.Config) { c.GroupPropertyMappings = map[string]string{"address": "cn"} },
		"unknown field":             func(c *scim.Config) { c.UserPropertyMappings = map[string]string{"urn:x": "cn"} },
		"user_property_mappings.act": func(
			c *scim.Config) {
			c.UserPropertyMappings = map[string]string{"active": "nonsense("}
		},
	} {
		c := good()
		change(&c)
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate() = %v, want %q", err, want)
		}
	}
}

func TestProfilesAreComplete(t *testing.T) {
	t.Parallel()
	for _, name := range scim.Profiles() {
		p, err := scim.LoadProfile(name)
		if err != nil || p.Title == "" || p.Tested == "" || p.PageSize == 0 || p.Requests == 0 || p.UserCreates == 0 {
			t.Errorf("profile %s = %+v, %v", name, p, err)
		}
		c := scim.Config{Endpoint: "https://example.com", TokenFile: "token", Profile: name}
		c.ID, c.Name = 1, name
		if err := c.Validate(); err != nil {
			t.Errorf("profile %s: %v", name, err)
		}
	}
}

// TestProfilesAreDocumented checks that the page of SCIM has each profile with its server, says which ones are not
// tested, and links to the page that a profile was written from.
func TestProfilesAreDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/scim.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range scim.Profiles() {
		p, err := scim.LoadProfile(name)
		if err != nil {
			t.Fatal(err)
		}
		row := fmt.Sprintf("| `%s` | %s | against ", name, p.Title)
		switch {
		case name == scim.DefaultProfile:
			continue
		case !strings.HasPrefix(p.Tested, "against "):
			row = fmt.Sprintf("| `%s` | %s | %s |", name, p.Title, strings.Replace(p.Tested, ",", ";", 1))
		}
		for _, want := range []string{row, "(" + p.Source + ")"} {
			if !strings.Contains(string(page), want) {
				t.Errorf("docs/scim.md has no %q", want)
			}
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	w, _, _ := populated(t, configured(func(c *scim.Config) {
		c.UserPropertyMappings["urn:example:params:scim:schemas:extension:2.0:User:desk"] = "cn"
	}))
	good, err := w.Check(t.Context())
	text := strings.Join(good, "\n")
	for _, want := range []string{"changes by PATCH", "users can be listed, 3 in all", "groups can be listed, 1 in all",
		"no attribute for the mapped field urn:example:params:scim:schemas:extension:2.0:User:desk"} {
		if err != nil || !strings.Contains(text, want) {
			t.Errorf("Check() = %v, %v, want %q", text, err, want)
		}
	}
	w.tenant.SetToken("another")
	if _, err := w.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "does not accept the credentials") {
		t.Errorf("Check() with a wrong token = %v", err)
	}
}

// TestReplacedTokenNeedsNoRestart checks that the token's file is read again after a refusal.
