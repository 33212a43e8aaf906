package reconcile_test

import (
	"testing"

	"rollcall/directory"
	"rollcall/plan"
)

// An order to leave that is given while a run is under way also holds for the changes that the run has planned already.
func TestAnOrderThatIsGivenDuringARun(t *testing.T) {
	t.Parallel()
	for name, states := range map[string][]bool{
		"an account is made":      {true},
		"an account is activated": {true, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for i, active := range states {
				leaver := person(1)
				leaver.Active = active
				w.source.snapshot.Entries = []directory.Entry{person(0), leaver}
				if i == len(states)-1 {
					w.said.onPlan = func() { w.gate.orders = []plan.Order{{Ref: ref(1), By: "grace", At: w.now}} }
				}
				report, err := w.run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if i == len(states)-1 && (report.Superseded != 1 || !report.Repeat) {
					t.Errorf("%d changes are left to the next run, which follows: %v", report.Superseded, report.Repeat)
				}
			}
			if report, err := w.run(t.Context()); err != nil || report.Superseded+report.Failed != 0 {
				t.Errorf("the next run leaves %d changes, and %d fail: %v", report.Superseded, report.Failed, err)
			}
			for _, o := range w.tenant.objects {
				if o.Active != (o.Ref == ref(0)) {
					t.Errorf("%s is active: %v", o.Ref, o.Active)
				}
			}
		})
	}
}
