package metrics_test

import (
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/metrics"
	"rollcall/provider/all"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

func TestDocsAreUpToDate(t *testing.T) {
	t.Parallel()
	const path = "../../docs/metrics.md"
	want := metrics.Reference(all.Types())
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Errorf("docs/metrics.md is stale; if the change is meant, run go test ./internal/metrics -update (-file +got)\n%s",
			diff)
	}
}

// TestCatalogueFollowsTheConventions checks that names, units and helps are as Prometheus recommends.
func TestCatalogueFollowsTheConventions(t *testing.T) {
	t.Parallel()
	name := regexp.MustCompile(`^rollcall(_[a-z]+)+$`)
	seen := map[string]bool{}
	for _, s := range metrics.Catalogue(all.Types()) {
		for _, m := range s.Metrics {
			if seen[m.Name] {
				t.Errorf("%s is there twice", m.Name)
			}
			seen[m.Name] = true
			if !name.MatchString(m.Name) {
				t.Errorf("%s is no name", m.Name)
			}
			if total := strings.HasSuffix(m.Name, "_total"); total != (m.Kind == metrics.Counter) {
				t.Errorf("%s is a %s: a counter ends in _total, and nothing else does", m.Name, m.Kind)
			}
			if (m.Kind == metrics.Histogram) != (len(m.Buckets) > 0) {
				t.Errorf("%s is a %s with %d buckets", m.Name, m.Kind, len(m.Buckets))
			}
			if !strings.HasSuffix(m.Help, ".") {
				t.Errorf("%s: %q is no sentence", m.Name, m.Help)
			}
			for _, l := range m.Labels {
				if (len(l.Values) == 0) == (l.Meaning == "") {
					t.Errorf("%s: label %s: want its values, or what they are", m.Name, l.Name)
				}
			}
		}
	}
}
