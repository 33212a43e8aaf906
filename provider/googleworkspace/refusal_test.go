package googleworkspace_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	simulator "rollcall/simulator/googleworkspace"
)

// refusals are the forms in which Google refuses one object.
var refusals = []simulator.Fault{
	{Status: http.StatusForbidden, Code: "forbidden", Message: "Not Authorized to access this resource/api"},
	{Status: http.StatusForbidden, Code: "domainCannotUseApis", Message: "Domain cannot use apis."},
	{Status: http.StatusForbidden, Code: "notAuthorized", Message: "Not Authorized"},
	{Status: http.StatusPreconditionFailed, Code: "conditionNotMet", Message: "Precondition Failed"},
}

// TestRefusedObject checks that a refusal concerns only its object, for every operation. The result is the same for a
// Provider that has written before and for a new one.
func TestRefusedObject(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	liz, bob := w.must(newUser("u1", "liz@example.com")), w.must(newUser("u2", "bob@example.com"))
	sales := w.must(newGroup("g1", "sales@example.com"))
	w.must(membership(plan.AddMember, "g1", sales, user("u2"), bob))
	for _, restarted := range []bool{false, true} {
		for _, refusal := range refusals {
			want := map[int]fault.Kind{403: fault.Refused, 412: fault.Conflict}[refusal.Status]
			for method, c := range map[string]plan.Change{
				"insert": newUser("u3", "eve@example.com"),
				"update": change(plan.Update, user("u1"), liz, "name.givenName", "Elisabeth"),
				"patch":  change(plan.Update, group("g1"), sales, "name", "All of sales"),
				"put":    change(plan.Suspend, user("u1"), liz),
				"delete": change(plan.Delete, user("u1"), liz),
				"group":  change(plan.Delete, group("g1"), sales),
				"new":    newGroup("g2", "more@example.com"),
				"add":    membership(plan.AddMember, "g1", sales, user("u1"), liz),
				"remove": membership(plan.RemoveMember, "g1", sales, user("u2"), bob),
			} {
				if restarted {
					w.restart()
				}
				w.tenant.ClearFaults()
				for _, refusal.Method = range writes {
					w.tenant.Inject(refusal)
				}
				if r := w.do(c); r.Err == nil || kind(r.Err) != want || !strings.Contains(r.Err.Error(), refusal.Message) {
					t.Errorf("%s refused with %s (restarted %v) = %v (%v), want this object refused", method, refusal.Code,
						restarted, r.Err, kind(r.Err))
				}
			}
		}
	}
	w.tenant.ClearFaults()
	for _, method := range []string{"directory.users.list", "directory.groups.list", "directory.domains.list"} {
		w.tenant.Inject(simulator.Fault{Method: method, Status: http.StatusForbidden, Code: "forbidden"})
		if _, err := w.Read(t.Context(), provider.Query{Now: w.clock.Now()}); err == nil || kind(err) != fault.Denied {
			t.Errorf("Read() with %s refused = %v, want denied", method, err)
		}
		w.tenant.ClearFaults()
	}
}

// TestAdministratorsAboveUs checks that the message gives Google's reason, and does not ask for a right that exists.
func TestAdministratorsAboveUs(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	id := w.must(newUser("u1", "liz@example.com"))
	refusal := refusals[0]
	refusal.Method = "directory.users.update"
	w.tenant.Inject(refusal)
	c := change(plan.Update, user("u1"), id, "name.givenName", "Elisabeth")
	if r := w.do(c); r.Err == nil || !strings.Contains(r.Err.Error(), "may not reach this account") {
		t.Errorf("403 for an ordinary user = %v", r.Err)
	}
	if err := w.tenant.SetAdmin(id, true); err != nil {
		t.Fatal(err)
	}
	if r := w.do(c); r.Err == nil || !strings.Contains(r.Err.Error(), "is an administrator") {
		t.Errorf("403 for an administrator = %v", r.Err)
	}
}

// TestFullTenant checks that the message names the kind of object that the tenant has no room for.
func TestFullTenant(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	add := membership(plan.AddMember, "g1", sales, user("u1"), liz)
	add.Label = "sales"
	for _, tc := range []struct {
		change          plan.Change
		status          int
		reason, message string
		want            string
	}{
		{newUser("u2", "eve@example.com"), 403, "limitExceeded", "Domain user limit reached.",
			"no room for another user, or no license"},
		{newUser("u2", "eve@example.com"), 412, "conditionNotMet",
			"There aren't enough available licenses for the specified product-SKU pair.",
			"no room for another user, or no license"},
		{newGroup("g2", "more@example.com"), 403, "limitExceeded", "Resource limit exceeded", "no room for another group"},
		{add, 403, "limitExceeded", "Group member limit reached", "no room for another member of group sales"},
	} {
		w.tenant.Inject(simulator.Fault{Method: "directory.*.insert", Times: 1, Status: tc.status, Code: tc.reason,
			Message: tc.message})
		if r := w.do(tc.change); r.Err == nil || kind(r.Err) != fault.Refused || !strings.Contains(r.Err.Error(), tc.want) {
			t.Errorf("%s with %q = %v (%v), want it to say %q", tc.change.Op, tc.message, r.Err, kind(r.Err), tc.want)
		}
	}
}

// TestRefusedValues checks that the error of a refused value names its field.
func TestRefusedValues(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers("orgUnitPath", "recoveryPhone", "organizations.title"))
	id := w.must(newUser("u1", "liz@example.com"))
	moved := change(plan.Update, user("u1"), id, "name.givenName", "Liz", "orgUnitPath", "/interns")
	if r := w.do(moved); r.Err == nil || !strings.Contains(r.Err.Error(), `no organizational unit "/interns"`) {
		t.Errorf("an unknown unit = %v", r.Err)
	}
	phone := change(plan.Update, user("u1"), id, "name.givenName", "Liz", "recoveryPhone", "030 1234")
	if r := w.do(phone); r.Err == nil ||
		!strings.Contains(r.Err.Error(), `recoveryPhone: Google refuses the value "030 1234"`) {
		t.Errorf("a phone number that Google refuses = %v", r.Err)
	}
	w.tenant.Inject(simulator.Fault{Method: "directory.users.update", Status: 400, Code: "invalid",
		Message: "Invalid Input"})
	title := change(plan.Update, user("u1"), id, "organizations.title", "Lead")
	if r := w.do(title); r.Err == nil ||
		!strings.Contains(r.Err.Error(), `organizations.title: Google refuses the value "Lead"`) {
		t.Errorf("a refusal that names nothing = %v", r.Err)
	}
}

// TestOneUnreadableObject checks that an unreadable object counts as present and is not changed, and that all others
// are read.
func TestOneUnreadableObject(t *testing.T) {
	t.Parallel()
	for _, refusal := range refusals {
		w := open(t, setup{})
		liz, bob := w.must(newUser("u1", "liz@example.com")), w.must(newUser("u2", "bob@example.com"))
		sales, board := w.must(newGroup("g1", "sales@example.com")), w.must(newGroup("g2", "board@example.com"))
		for _, id := range []string{sales, board} {
			w.must(membership(plan.AddMember, "g1", id, user("u2"), bob))
		}
		known := map[directory.Ref]plan.Link{user("u1"): {RemoteID: liz, Created: w.clock.Now()}}
		group, account, list := refusal, refusal, simulator.Fault{Method: "directory.users.list", Effect: simulator.EmptyList}
		group.Method, group.Key = "directory.members.list", sales
		account.Method, account.Key = "directory.users.get", liz
		w.tenant.Inject(group, account, list)
		state := w.read(provider.Query{Known: known})
		for id, what := range map[string]string{sales: "the members of group sales@example.com", liz: "user " + liz} {
			o, ok := find(state, id)
			if !ok || !strings.Contains(o.ReadOnly, what) || !strings.Contains(o.ReadOnly, refusal.Message) || o.Listed {
				t.Errorf("%s: %+v (there %v), want it read-only and named", refusal.Code, o, ok)
			}
		}
		if o, _ := find(state, board); o.ReadOnly != "" || !slices.Equal(o.Members, []string{bob}) {
			t.Errorf("the other group = %+v", o)
		}
		state = w.read(provider.Query{Lookups: []provider.Lookup{{Ref: user("u1"), RemoteID: liz,
			Address: "liz@example.com"}, {Ref: directory.Ref{Kind: directory.Group, ID: "g1"}, RemoteID: sales}}})
		for _, id := range []string{sales, liz} {
			if o, ok := find(state, id); !ok || o.ReadOnly == "" || !o.Anchored() {
				t.Errorf("%s: looked up = %+v (there %v), want it read-only", refusal.Code, o, ok)
			}
		}
	}
}

// TestA404ThatProvesNothing checks that a full read goes on past an account that is in no list, and for which a gateway
// answers. The account counts as present.
func TestA404ThatProvesNothing(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	bob := w.must(newUser("u2", "bob@example.com"))
	w.tenant.Inject(simulator.Fault{Method: "directory.users.get", Status: 404, Code: "noRoute", Message: "no route"})
	state := w.read(provider.Query{Known: map[directory.Ref]plan.Link{user("u1"): {RemoteID: "1"}}})
	if o, ok := find(state, "1"); !ok || !o.Unreadable {
		t.Errorf("the account = %+v (there %v), want it unreadable", o, ok)
	}
	if _, ok := find(state, bob); !ok {
		t.Error("the other account was not read")
	}
}

// TestGroupThatVanishesWhileItIsRead checks that such a group is neither empty nor absent in this run.
func TestGroupThatVanishesWhileItIsRead(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	sales := w.must(newGroup("g1", "sales@example.com"))
	w.tenant.Inject(simulator.Fault{Method: "directory.members.list", Status: 404, Code: "notFound",
		Message: "Resource Not Found: groupKey"})
	if o := w.object(sales); o.ReadOnly == "" || o.Listed {
		t.Errorf("group = %+v, want it read-only", o)
	}
}

// TestDeletedUser covers Google's answers 412 to a key of a deleted user and 400 to the address of a group. Both mean
// that the user does not exist.
func TestDeletedUser(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	liz, sales := w.must(newUser("u1", "liz@example.com")), w.must(newGroup("g1", "sales@example.com"))
	if err := w.tenant.DeleteUser(liz); err != nil {
		t.Fatal(err)
	}
	known := map[directory.Ref]plan.Link{user("u1"): {RemoteID: liz}}
	if _, ok := find(w.read(provider.Query{Known: known}), liz); ok {
		t.Error("a deleted user is in the state")
	}
	w.must(change(plan.Delete, user("u1"), liz))
	w.must(membership(plan.RemoveMember, "g1", sales, user("u1"), liz))
	for _, c := range []plan.Change{
		change(plan.Update, user("u1"), liz, "name.givenName", "Elisabeth"), change(plan.Suspend, user("u1"), liz),
		membership(plan.AddMember, "g1", sales, user("u1"), liz),
	} {
		if r := w.do(c); r.Err == nil || kind(r.Err) != fault.NotFound {
			t.Errorf("%s of a deleted user = %v, want not found", c.Op, r.Err)
		}
	}
	if _, err := w.tenant.UpdateGroup(sales, map[string]any{"email": "all@example.com"}); err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"all@example.com", "sales@example.com"} { // the address and an alias
		state := w.read(provider.Query{Lookups: []provider.Lookup{{Ref: user("u2"), Address: address}}})
		if o, ok := find(state, sales); !ok || o.Kind != directory.Group {
			t.Errorf("what has the address %s = %+v, want the group", address, state.Objects)
		}
		if r := w.do(newUser("u2", address)); r.Err == nil || !strings.HasPrefix(r.Err.Error(), "group all@example.com") {
			t.Errorf("create at the address of a group = %v, want the group named", r.Err)
		}
	}
}
