package reconcile_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/reconcile"
)

func (w *world) undo(t *testing.T, of reconcile.Report, dryRun bool) (reconcile.Report, error) {
	t.Helper()
	scope := reconcile.Undoing(&plan.Undone{Run: "mistake", At: w.now, By: "ops", Changes: of.Apply.Changes})
	if dryRun {
		scope = scope.DryRun()
	}
	return w.engine().Execute(t.Context(), w.runOf("undo", scope))
}

// mistaken is a world in which two people of a crew were lost by mistake and one person was renamed.
func mistaken(t *testing.T) (w *world, before map[string]string, mistake reconcile.Report) {
	t.Helper()
	w = newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	before = w.tenant.picture()
	w.source.snapshot.Entries = slices.DeleteFunc(company(),
		func(e directory.Entry) bool { return e.ID == "u002" || e.ID == "u004" })
	for i := range w.source.snapshot.Entries { // The directory forgot them as members, too.
		e := &w.source.snapshot.Entries[i]
		e.Members = slices.DeleteFunc(slices.Clone(e.Members),
			func(r directory.Ref) bool { return r.ID == "u002" || r.ID == "u004" })
	}
	mistake, err := w.run(t.Context())
	if err != nil || mistake.Applied != 5 { // Two suspensions and three memberships.
		t.Fatalf("the mistake made %d changes, err %v, held %v; want 5", mistake.Applied, err, mistake.Held.Changes)
	}
	return w, before, mistake
}

func TestAnUndoneRunStaysUndone(t *testing.T) {
	t.Parallel()
	w, before, mistake := mistaken(t)
	if r, err := w.undo(t, mistake, true); err != nil || len(r.Apply.Changes) != 5 || len(w.gate.pins) != 0 {
		t.Fatalf("a dry undo plans %d changes and pins %d, err %v; want 5 and none", len(r.Apply.Changes),
			len(w.gate.pins), err)
	}
	w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(20))
	r, err := w.undo(t, mistake, false)
	if err != nil || r.Applied != 5 {
		t.Fatalf("the undo made %d changes, err %v; want 5, and the joiner left to the next sync", r.Applied, err)
	}
	if diff := cmp.Diff(before, w.tenant.picture()); diff != "" {
		t.Fatalf("after the undo (-want +got):\n%s", diff)
	}
	mustRun(t, w) // the joiner
	quiet(t, w)
	if got := w.tenant.picture()["u002@example.com"]; got != before["u002@example.com"] {
		t.Errorf("after another sync u002 is %s, want %s", got, before["u002@example.com"])
	}

	// The source has both people back. Their pins end, and a later departure is a departure again.
	w.source.snapshot.Entries = append(company(), person(20))
	quiet(t, w)
	if len(w.gate.pins) != 0 {
		t.Errorf("pins are left: %+v", w.gate.pins)
	}
	w.source.snapshot.Entries = slices.DeleteFunc(append(company(), person(20)),
		func(e directory.Entry) bool { return e.ID == "u009" || e.ID == "g002" })
	mustRun(t, w)
	if got := w.tenant.picture()["u009@example.com"]; !strings.Contains(got, "active=false") {
		t.Errorf("who left in earnest is %s", got)
	}
}

func TestAPinThatIsLifted(t *testing.T) {
	t.Parallel()
	w, _, mistake := mistaken(t)
	after := w.tenant.picture()
	if _, err := w.undo(t, mistake, false); err != nil {
		t.Fatal(err)
	}
	w.gate.pins, w.gate.taken = nil, 0 // A day later.

	mustRun(t, w)
	if diff := cmp.Diff(after, w.tenant.picture()); diff != "" {
		t.Errorf("after the pins were lifted (-want +got):\n%s", diff)
	}
}

func TestAnObjectJobKeepsToPins(t *testing.T) {
	t.Parallel()
	w, before, mistake := mistaken(t)
	if _, err := w.undo(t, mistake, false); err != nil {
		t.Fatal(err)
	}
	if r, err := w.run(t.Context(), ref(2)); err != nil || !r.Apply.Empty() {
		t.Errorf("the object job of a pinned person plans %v, err %v; want nothing", r.Apply.Changes, err)
	}
	if diff := cmp.Diff(before, w.tenant.picture()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnUndoThatDies checks that an undo that is cut off anywhere reaches the same end when it runs again.
func TestAnUndoThatDies(t *testing.T) {
	t.Parallel()
	for cut := range 12 {
		w, before, mistake := mistaken(t)
		left := cut
		w.tenant.hook = func(plan.Change, bool) error {
			if left--; left < 0 {
				return fault.Errorf(fault.Denied, "cut off")
			}
			return nil
		}
		_, err := w.undo(t, mistake, false)
		if len(w.gate.pins) == 0 {
			t.Fatalf("cut %d: nothing is pinned before the first write", cut)
		}
		w.tenant.hook = nil
		if err != nil && cut%2 == 0 { // It is resumed. Otherwise the next sync continues from the pins.
			_, err = w.undo(t, mistake, false)
		} else {
			_, err = w.run(t.Context())
		}
		if err != nil {
			t.Fatalf("cut %d: again = %v", cut, err)
		}
		if diff := cmp.Diff(before, w.tenant.picture()); diff != "" {
			t.Errorf("cut %d (-want +got):\n%s", cut, diff)
		}
		quiet(t, w)
	}
}

func TestAnUndoIsGuarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	first, err := w.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	before := w.tenant.picture()
	r, err := w.undo(t, first, false) // It undoes a first provisioning and would remove everything.
	if err != nil || r.Applied != 0 || len(r.Held.Changes) == 0 {
		t.Fatalf("the undo made %d changes and holds %d, err %v; want them held", r.Applied, len(r.Held.Changes), err)
	}
	if diff := cmp.Diff(before, w.tenant.picture()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAPinThatIsLiftedMeanwhile checks that a run that read the pins before does not restore them.
func TestAPinThatIsLiftedMeanwhile(t *testing.T) {
	t.Parallel()
	w, _, mistake := mistaken(t)
	if _, err := w.undo(t, mistake, false); err != nil {
		t.Fatal(err)
	}
	lift := func(change plan.Change, _ bool) error {
		w.gate.mu.Lock()
		defer w.gate.mu.Unlock()
		clear(w.gate.pins)
		return nil
	}
	// The source wants a part of u002's pin by itself, so the pin is rewritten at the end of the run.
	for i := range w.source.snapshot.Entries {
		if e := &w.source.snapshot.Entries[i]; e.ID == "g000" {
			e.Members = slices.Insert(slices.Clone(e.Members), 2, ref(2))
		}
	}
	w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(20))
	w.tenant.hook = lift
	mustRun(t, w)
	if len(w.gate.pins) != 0 {
		t.Errorf("pins that were lifted during a run are back: %+v", w.gate.pins)
	}

	// The undo of another run does not restore it either.
	w.tenant.hook = nil
	if _, err := w.undo(t, mistake, false); err != nil {
		t.Fatal(err)
	}
	other := reconcile.Report{}
	other.Apply.Changes = slices.DeleteFunc(slices.Clone(mistake.Apply.Changes),
		func(c plan.Change) bool { return c.ID != "u004" })
	w.said.onPlan = func() {
		w.gate.mu.Lock()
		defer w.gate.mu.Unlock()
		clear(w.gate.pins)
	}
	if _, err := w.undo(t, other, false); err != nil {
		t.Fatal(err)
	}
	if len(w.gate.pins) != 1 {
		t.Errorf("pinned are %+v, want u004 alone", w.gate.pins)
	}
}

// TestPinsOutliveADoubtfulRead checks that an entry stays pinned if a doubtful read lacks it and the next read has
// it.
func TestPinsOutliveADoubtfulRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	disabled := company()
	disabled[4].Active = false
	w.source.snapshot.Entries = disabled
	mistake, err := w.run(t.Context())
	if err != nil || mistake.Applied == 0 {
		t.Fatalf("the mistake made %d changes, err %v", mistake.Applied, err)
	}
	if _, err := w.undo(t, mistake, false); err != nil {
		t.Fatal(err)
	}
	before := w.tenant.picture()
	w.source.snapshot.Entries = slices.DeleteFunc(slices.Clone(disabled),
		func(e directory.Entry) bool { return e.ID == "u004" })
	w.source.snapshot.Doubts = []string{"a part of the directory did not answer"}
	mustRun(t, w)
	w.source.snapshot.Entries, w.source.snapshot.Doubts = disabled, nil
	mustRun(t, w)
	if diff := cmp.Diff(before, w.tenant.picture()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
