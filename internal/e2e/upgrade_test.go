package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
)

// newBuild makes the worker of another release.
func newBuild(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "worker")
	out, err := exec.Command("go", "build", "-o", path, "-ldflags", "-X rollcall/internal/buildinfo.version=v999.0.0",
		"rollcall/cmd/worker").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return path
}

// During a rolling upgrade to another build with another file only one configuration counts. No person is suspended
// and restored in turns, and no run waits for long.
func TestRollingUpgrade(t *testing.T) {
	t.Parallel()
	const people = 30
	w := newWorld(t, options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(people, 2, 5)}})
	w.both()
	old := w.workers[0]

	file := strings.TrimPrefix(w.env[1], "ROLLCALL_CONFIG=")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(text), "sources: [corp]", `sources: [corp]
      exclude: ["u000001", "u000002", "u000003"]`, 1)
	path := filepath.Join(filepath.Dir(file), "newer.yaml")
	if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	env := append([]string{"ROLLCALL_METRICS_LISTEN=off"}, w.env...)
	upgraded := begin(t, "upgraded", exec.Command(newBuild(t)), append(env, "ROLLCALL_CONFIG="+path))
	t.Cleanup(func() { upgraded.stop(t) })
	upgraded.says(t, "worker runs")

	suspended := 0
	var took []time.Duration
	for range 8 {
		began := time.Now()
		r := w.finish(google)
		took = append(took, time.Since(began))
		if r.Worker != upgraded.worker(t) {
			t.Errorf("the run was executed by %s, want the upgraded worker", r.Worker)
		}
		suspended += r.made()["user deactivate"]
		if restored := r.made()["user activate"]; restored > 0 {
			t.Errorf("%d people were restored", restored)
		}
	}
	slices.Sort(took)
	if took[4] > 5*time.Second { // The machine may stand still in some of them.
		t.Errorf("the runs took %v, want less than 5 s", took)
	}
	if suspended != 3 {
		t.Errorf("%d people were suspended, want each of the three once", suspended)
	}
	old.says(t, "the worker does not execute a container")
	var status struct{ Tasks []struct{ Messages []event } }
	w.get(google+"sync/status/", &status)
	said := status.Tasks[0].Messages
	if last := said[len(said)-1]; !strings.HasPrefix(last.Event,
		"this API has another configuration of google_workspace:1") {
		t.Errorf("the status says %q, want that the configurations differ", last.Event)
	}
	upgraded.stop(t)
	if r := w.finish(google); r.Worker != old.worker(t) {
		t.Errorf("the run was executed by %s, want the old worker", r.Worker)
	}
}
