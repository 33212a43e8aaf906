package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// handedOn is a hop in which u000 takes a new address, u001 that of u000, u002 that of u001, and the joiner u009 that
// of u002.
func handedOn(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	for i := range 60 {
		w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(i+10))
	}
	w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(0), person(1), person(2))
	mustRun(t, w)
	w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(9))
	w.names = map[directory.Ref]string{ref(0): "new", ref(1): "u000", ref(2): "u001", ref(9): "u002"}
	return w
}

// addressed returns the local parts of the addresses of the entries of handedOn.
func (t *tenantFake) addressed() map[string]string {
	out := map[string]string{}
	for _, o := range t.objects {
		if o.ID < "u010" {
			out[string(o.ID)] = strings.TrimSuffix(o.Address, "@example.com")
		}
	}
	return out
}

var allHandedOn = map[string]string{"u000": "new", "u001": "u000", "u002": "u001", "u009": "u002"}

// An address that was not freed is not asked for. The message names the entry that still has it, and the next run
// hands all addresses on.
func TestATakenAddressWaitsForItsGiver(t *testing.T) {
	t.Parallel()
	w := handedOn(t)
	asked := map[directory.Ref]bool{}
	w.tenant.hook = func(c plan.Change, after bool) error {
		asked[c.Ref] = true
		if c.Ref == ref(0) {
			return fault.Errorf(fault.Refused, "403 forbidden")
		}
		return nil
	}
	r, err := w.run(t.Context())
	if err != nil || r.Failed != 4 || r.Applied != 0 {
		t.Fatalf("%d applied, %d failed, %v; want four failures", r.Applied, r.Failed, err)
	}
	if asked[ref(1)] || asked[ref(2)] || asked[ref(9)] {
		t.Errorf("asked the tenant for %v, want only the refused one", asked)
	}
	for taker, giver := range map[string]string{"update user Person 1": "user Person 0",
		"update user Person 2": "user Person 1", "create user Person 9": "user Person 2"} {
		want := "Failed: " + taker + ": " + giver + " still has the address "
		if !slices.ContainsFunc(w.said.messages, func(m string) bool { return strings.HasPrefix(m, want) }) {
			t.Errorf("no message begins with %q: %q", want, w.said.messages)
		}
	}
	w.tenant.hook = nil
	mustRun(t, w)
	if diff := cmp.Diff(allHandedOn, w.tenant.addressed()); diff != "" {
		t.Errorf("after the next run (-want +got):\n%s", diff)
	}
	quiet(t, w)
}

// A change that frees an address may be late. The changes that take addresses come after it in the same run.
func TestAddressesAreHandedOnInOneRun(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]error{
		"at once": nil, "throttled": fault.Errorf(fault.Throttled, "slower"),
		"no answer": fault.Errorf(fault.Unavailable, "connection reset"),
	} {
		w := handedOn(t)
		failed := false
		w.tenant.hook = func(c plan.Change, after bool) error {
			if c.Ref == ref(0) && !failed {
				failed = true
				return first
			}
			return nil
		}
		if r, err := w.run(t.Context()); err != nil || r.Failed != 0 {
			t.Errorf("%s: %d failed, %v", name, r.Failed, err)
		}
		if diff := cmp.Diff(allHandedOn, w.tenant.addressed()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		w.tenant.hook = nil
		quiet(t, w)
	}
}

// The entry that frees an address may have been changed during the run. Then the entry that takes the address is left
// to the next run, too.
func TestATakenAddressIsLeftToTheNextRun(t *testing.T) {
	t.Parallel()
	w := handedOn(t)
	w.said.onPlan = func() {
		w.said.onPlan = nil
		for i := range w.source.snapshot.Entries {
			if e := &w.source.snapshot.Entries[i]; e.Ref() == ref(0) {
				e.Attributes = directory.Attributes{{Name: directory.CommonName, Values: []string{"Changed"}}}
			}
		}
	}
	r, err := w.run(t.Context())
	if err != nil || r.Superseded != 4 || r.Failed != 0 || !r.Repeat {
		t.Fatalf("%d left, %d failed, repeat %v, %v; want four left to a next run", r.Superseded, r.Failed, r.Repeat, err)
	}
	mustRun(t, w)
	if diff := cmp.Diff(allHandedOn, w.tenant.addressed()); diff != "" {
		t.Errorf("after the next run (-want +got):\n%s", diff)
	}
}
