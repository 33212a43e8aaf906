package grafana

import (
	"flag"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const dashboardFile = "dashboards/rollcall.json"

var update = flag.Bool("update", false, "rewrite "+dashboardFile)

func TestDashboardIsUpToDate(t *testing.T) {
	t.Parallel()
	want := Dashboard()
	if *update {
		if err := os.WriteFile(dashboardFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(dashboardFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale; if the change is meant, run go test ./deploy/grafana -update (-want +got)\n%s",
			dashboardFile, diff)
	}
}
