package jobs_test

import (
	"encoding/json"
	"testing"

	"rollcall/plan"
	"rollcall/status"
)

// Every run stores its plan, including a dry run.
func TestARunStoresItsPlan(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.worker("w1")
	dry, err := s.client.StartRun(t.Context(), google, status.Full, true, "tester")
	if err != nil {
		t.Fatal(err)
	}
	dry = s.until(google, dry.ID, status.Completed)
	if !dry.DryRun || dry.Mode != status.Full || s.remote.count() != 0 {
		t.Errorf("dry run %+v; the tenant has %d objects, want none", dry, s.remote.count())
	}
	run := s.until(google, s.start(google).ID, status.Completed)
	for _, run := range []status.Run{dry, run} {
		h, err := s.status.Plan(t.Context(), google, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		if h.Digest != run.PlanDigest || h.DryRun != run.DryRun || h.Idle || h.Rows() != 20 {
			t.Errorf("plan %+v of run %+v, want its 20 changes", h, run)
		}
		rows, err := s.status.PlanRows(t.Context(), h, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range rows {
			var row plan.Row
			if err := json.Unmarshal(text, &row); err != nil || row.Kind != plan.RowChange || row.Change.Op != plan.Create ||
				row.Change.Address == "" {
				t.Errorf("row %s: %v", text, err)
			}
		}
	}
	again := s.until(google, s.start(google).ID, status.Completed)
	if h, err := s.status.NewestPlan(t.Context(), google); err != nil || h.RunID != again.ID || !h.Idle {
		t.Errorf("NewestPlan() = %+v, %v, want that of the run that had nothing to do", h, err)
	}
}
