package entra_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/simulator/graph"
)

// approving is a memory that approves every held change by its fingerprint.
type approving struct{ verdicts map[string]plan.Verdict }

func (a approving) Load(context.Context) (reconcile.Remembered, error) {
	return reconcile.Remembered{Verdicts: a.verdicts}, nil
}
func (approving) Paused(context.Context) error                         { return nil }
func (approving) Ordered(context.Context, directory.Ref) (bool, error) { return false, nil }
func (approving) Keep(context.Context, reconcile.PinChanges) error     { return nil }
func (approving) Spend(context.Context, *plan.Change, int) (func(bool), bool, error) {
	return func(bool) {}, true, nil
}

// openCompany opens a hop with some people and one group, all provisioned, and an administrator.
func openCompany(t *testing.T, persons int) *hop {
	t.Helper()
	h := openHop(t, setup{caller: patient(3)})
	boss, err := h.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"})
	if err == nil {
		err = h.tenant.SetAdmin(boss.ID, graph.GlobalAdministrator)
	}
	if err != nil {
		t.Fatal(err)
	}
	h.people.entries = company(persons, 1, persons/2)
	h.must()
	h.clock.Advance(time.Hour)
	return h
}

func (h *hop) disabled(n int) bool {
	u, ok := h.tenant.User(mailOf(n))
	return ok && u.Disabled
}

// day changes the directory with two joiners, one leaver and one rename.
func (h *hop) day(leaver int) {
	h.people.mu.Lock()
	defer h.people.mu.Unlock()
	e := &h.people.entries[leaver]
	e.Active = false
	other := &h.people.entries[leaver+1]
	other.Attributes = other.Attributes.Clone().Set(directory.CommonName, "Renamed")
	h.people.entries = append(h.people.entries, person(500), person(501))
}

// TestARunGoesOn checks that refusals of one object, or of every creation, do not affect the rest of the run. The
// same holds for a new worker.
func TestARunGoesOn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault  graph.Fault
		failed int
		says   string
	}{
		"one account": {graph.Fault{Method: "users.create", Status: 403, Code: "Authorization_RequestDenied",
			Message: "Insufficient privileges to complete the operation.", Times: 1}, 1, "does not reach this object"},
		"a full tenant": {
			graph.Fault{Method: "users.create", Status: 403, Code: "Directory_QuotaExceeded",
				Message: "The directory object quota limit for the Tenant has been exceeded."}, 2, "no room",
		},
		"a deleted items list": {graph.Fault{Method: "deletedItems.list", Status: 403}, 0, "deleted account"},
		"an expired item": {graph.Fault{Method: "users.create", Scope: graph.InBatch,
			Status: http.StatusUnauthorized, Times: 1}, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := openCompany(t, 12)
			h.day(3)
			h.tenant.Inject(tc.fault)
			h.restart()
			h.clock.Advance(time.Hour)
			r, err := h.run()
			if err != nil || r.Failed != tc.failed {
				t.Errorf("run = %v, %d failed, want %d: %q", err, r.Failed, tc.failed, h.said.errors)
			}
			if !h.disabled(3) {
				t.Error("the leaver is active")
			}
			if u, _ := h.tenant.User(mailOf(4)); u.DisplayName != "Renamed" {
				t.Errorf("the changed account = %+v", u)
			}
			if text := strings.Join(h.said.errors, "\n"); !strings.Contains(text, tc.says) ||
				strings.Contains(text, "taken") {
				t.Errorf("messages = %q, want them to say %q", text, tc.says)
			}
			h.tenant.ClearFaults()
			h.must()
			if r := h.must(); len(r.Apply.Changes) > 0 {
				t.Errorf("the plan after that = %+v", r.Apply.Changes)
			}
		})
	}
}

// TestEveryWriteUnauthorized checks that the run fails with this error where Graph accepts the token for no request.
func TestEveryWriteUnauthorized(t *testing.T) {
	t.Parallel()
	h := openCompany(t, 12)
	h.day(3)
	h.tenant.Inject(graph.Fault{Method: "users.[cu]*", Status: http.StatusUnauthorized})
	h.tenant.ResetCalls()
	r, err := h.run()
	if err == nil && r.Failed == 0 || !strings.Contains(strings.Join(h.said.errors, "\n"), "access token") {
		t.Errorf("run = %v, %d failed: %q", err, r.Failed, h.said.errors)
	}
	for method, n := range h.tenant.Calls().ByMethod {
		if strings.HasPrefix(method, "users.create") && n.Granted+n.Refused > 4 {
			t.Errorf("%d requests to create two accounts, want each twice", n.Granted+n.Refused)
		}
	}
}

// TestRecreatedGroupIsOne checks that a group that was created again in the directory keeps its object and its
// members. This holds before and after the approval, and also without the ledger.
func TestRecreatedGroupIsOne(t *testing.T) {
	t.Parallel()
	h := openCompany(t, 12)
	made := h.tenant.Groups()[0]
	before := h.tenant.Members(made.ID)
	h.people.mu.Lock()
	for i := range h.people.entries {
		if e := &h.people.entries[i]; e.Kind == directory.Group {
			e.ID = id(2_000_000)
		}
	}
	h.people.mu.Unlock()
	r := h.must()
	if len(r.Held.Changes) != 1 || r.Held.Changes[0].Op != plan.Reanchor || len(r.Apply.Changes) > 0 {
		t.Fatalf("held %+v, applied %+v; want the one question", r.Held.Changes, r.Apply.Changes)
	}
	h.clock.Advance(time.Hour)
	run := reconcile.Run{ID: "run", Scope: reconcile.Full(), Lease: h.gate, Journal: h.said}
	run.Memory = approving{map[string]plan.Verdict{r.Held.Changes[0].Fingerprint(): plan.Approved}}
	if r, err := h.engine.Execute(t.Context(), run); err != nil || r.Failed > 0 || r.Applied != 1 {
		t.Fatalf("approved = %v, %d failed, %d applied: %q", err, r.Failed, r.Applied, h.said.errors)
	}
	h.clock.Advance(time.Hour)
	h.ledger = newLedger(t)
	h.restart()
	for range 2 {
		if r := h.must(); len(r.Apply.Changes)+len(r.Held.Changes) > 0 {
			t.Errorf("the next plan = %+v, held %+v", r.Apply.Changes, r.Held.Changes)
		}
		h.clock.Advance(time.Hour)
	}
	if groups := h.tenant.Groups(); len(groups) != 1 || groups[0].ID != made.ID ||
		len(h.tenant.Members(made.ID)) != len(before) {
		t.Errorf("groups = %+v, members %v; want the one of before with %v", groups, h.tenant.Members(made.ID), before)
	}
}

// TestDeletedByHandIsRestored checks that an account that was deleted by hand is restored where it would be created.
// This holds also where the list of deleted items is older than the deletion.
func TestDeletedByHandIsRestored(t *testing.T) {
	t.Parallel()
	h := openCompany(t, 12)
	ann, _ := h.tenant.User(mailOf(1))
	bob, _ := h.tenant.User(mailOf(2))
	if err := h.tenant.Remove(ann.ID); err != nil {
		t.Fatal(err)
	}
	h.day(3)
	h.must()
	if u, there := h.tenant.User(ann.ID); !there || u.Disabled || !h.disabled(3) {
		t.Errorf("the deleted account = %+v, %v; want it restored", u, there)
	}
	h.must(user(id(501))) // The run lists the deleted items.
	h.world.must(newUser(id(600), "x@example.com"))
	if err := h.tenant.Remove(bob.ID); err != nil {
		t.Fatal(err)
	}
	if got := h.world.must(newUser(id(2), bob.UserPrincipalName)); got != bob.ID {
		t.Errorf("create gave %s, want the deleted %s restored", got, bob.ID)
	}
	if n := len(h.tenant.DeletedUsers()); n != 0 {
		t.Errorf("%d deleted accounts are left", n)
	}
}

// TestRandomRefusals checks that all objects that Graph does not refuse reach their state, and that every such leaver
// is suspended.
func TestRandomRefusals(t *testing.T) {
	t.Parallel()
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 11))
			h := openCompany(t, 30)
			refused := map[int]bool{}
			h.people.mu.Lock()
			for n := range 40 {
				if n >= 30 {
					h.people.entries = append(h.people.entries, person(n)) // a joiner
				} else if e := &h.people.entries[n]; n%4 == 0 {
					e.Active = false
				} else if n%4 == 1 {
					e.Attributes = e.Attributes.Clone().Set(directory.CommonName, "Renamed")
				}
				if r.IntN(4) > 0 {
					continue
				}
				refused[n] = true
				f := graph.Fault{Status: 403, Code: "Authorization_RequestDenied", Method: "users.[cud]*", Body: mailOf(n)}
				if u, there := h.tenant.User(mailOf(n)); there {
					f.Key, f.Body = "users/"+u.ID, ""
				}
				h.tenant.Inject(f)
			}
			h.people.mu.Unlock()
			h.restart()
			if _, err := h.run(); err != nil {
				t.Fatal(err)
			}
			for n := range 40 {
				u, there := h.tenant.User(mailOf(n))
				want := n%4 != 0 || n >= 30
				switch {
				case refused[n]:
				case !there || u.Disabled == want:
					t.Errorf("person %d: there %v, disabled %v", n, there, u.Disabled)
				case n < 30 && n%4 == 1 && u.DisplayName != "Renamed":
					t.Errorf("person %d is %q", n, u.DisplayName)
				}
			}
		})
	}
}

func mailOf(n int) string { return person(n).Attributes.Get(directory.Mail) }

// TestALeaverIsDisabledWithoutLists checks that a tenant which refuses to list its users still loses a leaver that the
// ledger knows, and nothing else happens. This also holds for a new worker.
func TestALeaverIsDisabledWithoutLists(t *testing.T) {
	t.Parallel()
	for _, fresh := range []bool{false, true} {
		h := openCompany(t, 12)
		if fresh {
			h.restart()
		}
		h.day(3)
		adminOf{h.tenant}.RefuseLists()
		r, err := h.run()
		if fault.KindOf(err) != fault.Denied || r.Applied != 1 || !h.disabled(3) {
			t.Errorf("new worker %v: %v, %d applied, disabled %v; want denied and one account disabled: %q", fresh, err,
				r.Applied,
				h.disabled(3), h.said.errors)
		}
		h.tenant.ClearFaults()
		if r := h.must(); r.Applied != 3 {
			t.Errorf("new worker %v: the next run applied %d, want the rest of the day", fresh, r.Applied)
		}
	}
}

// TestALeaverOutlastsAMissingList checks that a leaver whose account cannot be verified, because a list is not found,
// is not taken for a person without an account.
func TestALeaverOutlastsAMissingList(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"directoryRoles.list", "directoryRoles.members", "users.list"} {
		h := openCompany(t, 12)
		h.people.mu.Lock()
		h.people.entries = slices.Delete(h.people.entries, 3, 4)
		h.people.entries[len(h.people.entries)-1].Members = nil
		h.people.mu.Unlock()
		h.tenant.Inject(graph.Fault{Method: method, Status: http.StatusNotFound})
		if _, err := h.run(); h.disabled(3) {
			t.Errorf("%s: %v; the account was disabled unverified", method, err)
		}
		h.tenant.ClearFaults()
		if h.must(); !h.disabled(3) {
			t.Errorf("%s: the leaver is active after the next run: %q", method, h.said.errors)
		}
	}
}
