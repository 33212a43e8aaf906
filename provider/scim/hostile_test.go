package scim_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// populated returns a tenant with three users and a group of two of them, all ours.
func populated(t *testing.T, setups ...setup) (w *world, users []string, group string) {
	t.Helper()
	w = open(t, setups...)
	users, group = w.populate()
	return w, users, group
}

func (w *world) populate() (users []string, group string) {
	w.t.Helper()
	for i := range 3 {
		users = append(users, w.must(newUser(directory.ID(fmt.Sprint("u", i)), fmt.Sprintf("user%d@example.com", i),
			field("displayName", fmt.Sprint("User ", i)))))
	}
	group = w.must(newGroup("g", "Staff"))
	w.must(member(plan.AddMember, "g", group, "u0", users[0]))
	w.must(member(plan.AddMember, "g", group, "u1", users[1]))
	return users, group
}

// TestListsThatLie checks that a list that is not complete fails the read.
func TestListsThatLie(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		behaviours simulator.Behaviours
		pageSize   int
		want       string
	}{
		"short":         {simulator.Behaviours{ShortList: true}, 100, "the list ended after"},
		"short pages":   {simulator.Behaviours{ShortList: true}, 1, "the list ended after"},
		"moving total":  {simulator.Behaviours{MovingTotal: true}, 1, "the total changed"},
		"repeated page": {simulator.Behaviours{RepeatedPage: true, PageSize: 1}, 1, "repeats a page"},
		"repeated page without a total": {simulator.Behaviours{RepeatedPage: true, NoTotal: true, PageSize: 2}, 100,
			"repeats a page"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _, _ := populated(t, configured(func(c *scim.Config) { c.PageSize = tc.pageSize }))
			w.tenant.Behave(tc.behaviours)
			if err := w.readFails(fault.Unavailable); err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Read() = %v, want %q", err, tc.want)
			}
			w.tenant.Behave(simulator.Behaviours{})
			if n := len(w.read(provider.Query{}).Objects); n != 4 {
				t.Errorf("%d objects, want 4", n)
			}
		})
	}
}

// TestListsWithoutATotal checks that a list without a total is read on where the server limits its pages.
func TestListsWithoutATotal(t *testing.T) {
	t.Parallel()
	w, _, _ := populated(t, behaving(simulator.Behaviours{NoTotal: true, PageSize: 2}))
	if n := len(w.read(provider.Query{}).Objects); n != 4 {
		t.Errorf("%d objects, want 4", n)
	}
}

// TestAnEmptyListIsNoDeparture covers a list that is complete by its own word. Known objects are looked up.
func TestAnEmptyListIsNoDeparture(t *testing.T) {
	t.Parallel()
	w, users, _ := populated(t)
	w.tenant.Inject(simulator.Fault{Method: "users.list", Effect: simulator.EmptyList})
	known := map[directory.Ref]plan.Link{userRef("u0"): {RemoteID: users[0]}, userRef("gone"): {RemoteID: "gone"}}
	found := 0
	for _, o := range w.read(provider.Query{Known: known}).Objects {
		if o.Kind == directory.User {
			found++
		}
	}
	if found != 1 {
		t.Errorf("%d users of an empty list, want the one of the ledger that exists", found)
	}
}

// TestServersThatDoNothing checks that success without a change is found and named.
func TestServersThatDoNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		behaviours simulator.Behaviours
		change     func(w *world, users []string, group string) plan.Change
		want       string
	}{
		"PATCH of a field": {simulator.Behaviours{SilentPatch: true}, func(_ *world, users []string, _ string) plan.Change {
			f := field("displayName", "New")
			f.Before = []string{"User 0"}
			return change(plan.Update, userRef("u0"), users[0], f)
		}, "did not change displayName"},
		"suspension": {simulator.Behaviours{SilentActive: true}, func(_ *world, users []string, _ string) plan.Change {
			return change(plan.Suspend, userRef("u0"), users[0])
		}, "did not change active"},
		"new member": {simulator.Behaviours{SilentPatch: true}, func(_ *world, users []string, group string) plan.Change {
			return member(plan.AddMember, "g", group, "u2", users[2])
		}, "does not show"},
		"removed member": {simulator.Behaviours{SilentPatch: true}, func(_ *world, users []string, group string) plan.Change {
			return member(plan.RemoveMember, "g", group, "u0", users[0])
		}, "still shows"},
		"foreign account": {simulator.Behaviours{SilentForeign: true}, func(w *world, _ []string, _ string) plan.Change {
			id := adminOf{w.tenant}.AddUserNamed("guest@example.com")
			c := change(plan.Adopt, userRef("u9"), id)
			c.Address = "guest@example.com"
			return c
		}, "did not change externalId"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, users, group := populated(t)
			c := tc.change(w, users, group)
			w.tenant.Behave(tc.behaviours)
			w.again() // The sample begins anew.
			if err := w.refused(c, fault.Refused); err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Apply() = %v, want %q", err, tc.want)
			}
		})
	}
}

// AddUserNamed creates a user that must be valid.
func (a adminOf) AddUserNamed(name string) string {
	id, err := a.Tenant.AddUser(map[string]any{"userName": name})
	if err != nil {
		panic(err)
	}
	return id
}

// TestADroppedMemberIsNamed covers servers that ignore members that they do not know.
func TestADroppedMemberIsNamed(t *testing.T) {
	t.Parallel()
	w, users, group := populated(t, behaving(simulator.Behaviours{DropUnknown: true}))
	w.again()
	results := w.apply(member(plan.AddMember, "g", group, "u9", "no-such-user"),
		member(plan.AddMember, "g", group, "u2", users[2]))
	if fault.KindOf(results[0].Err) != fault.Refused || results[1].Err != nil {
		t.Errorf("results = %v and %v, want the dropped member refused and the other one added", results[0].Err,
			results[1].Err)
	}
}

// TestTwinsAreNotMade covers a server that allows several users with one name, and loses an answer.
func TestTwinsAreNotMade(t *testing.T) {
	t.Parallel()
	w := open(t, behaving(simulator.Behaviours{Duplicates: true}))
	w.tenant.Inject(simulator.Fault{Method: "*.create", Effect: simulator.LoseAnswer, Times: 1})
	c := newUser("u1", "ann@example.com")
	_ = w.refused(c, fault.Unavailable)
	w.must(c)
	w.tenant.Inject(simulator.Fault{Method: "*.create", Effect: simulator.LoseAnswer, Times: 1})
	g := newGroup("g1", "Staff")
	_ = w.refused(g, fault.Unavailable)
	w.must(g)
	if users, groups := len(w.tenant.Users()), len(w.tenant.Groups()); users != 1 || groups != 1 {
		t.Errorf("%d users and %d groups, want one of each", users, groups)
	}
}

// TestMembersAreNotRepeated covers a server that adds a member a second time, and loses an answer.
func TestMembersAreNotRepeated(t *testing.T) {
	t.Parallel()
	w, users, group := populated(t, behaving(simulator.Behaviours{RepeatMembers: true}))
	one := member(plan.AddMember, "g", group, "u2", users[2])
	lose := simulator.Fault{Method: "groups.patch", Effect: simulator.LoseAnswer, Times: 1}
	w.tenant.Inject(lose)
	_ = w.refused(one, fault.Unavailable)
	w.must(one)
	want := slices.Sorted(slices.Values(users))
	if got := w.tenant.Members(group); !slices.Equal(got, want) {
		t.Errorf("members = %v, want %v", got, want)
	}
	w.must(member(plan.RemoveMember, "g", group, "u0", users[0]))
	w.must(member(plan.RemoveMember, "g", group, "u2", users[2]))
	w.tenant.Inject(lose)
	both := []plan.Change{member(plan.AddMember, "g", group, "u0", users[0]), one}
	p, err := scim.New(w.cfg, scim.Options{Caller: unlimited()})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range p.Apply(t.Context(), both) {
		if r.Err != nil {
			t.Error(r.Err)
		}
	}
	if got := w.tenant.Members(group); !slices.Equal(got, want) {
		t.Errorf("members after a repeated call = %v, want %v", got, want)
	}
}

// TestTakenNames checks that the user with the name is named, in each form of the refusal, and that an account of an
// earlier attempt is found where filters are refused.
func TestTakenNames(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]simulator.Behaviours{
		"409": {}, "400": {Uniqueness400: true}, "filters refused": {Uniqueness400: true, RefuseFilter: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, users, _ := populated(t, behaving(b))
			guest := adminOf{w.tenant}.AddUserNamed("guest@example.com")
			f := field(plan.AddressField, "guest@example.com")
			renamed := change(plan.Update, userRef("u0"), users[0], f)
			renamed.Address = "guest@example.com"
			for _, c := range []plan.Change{newUser("u9", "guest@example.com"), renamed} {
				if err := w.refused(c, fault.Conflict); err != nil && !strings.Contains(err.Error(), guest) {
					t.Errorf("Apply(%s) = %v, want the user %s named", c.Op, err, guest)
				}
			}
			if id := w.must(newUser("u1", "user1@example.com")); id != users[1] {
				t.Errorf("a repeated creation = %s, want %s", id, users[1])
			}
		})
	}
}

// TestOneBadMemberDoesNotStopTheOthers divides a chunk until the member that does not exist is alone.
func TestOneBadMemberDoesNotStopTheOthers(t *testing.T) {
	t.Parallel()
	for name, setups := range map[string][]setup{
		"patch": nil,
		"put":   {behaving(simulator.Behaviours{NoPatch: true})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, users, group := populated(t, setups...)
			batch := []plan.Change{member(plan.AddMember, "g", group, "u2", users[2]),
				member(plan.AddMember, "g", group, "u9", "no-such-user"), member(plan.AddMember, "g", group, "u1", users[1])}
			results := w.apply(batch...)
			if results[0].Err != nil || results[2].Err != nil || fault.KindOf(results[1].Err) != fault.NotFound {
				t.Errorf("results = %v, %v, %v, want only the second not found", results[0].Err, results[1].Err, results[2].Err)
			}
			want := slices.Sorted(slices.Values(users))
			if got := w.tenant.Members(group); !slices.Equal(got, want) {
				t.Errorf("members = %v, want %v", got, want)
			}
		})
	}
}

// TestRefusalsOfOneObject classifies the answers that concern one object, the target and the rate.
func TestRefusalsOfOneObject(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]fault.Kind{
		402: fault.Refused, 403: fault.Refused, 405: fault.Refused, 413: fault.Refused, 501: fault.Refused,
		400: fault.Invalid, 409: fault.Conflict, 401: fault.Refused, 429: fault.Throttled, 500: fault.Unavailable,
		502: fault.Unavailable, 503: fault.Unavailable, 302: fault.Unavailable,
	} {
		w, users, _ := populated(t)
		w.tenant.Inject(simulator.Fault{Method: "users.patch", Status: status})
		_ = w.refused(change(plan.Update, userRef("u0"), users[0], field("displayName", "New")), want)
	}
	for status, want := range map[int]fault.Kind{401: fault.Denied, 403: fault.Denied, 404: fault.Denied,
		500: fault.Unavailable} {
		w, _, _ := populated(t)
		w.tenant.Inject(simulator.Fault{Method: "users.list", Status: status})
		_ = w.readFails(want)
	}
	for status, want := range map[int]fault.Kind{403: fault.Denied, 500: fault.Unavailable} {
		w, _, _ := populated(t)
		w.tenant.Inject(simulator.Fault{Method: "config.get", Status: status})
		_ = w.readFails(want)
	}
}

// TestQuotaInOtherForms covers servers that report a spent quota without 429.
func TestQuotaInOtherForms(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]simulator.Behaviours{
		"403": {ForbiddenQuota: true}, "503": {UnavailableQuota: true},
	} {
		w, users, _ := populated(t, behaving(b))
		w.tenant.SetQuota(simulator.Quota{UserWrites: 0.2})
		w.must(change(plan.Update, userRef("u0"), users[0], field("displayName", "New")))
		err := w.refused(change(plan.Update, userRef("u0"), users[0], field("displayName", "Newer")), fault.Throttled)
		if after := fault.RetryAfter(err); after < 4e9 || after > 7e9 {
			t.Errorf("%s: RetryAfter = %v, want about 5s", name, after)
		}
	}
}

// TestServersWithoutMostThings covers deviations with the right end state.
func TestServersWithoutMostThings(t *testing.T) {
	t.Parallel()
	for name, setups := range map[string][]setup{
		"user agent, accept and externalId": {behaving(simulator.Behaviours{NeedUserAgent: true, NeedAccept: true,
			NeedExternalID: true})},
		"read-only attributes": {behaving(simulator.Behaviours{RefuseReadOnly: true})},
		"references and empty": {behaving(simulator.Behaviours{RefuseRef: true, RefuseEmpty: true})},
		"put of members":       {behaving(simulator.Behaviours{PutMembers501: true})},
		"members in bodies":    {behaving(simulator.Behaviours{IgnoreMembers: true})},
		"ignored filters":      {behaving(simulator.Behaviours{IgnoreFilter: true})},
		"texts for booleans":   {behaving(simulator.Behaviours{TextBooleans: true})},
		"other case":           {behaving(simulator.Behaviours{OtherCase: true})},
		"other case and put":   {behaving(simulator.Behaviours{OtherCase: true, NoPatch: true})},
		"no meta":              {behaving(simulator.Behaviours{NoMeta: true})},
		"odd ids":              {behaving(simulator.Behaviours{OddIDs: true})},
		"answers without bodies": {behaving(simulator.Behaviours{EmptyCreate: true, EmptyPatch: true, OtherHost: true,
			OddIDs: true})},
		"refused filters": {behaving(simulator.Behaviours{RefuseFilter: true})},
		"strict indexes": {behaving(simulator.Behaviours{StrictIndex: true, PageSize: 2}),
			configured(func(c *scim.Config) { c.PageSize = 2 })},
		"no versions":          {behaving(simulator.Behaviours{NoETag: true})},
		"put without versions": {behaving(simulator.Behaviours{NoETag: true, NoPatch: true})},
		"values for removals": {behaving(simulator.Behaviours{RemoveByValue: true}),
			configured(func(c *scim.Config) { c.MemberRemoval = "value" })},
		"values empty the group":   {behaving(simulator.Behaviours{RemoveEmpties: true})},
		"a copy of put, read-only": {behaving(simulator.Behaviours{RefuseReadOnly: true, NoPatch: true})},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, users, group := populated(t, setups...)
			w.live(users, group)
		})
	}
}

// live changes users and members of a populated tenant, and checks the tenant and what is read of it.
func (w *world) live(users []string, group string) {
	w.t.Helper()
	guest, err := w.tenant.AddUser(map[string]any{"userName": "guest@example.com"})
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.tenant.AddMember(group, guest); err != nil {
		w.t.Fatal(err)
	}
	w.must(member(plan.RemoveMember, "g", group, "u0", users[0]))
	w.must(member(plan.AddMember, "g", group, "u2", users[2]))
	w.must(change(plan.Suspend, userRef("u1"), users[1]))
	w.must(change(plan.Update, userRef("u2"), users[2], field("displayName", "Third")))
	want := slices.Sorted(slices.Values([]string{users[1], users[2], guest}))
	if got := w.tenant.Members(group); !slices.Equal(got, want) {
		w.t.Errorf("members = %v, want %v", got, want)
	}
	if got := w.object(group).Members; !slices.Equal(got, want) {
		w.t.Errorf("members are read as %v, want %v", got, want)
	}
	if o := w.object(users[1]); o.Active {
		w.t.Error("the suspended user is read as active")
	}
	if o := w.object(users[2]); o.Fields.Get("displayName") != "Third" {
		w.t.Errorf("displayName = %v", o.Fields)
	}
	if u, _ := w.tenant.User(guest); !u.Active || u.ExternalID != "" {
		w.t.Errorf("the foreign user = %+v, want it untouched", u)
	}
}
