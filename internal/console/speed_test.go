package console_test

import (
	"fmt"
	"strings"
	"testing"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/redistest"
	"rollcall/plan"
	"rollcall/status"
)

// hundred returns a hall with 100 sources and providers. Each has runs and one held change.
func hundred(t testing.TB, runs int) *hall {
	t.Helper()
	resources := []api.Resource{{Container: corp, Name: "Corporate directory"}}
	for i := range 99 {
		resources = append(resources, api.Resource{Container: container.ID(fmt.Sprintf("google_workspace:%d", i+1)),
			Name: fmt.Sprintf("Tenant %d", i+1)})
	}
	h := hallOn(t, redistest.Start(t), true, resources)
	for _, res := range resources {
		for range runs {
			h.run(res.Container, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
		}
		h.hold(res.Container, "r", leaver("ada"))
	}
	return h
}

func TestOverviewOfAHundred(t *testing.T) {
	t.Parallel()
	page := hundred(t, 1).get("/")
	if n := strings.Count(page, "<article"); n != 100 || !strings.Contains(page, `<b class="badge">100</b>`) {
		t.Errorf("%d cards, want 100, and 100 held changes: %s", n, page)
	}
}

// The first view of 100 sources and providers with 30 runs each.
func BenchmarkOverview(b *testing.B) {
	h := hundred(b, 30)
	for b.Loop() {
		h.get("/")
	}
}
