package scim_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// TestForeignElementsStay checks that a list keeps the elements of others.
func TestForeignElementsStay(t *testing.T) {
	t.Parallel()
	for name, setups := range map[string][]setup{
		"patch": nil, "put": {behaving(simulator.Behaviours{NoPatch: true})},
		"object": {behaving(simulator.Behaviours{ObjectPatch: true}),
			configured(func(c *scim.Config) { c.Update = "object_patch" })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, append(setups, configured(func(c *scim.Config) {
				c.UserPropertyMappings["phoneNumbers.work"] = "ldap.telephoneNumber"
			}))...)
			id := w.must(newUser("u1", "ann@example.com", field("emails.work", "ann@example.com")))
			home := map[string]any{"value": "ann@home.example", "type": "home"}
			if err := w.tenant.Set(id, map[string]any{"emails": []any{home,
				map[string]any{"value": "ann@example.com", "type": "work", "primary": true}}}); err != nil {
				t.Fatal(err)
			}
			w.must(change(plan.Update, userRef("u1"), id, field("emails.work", "a.smith@example.com"),
				field("phoneNumbers.work", "123")))
			w.must(change(plan.Update, userRef("u1"), id, field("phoneNumbers.work", "")))
			u, _ := w.tenant.User(id)
			list, _ := u.Attributes["emails"].([]any)
			if len(list) != 2 || fmt.Sprint(list[0]) != fmt.Sprint(home) ||
				list[1].(map[string]any)["value"] != "a.smith@example.com" || u.Attributes["phoneNumbers"] != nil {
				t.Errorf("attributes = %v, want the home address as it was, a new one for work and no phone", u.Attributes)
			}
			if got := w.object(id).Fields.Get("emails.work"); got != "a.smith@example.com" {
				t.Errorf("emails.work = %q", got)
			}
		})
	}
}

// TestPutKeepsMembers checks that a change of a group by PUT does not empty it.
func TestPutKeepsMembers(t *testing.T) {
	t.Parallel()
	w, users, group := populated(t, behaving(simulator.Behaviours{NoPatch: true}))
	w.must(change(plan.Update, groupRef("g"), group, field("displayName", "Everyone")))
	if got := w.tenant.Members(group); len(got) != 2 {
		t.Errorf("members after a PUT of the name = %v, want two", got)
	}
	w.must(member(plan.RemoveMember, "g", group, "u0", users[0]))
	w.must(member(plan.RemoveMember, "g", group, "u1", users[1]))
	if got := w.tenant.Members(group); len(got) != 0 {
		t.Errorf("members = %v, want none", got)
	}
}

// TestTwoWritersClearFields checks that of two writers that learn at the same time that a PUT keeps what it leaves out,
// both clear their field.
func TestTwoWritersClearFields(t *testing.T) {
	t.Parallel()
	l := &letter{put: true, quirks: quirks{keeps: true}}
	var first atomic.Int64
	both := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.ServeHTTP(w, r)
		if r.Method != http.MethodPut {
			return
		}
		if first.Add(1) == 2 {
			close(both)
		}
		<-both // Neither writer sees the answer to its first PUT before both are made.
	}))
	t.Cleanup(server.Close)
	cfg := scim.Config{Endpoint: server.URL + "/v2", TokenFile: secretFile(t, "token")}
	cfg.ID, cfg.Name, cfg.Update, cfg.UserPropertyMappings = 1, "SCIM", "put", map[string]string{"title": "ldap.title"}
	p, err := scim.New(cfg, scim.Options{Caller: unlimited()})
	if err != nil {
		t.Fatal(err)
	}
	var done sync.WaitGroup
	for _, name := range []string{"ann", "bob"} {
		e := l.add("Users", map[string]any{"username": name, "externalid": name, "title": "Chief", "active": true})
		done.Go(func() {
			f := plan.FieldChange{Name: "title", Before: []string{"Chief"}}
			r := p.Apply(t.Context(), []plan.Change{change(plan.Update, userRef(directory.ID(name)), e.id, f)})
			if r[0].Err != nil || l.find(e.id).attrs["title"] != nil {
				t.Errorf("%s: Apply() = %v, title = %v, want none", name, r[0].Err, l.find(e.id).attrs["title"])
			}
		})
	}
	done.Wait()
}

// TestPutOfHiddenMembers checks that a group is not replaced where the server does not show its members.
func TestPutOfHiddenMembers(t *testing.T) {
	t.Parallel()
	w, users, group := populated(t, behaving(simulator.Behaviours{NoPatch: true}))
	w.tenant.Behave(simulator.Behaviours{NoPatch: true, OmittedMembers: true})
	w.again() // What the server showed before is forgotten.
	for _, c := range []plan.Change{
		change(plan.Update, groupRef("g"), group, field("displayName", "Everyone")),
		member(plan.AddMember, "g", group, "u2", users[2]), member(plan.RemoveMember, "g", group, "u0", users[0]),
	} {
		if err := w.refused(c, fault.Refused); err != nil && !strings.Contains(err.Error(), "does not show its members") {
			t.Errorf("Apply(%s) = %v, want the reason", c.Op, err)
		}
	}
	// A new group has no members yet. The second change cannot tell whether it still has none.
	fresh := w.must(newGroup("g2", "New"))
	_ = w.apply(member(plan.AddMember, "g2", fresh, "u0", users[0]))
	_ = w.refused(member(plan.AddMember, "g2", fresh, "u1", users[1]), fault.Refused)
	for id, want := range map[string]int{group: 2, fresh: 1} {
		if got := w.tenant.Members(id); len(got) != want {
			t.Errorf("members of %s = %v, want %d", id, got, want)
		}
	}
}

// TestPreconditions checks that a write that another one came before is made again of the newer version.
func TestPreconditions(t *testing.T) {
	t.Parallel()
	w, users, _ := populated(t)
	w.tenant.Inject(simulator.Fault{Method: "users.patch", Status: 412, Times: 1})
	w.must(change(plan.Suspend, userRef("u0"), users[0]))
	if u, _ := w.tenant.User(users[0]); u.Active {
		t.Error("the account is not suspended")
	}
}

// TestManagers writes the manager as a reference and shows it by its name.
func TestManagers(t *testing.T) {
	t.Parallel()
	w := open(t, configured(func(c *scim.Config) {
		c.UserPropertyMappings["enterprise.manager"] = "ldap.manager"
	}))
	early := w.apply(newUser("u2", "bob@example.com", field("enterprise.manager", "boss@example.com")))[0]
	if early.Err != nil || !strings.Contains(early.Note, "boss@example.com") {
		t.Errorf("a user before the manager = %v, %q, want a note", early.Err, early.Note)
	}
	boss := w.must(newUser("u1", "boss@example.com"))
	w.must(change(plan.Update, userRef("u2"), early.RemoteID, field("enterprise.manager", "boss@example.com")))
	u, _ := w.tenant.User(early.RemoteID)
	if got := fmt.Sprint(u.Attributes[scim.EnterpriseSchema]); !strings.Contains(got, boss) {
		t.Errorf("enterprise extension = %s, want the id of the manager", got)
	}
	if got := w.object(early.RemoteID).Fields.Get("enterprise.manager"); got != "boss@example.com" {
		t.Errorf("manager = %q, want the userName", got)
	}
	w.again()
	state := w.read(provider.Query{Lookups: []provider.Lookup{{Ref: userRef("u2"), RemoteID: early.RemoteID}}})
	if got := state.Objects[0].Fields.Get("enterprise.manager"); got != "boss@example.com" {
		t.Errorf("manager of a single user = %q, want the userName", got)
	}
}
