package entra_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/simulator/graph"
)

// TestOneRefusedObject checks that a 403 for one object fails only this object, for every operation and also for a
// new worker.
func TestOneRefusedObject(t *testing.T) {
	t.Parallel()
	restricted := graph.Fault{Status: http.StatusForbidden, Code: "Authorization_RequestDenied",
		Message: "Insufficient privileges to complete the operation."}
	for name, tc := range map[string]struct {
		method string
		make   func(w *world, n int) plan.Change
	}{
		"create": {"users.create", func(w *world, n int) plan.Change {
			return newUser(id(n),
				person(n).Attributes.Get(directory.Mail))
		}},
		"update": {"users.update", func(w *world, n int) plan.Change {
			return change(plan.Update, user(id(n)), w.made(n), "displayName", "X")
		}},
		"rename": {"users.update", func(w *world, n int) plan.Change {
			return rename(user(id(n)), w.made(n),
				"x@example.com")
		}},
		"suspend": {"users.update", func(w *world, n int) plan.Change {
			return change(plan.Suspend,
				user(id(n)), w.made(n))
		}},
		"delete": {"users.delete", func(w *world, n int) plan.Change {
			return change(plan.Delete, user(id(n)),
				w.made(n))
		}},
		"create a group": {"groups.update", func(w *world, n int) plan.Change { return newGroup(id(n)) }},
		"update a group": {"groups.update", func(w *world, n int) plan.Change {
			return change(plan.Update, group(id(n)), w.must(newGroup(id(n))), "displayName", "X")
		}},
		"delete a group": {"groups.delete", func(w *world, n int) plan.Change {
			return change(plan.Delete,
				group(id(n)), w.must(newGroup(id(n))))
		}},
		"add a member": {"members.add", func(w *world, n int) plan.Change {
			return membership(plan.AddMember, id(900+n), w.must(newGroup(id(900+n))), user(id(n)), w.made(n))
		}},
		"remove a member": {"members.remove", func(w *world, n int) plan.Change {
			c := membership(plan.AddMember, id(900+n), w.must(newGroup(id(900+n))), user(id(n)), w.made(n))
			w.must(c)
			c.Op = plan.RemoveMember
			return c
		}},
		"set a manager": {"users.manager.set", func(w *world, n int) plan.Change {
			w.made(10 + n)
			return change(plan.Update, user(id(n)), w.made(n), "manager", mailOf(10+n))
		}},
		"remove a manager": {"users.manager.remove", func(w *world, n int) plan.Change {
			return change(plan.Update, user(id(n)), w.made(n), "manager", "")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, mapUsers("manager"))
			if _, err := w.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"}); err != nil {
				t.Fatal(err)
			}
			batch := []plan.Change{tc.make(w, 1), tc.make(w, 2)}
			refusal := restricted
			refusal.Method, refusal.Times = tc.method, 1
			w.tenant.Inject(refusal)
			w.restart()
			r := w.Apply(t.Context(), batch)
			if r[0].Err == nil {
				slices.Reverse(r) // The order of requests in a batch is undefined.
			}
			if r[0].Err == nil || kind(r[0].Err) != fault.Refused || r[1].Err != nil {
				t.Fatalf("results = %v, %v; want one refused and the other done", r[0].Err, r[1].Err)
			}
			if text := r[0].Err.Error(); strings.Contains(text, "grant the app") ||
				!strings.Contains(text, "reach this object") {
				t.Errorf("%s: wrong advice for an app that has the permission", text)
			}
		})
	}
}

// made creates a user of ours and returns its remote id.
func (w *world) made(n int) string {
	w.t.Helper()
	return w.must(newUser(id(n), person(n).Attributes.Get(directory.Mail)))
}

// TestFullTenant checks that a tenant without room fails only creations, and that the error names the kind of
// objects.
func TestFullTenant(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault graph.Fault
		says  string
	}{
		"objects": {graph.Fault{Status: 403, Code: "Directory_QuotaExceeded",
			Message: "The directory object quota limit for the Tenant has been exceeded."}, "no room for more " +
			"directory objects"},
		"app": {graph.Fault{Status: 403, Code: "Directory_QuotaExceeded",
			Message: "The directory object quota limit for the Principal has been exceeded."}, "that this app created"},
		"licence": {graph.Fault{Status: 400,
			Message: "License assignment failed because there are not enough licenses available."}, "licences"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, setup{})
			known := w.made(1)
			tc.fault.Method = "*.create"
			w.tenant.Inject(tc.fault)
			tc.fault.Method, tc.fault.Key = "groups.update", "uniqueName"
			w.tenant.Inject(tc.fault)
			w.restart()
			r := w.Apply(t.Context(), []plan.Change{newUser(id(2), "new@example.com"), newGroup(id(3)),
				change(plan.Suspend, user(id(1)), known)})
			for _, made := range r[:2] {
				if made.Err == nil || kind(made.Err) != fault.Refused ||
					!strings.Contains(made.Err.Error(), tc.says) || strings.Contains(made.Err.Error(), "address") {
					t.Errorf("create in a full tenant = %v, want it to say %q", made.Err, tc.says)
				}
			}
			if r[2].Err != nil {
				t.Errorf("suspend = %v, want it done", r[2].Err)
			}
		})
	}
}

// TestUnauthorizedItem checks that a 401 for an item of a batch costs a new token, and that only this item is sent
// again, once.
func TestUnauthorizedItem(t *testing.T) {
	t.Parallel()
	w := open(t, setup{caller: patient(3)})
	ids := w.staff(5)
	updates := func(to string) []provider.Result {
		var batch []plan.Change
		for i, remote := range ids {
			batch = append(batch, change(plan.Update, user(id(i)), remote, "displayName", to))
		}
		w.tenant.ResetCalls()
		return w.Apply(t.Context(), batch)
	}
	expired := graph.Fault{Method: "users.update", Key: ids[2], Status: http.StatusUnauthorized,
		Code: "InvalidAuthenticationToken", Times: 1}
	w.tenant.Inject(expired)
	for i, r := range updates("Liz") {
		if r.Err != nil {
			t.Errorf("update %d = %v", i, r.Err)
		}
	}
	expired.Times = 0
	w.tenant.Inject(expired)
	for i, r := range updates("Elisabeth") {
		if want := i == 2; (r.Err != nil) != want || want &&
			(kind(r.Err) != fault.Refused || !strings.Contains(r.Err.Error(), "access token")) {
			t.Errorf("update %d = %v", i, r.Err)
		}
	}
	if n := w.tenant.Calls().ByMethod["users.update"]; n.Granted+n.Refused != 6 {
		t.Errorf("%+v requests, want the five and one repetition", n)
	}
	w.tenant.ClearFaults() // reads, too
	w.tenant.Inject(graph.Fault{Method: "groups.delta", Status: http.StatusUnauthorized, Times: 1},
		graph.Fault{Method: "users.list", Scope: graph.InBatch, Status: http.StatusUnauthorized, Times: 1})
	w.read(provider.Query{})
	w.must(change(plan.Suspend, user(id(1)), ids[1]))
}

// TestOneMissingMember checks that of several members in one request only a missing one waits.
func TestOneMissingMember(t *testing.T) {
	t.Parallel()
	w := open(t, setup{caller: patient(3)})
	ids := w.staff(12)
	g := w.must(newGroup(id(900)))
	if err := w.tenant.Remove(ids[4]); err != nil {
		t.Fatal(err)
	}
	var batch []plan.Change
	for i, remote := range ids {
		batch = append(batch, membership(plan.AddMember, id(900), g, user(id(i)), remote))
	}
	for i, r := range w.Apply(t.Context(), batch) {
		if want := i == 4; (r.Err != nil) != want || want && kind(r.Err).Retryable() {
			t.Errorf("member %d = %v (%v)", i, r.Err, kind(r.Err))
		}
	}
	if n := len(w.tenant.Members(g)); n != 11 {
		t.Errorf("%d members, want 11", n)
	}
}

// TestForbiddenGroup checks that a forbidden group costs a few requests, and that the members of other groups are
// added.
func TestForbiddenGroup(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	ids := w.staff(60)
	g, other := w.must(newGroup(id(900))), w.must(newGroup(id(901)))
	w.tenant.Inject(graph.Fault{Key: "groups/" + g, Status: http.StatusForbidden, Code: "Authorization_RequestDenied"})
	w.tenant.ResetCalls()
	var batch []plan.Change
	for i, remote := range ids {
		batch = append(batch, membership(plan.AddMember, id(900), g, user(id(i)), remote))
	}
	batch = append(batch, membership(plan.AddMember, id(901), other, user(id(0)), ids[0]))
	for i, r := range w.Apply(t.Context(), batch) {
		if want := i < 60; (r.Err != nil) != want || want && kind(r.Err) != fault.Refused {
			t.Errorf("member %d = %v (%v)", i, r.Err, kind(r.Err))
		}
	}
	n := 0
	for _, c := range w.tenant.Calls().Log {
		if c.Write && c.Item {
			n++
		}
	}
	if n != 3+20 { // A separate request adds the member of the other group.
		t.Errorf("%d writes in batches, want three with twenty members and twenty alone", n)
	}
}

// TestDerivedNicknames checks that an object is created whatever its name is, also where another object has the
// nickname.
func TestDerivedNicknames(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	names := []string{"Example Inc.", "...", "A..B", "Vertrieb (Süd); \"EMEA\"", "日本", strings.Repeat("long.", 50)}
	for i, name := range names {
		made := w.must(plan.Change{Op: plan.Create, Ref: group(id(i)), Fields: fields("displayName", name)})
		if g, _ := w.tenant.Group(made); g.DisplayName != name || g.MailNickname == "" {
			t.Errorf("group %q = %+v", name, g)
		}
	}
	w.tenant.Inject(
		graph.Fault{Method: "groups.update", Status: 400,
			Message: "Another object with the same value for property mailNickname already exists.", Times: 1},
		graph.Fault{Method: "users.create", Status: 400,
			Message: "Invalid value specified for property 'mailNickname' of resource 'User'.", Times: 1},
		graph.Fault{Method: "users.create", Nth: 3, Status: 400,
			Message: "Another object with the same value for property proxyAddresses already exists.", Times: 1},
	)
	g, _ := w.tenant.Group(w.must(newGroup(id(20))))
	u, _ := w.tenant.User(w.must(newUser(id(21), "liz@example.com")))
	v, _ := w.tenant.User(w.must(newUser(id(22), "tom@example.com")))
	for _, nickname := range []string{g.MailNickname, u.MailNickname, v.MailNickname} {
		if !strings.HasPrefix(nickname, "rollcall-") || len(nickname) > 64 {
			t.Errorf("nickname = %q, want one that no other object has", nickname)
		}
	}
}

// TestRefusedValueIsNamed checks that a refusal has the field, by which the engine finds the value, or the value
// itself.
func TestRefusedValueIsNamed(t *testing.T) {
	t.Parallel()
	s := mapUsers("usageLocation")
	s.unchecked = true
	w := open(t, s)
	r := w.do(newUser(id(1), "liz@example.com", "usageLocation", "DEU"))
	if kind(r.Err) != fault.Invalid || fault.RejectedField(r.Err) != "usageLocation" {
		t.Errorf("create = %v, want the field named", r.Err)
	}
	w.tenant.Inject(graph.Fault{Method: "users.create", Status: 400,
		Message: "Invalid value specified for property 'mailNickname'."})
	r = w.do(newUser(id(1), "liz@example.com"))
	if kind(r.Err) != fault.Invalid || !strings.Contains(r.Err.Error(), `mailNickname: "rollcall-`) {
		t.Errorf("create = %v, want the nickname in the text", r.Err)
	}
}

// TestRecreatedGroup checks that a group that is assigned to another entry keeps its uniqueName. It is recognised as
// the entry's also without the ledger, and is never created for either entry again.
func TestRecreatedGroup(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	if _, err := w.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"}); err != nil {
		t.Fatal(err)
	}
	made := w.must(newGroup(id(1)))
	c := change(plan.Reanchor, group(id(2)), made)
	c.From = id(1)
	w.must(c)
	w.must(c)
	w.clock.Advance(time.Hour)
	w.restart()
	if o := w.object(made); o.Ref != group(id(2)) {
		t.Errorf("the group = %+v, want it that of the new entry", o)
	}
	if s := w.read(provider.Query{Lookups: []provider.Lookup{{Ref: group(id(2))}}}); len(s.Objects) != 1 ||
		s.Objects[0].RemoteID != made {
		t.Errorf("looked up without a ledger: %+v", s.Objects)
	}
	if r := w.do(newGroup(id(1))); kind(r.Err) != fault.Conflict || !strings.Contains(r.Err.Error(), string(id(2))) {
		t.Errorf("create for the former entry = %v, want a conflict that names the entry which has the group", r.Err)
	}
	ann := w.made(5)
	w.must(membership(plan.AddMember, id(2), made, user(id(5)), ann))
	w.must(membership(plan.RemoveMember, id(2), made, user(id(5)), ann))
	if r := w.do(change(plan.Delete, group(id(1)), made)); kind(r.Err) != fault.Conflict {
		t.Errorf("delete for the former entry = %v", r.Err)
	}
	w.must(change(plan.Delete, group(id(2)), made))
}

// TestOneUnreadableObject checks that an account or group of ours that Graph does not show, or no longer, is named
// and not changed. It is neither absent nor empty, and everything else is read.
func TestOneUnreadableObject(t *testing.T) {
	t.Parallel()
	refuse := func(key string) graph.Fault {
		return graph.Fault{Key: key, Status: http.StatusForbidden, Code: "Authorization_RequestDenied",
			Message: "Insufficient privileges."}
	}
	w := open(t, setup{})
	w.fill(10, 2)
	s := w.read(provider.Query{})
	ann, g := pickRef(s, user(id(1))).RemoteID, pickRef(s, group(id(1000))).RemoteID
	known := map[directory.Ref]plan.Link{
		user(id(1)): {RemoteID: ann}, user(id(90)): {RemoteID: "5f3a1c9e-7b42-4d60-9e11-999999999990"},
		group(id(1000)): {RemoteID: g},
	}
	w.tenant.Inject(refuse("users/5f3a1c9e-7b42-4d60-9e11-999999999990"), refuse("groups/"+g+"/members"))
	// The group has become ours since it was read, so its members have to be listed.
	for _, name := range []any{nil, "rollcall-" + string(id(1000))} {
		if err := w.tenant.Set(g, map[string]any{"uniqueName": name}); err != nil {
			t.Fatal(err)
		}
		s = w.read(provider.Query{Known: known})
		if err := w.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // in this process and in another one
		if o := pickRef(s, user(id(90))); o.ReadOnly == "" || !strings.Contains(o.ReadOnly, "cannot be read") {
			t.Errorf("an account that Graph does not show = %+v", o)
		}
		if o := pickRef(s, group(id(1000))); !strings.Contains(o.ReadOnly, "cannot be read") || o.Listed {
			t.Errorf("a group whose members Graph does not show = %+v", o)
		}
		if o := pickRef(s, group(id(1001))); o.ReadOnly != "" || len(o.Members) != 5 {
			t.Errorf("another group = %+v", o)
		}
		if err := w.Settle(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.restart()
		s = w.read(provider.Query{Known: known})
	}
	w.tenant.Inject(refuse("users/" + ann))
	s = w.read(provider.Query{Known: known, Lookups: []provider.Lookup{
		{Ref: user(id(1)), RemoteID: ann, Groups: []provider.GroupRef{{ID: id(1000),
			RemoteID: g}}}, {Ref: group(id(1000)), RemoteID: g},
	}})
	if o := pickRef(s, user(id(1))); o.RemoteID != ann || o.ReadOnly == "" {
		t.Errorf("an account that Graph does not show, looked up = %+v", o)
	}
	if o := pickRef(s, group(id(1000))); o.RemoteID != g || o.ReadOnly == "" {
		t.Errorf("a group that Graph does not show, looked up = %+v", o)
	}
	w.tenant.ClearFaults()
	if o := pickRef(w.read(provider.Query{Known: known}), group(id(1000))); o.ReadOnly != "" || len(o.Members) != 5 {
		t.Errorf("the group when it can be read again = %+v", o)
	}
}

// TestIndigestibleBatch checks that one request for which a whole batch is refused does not affect the others.
func TestIndigestibleBatch(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusBadRequest, http.StatusForbidden, http.StatusRequestEntityTooLarge} {
		w := open(t, setup{})
		batch := []plan.Change{newUser(id(1), mailOf(1)), newUser(id(2), mailOf(2)), newUser(id(3), mailOf(3))}
		w.tenant.Inject(graph.Fault{Method: "batch", Status: status},
			graph.Fault{Method: "users.create", Body: mailOf(2), Status: status})
		for i, r := range w.Apply(t.Context(), batch) {
			if refused := i == 1; refused != (r.Err != nil) {
				t.Errorf("%d for a batch: result %d = %v; want the second one refused alone", status, i, r.Err)
			}
		}
	}
}
