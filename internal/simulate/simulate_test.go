package simulate

import (
	"context"
	"flag"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// TestMain sets the number of histories and the seed where the command line does not, so that a test does the same each
// time. One thread makes a history repeatable.
func TestMain(m *testing.M) {
	_ = flag.Set("rapid.seed", "1")
	_ = flag.Set("rapid.checks", strconv.Itoa(histories))
	flag.Parse()
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400) // Scripts on miniredis make much garbage, each a state of Lua.
	os.Exit(m.Run())
}

// TestSimulation carries out histories. `make simulate` runs more of them, and one again by its seed.
func TestSimulation(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		h := draw(rt)
		rapid.SyncTest(rt, func(rt *rapid.T) { h.play(rt) })
	})
}

// reporter is a test of either kind.
type reporter interface {
	Logf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// play carries out a history and checks every promise.
func (h history) play(t reporter) {
	s := newSim(h.setup)
	defer s.close()
	for i, e := range h.events {
		s.carryOut(e)
		if err := s.check(); err != nil {
			s.report(t, h)
			t.Fatalf("after event %d: %v", i+1, err)
		}
	}
	if err := s.converge(); err != nil {
		s.report(t, h)
		t.Fatalf("%v", err)
	}
}

// report prints a history and the trace.
func (s *sim) report(t reporter, h history) {
	t.Logf("the history:\n%s", h)
	for _, line := range s.log {
		t.Logf("%s", line)
	}
	for i := range s.tenant.trace {
		t.Logf("%s", &s.tenant.trace[i])
	}
}

func (s *sim) ctx() context.Context { return context.Background() }

func memory(s *sim, c *jobs.Container) reconcile.Memory {
	return jobs.NewMemory(s.api.decisions, c.Name)
}

// noJournal discards.
type noJournal struct{}

func (noJournal) Read(int, int, int)                                  {}
func (noJournal) Planned(context.Context, plan.Plan, plan.Plan) error { return nil }
func (noJournal) Done(*plan.Change, provider.Result)                  {}
func (noJournal) Applied(*reconcile.Report, error)                    {}
func (noJournal) Say(reconcile.Level, string, map[string]any)         {}
