// Package deploy_test checks what is shipped for running Rollcall, such as the alerts, their unit tests and their
// runbooks.
package deploy_test

import (
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const (
	ruleFile = "prometheus/rules.yml"
	testFile = "prometheus/rules_test.yml"
	runbooks = "docs/operations.md"
	metrics  = "docs/metrics.md"
)

// rule is an alert, or a recording rule.
type rule struct {
	Alert, Record, Expr string
	Labels, Annotations map[string]string
}

// alertCase is one thing that the unit tests expect of one alert.
type alertCase struct {
	Alert    string `yaml:"alertname"`
	EvalTime string `yaml:"eval_time"`
	Firing   []struct {
		Labels      map[string]string `yaml:"exp_labels"`
		Annotations map[string]string `yaml:"exp_annotations"`
	} `yaml:"exp_alerts"`
}

// testGroup is some data with what is expected of them.
type testGroup struct {
	Name   string
	Series []struct{ Series string } `yaml:"input_series"`
	Cases  []alertCase               `yaml:"alert_rule_test"`
}

func load(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err == nil {
		err = yaml.Unmarshal(text, v)
	}
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// rules returns the alerts by name, and the recording rules.
func rules(t *testing.T) (alerts map[string]rule, recorded []rule) {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	load(t, ruleFile, &file)
	alerts = map[string]rule{}
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				recorded = append(recorded, r)
				continue
			}
			if _, twice := alerts[r.Alert]; twice {
				t.Errorf("%s is there twice", r.Alert)
			}
			alerts[r.Alert] = r
		}
	}
	if len(alerts) == 0 || len(recorded) == 0 {
		t.Fatalf("%s has %d alerts and %d recording rules", ruleFile, len(alerts), len(recorded))
	}
	return alerts, recorded
}

// Prometheus takes the rules, and they do what their unit tests say.
func TestPromtool(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Fatalf("%v: install it (Debian and Ubuntu: apt-get install prometheus)", err)
	}
	for _, args := range [][]string{{"check", "rules", ruleFile}, {"test", "rules", testFile}} {
		out, err := exec.CommandContext(t.Context(), promtool, args...).CombinedOutput()
		if err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// Each alert says how urgent it is, what it is about and where to read on.
func TestAlertsAreComplete(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../" + runbooks)
	if err != nil {
		t.Fatal(err)
	}
	headings := map[string]bool{} // by anchor: an alert's name is its heading
	for _, m := range regexp.MustCompile(`(?m)^#+ (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		headings[strings.ToLower(m[1])] = true
	}
	alerts, _ := rules(t)
	for name, r := range alerts {
		if s := r.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s: severity %q, want critical or warning", name, s)
		}
		for _, a := range []string{"summary", "description"} {
			if r.Annotations[a] == "" {
				t.Errorf("%s has no %s", name, a)
			}
		}
		anchor := strings.ToLower(name)
		if want := runbooks + "#" + anchor; r.Annotations["runbook_url"] != want {
			t.Errorf("%s: runbook_url %q, want %q", name, r.Annotations["runbook_url"], want)
		}
		if !headings[anchor] {
			t.Errorf("%s has no runbook: write a section of that name into %s", name, runbooks)
		}
		delete(headings, anchor)
	}
	for anchor := range headings {
		if strings.HasPrefix(anchor, "rollcall") {
			t.Errorf("%s has a runbook %q, and there is no such alert", runbooks, anchor)
		}
	}
}

// Each alert is shown to fire at one time and not to fire at another one of the same data. The summary of an alert
// about a container names it.
func TestAlertsAreTested(t *testing.T) {
	t.Parallel()
	var file struct{ Tests []testGroup }
	load(t, testFile, &file)
	tested := map[string]bool{}
	for _, g := range file.Tests {
		fires, quiet := map[string]bool{}, map[string]bool{}
		for _, c := range g.Cases {
			if len(c.Firing) == 0 {
				quiet[c.Alert] = true
			}
			for _, f := range c.Firing {
				fires[c.Alert] = true
				if container := f.Labels["container"]; !strings.Contains(f.Annotations["summary"], container) {
					t.Errorf("%s at %s of %q: the summary %q does not name %s", c.Alert, c.EvalTime, g.Name, f.Annotations["summary"],
						container)
				}
			}
		}
		for name := range fires {
			tested[name] = tested[name] || quiet[name]
		}
	}
	alerts, _ := rules(t)
	for name := range alerts {
		if !tested[name] {
			t.Errorf("%s has no test in which it both fires and does not: write one into %s", name, testFile)
		}
	}
}

var (
	metricName   = regexp.MustCompile(`(?:^|[^:\w])(rollcall_\w+)`)
	recordedName = regexp.MustCompile(`\w+:\w+(?::\w+)?`)
	quoted       = regexp.MustCompile(`"[^"]*"`)
)

// names returns what an expression asks for by a pattern.
func names(expr string, pattern *regexp.Regexp) []string {
	found := map[string]bool{}
	for _, m := range pattern.FindAllStringSubmatch(quoted.ReplaceAllString(expr, `""`), -1) {
		found[m[len(m)-1]] = true
	}
	return slices.Sorted(maps.Keys(found))
}

// exported returns the metrics of the catalogue with their labels.
func exported(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../" + metrics)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(rollcall_\\w+)` \\| \\w+ \\| ([^|]*)\\|").FindAllStringSubmatch(
		string(text), -1) {
		out[m[1]] = strings.Fields(strings.ReplaceAll(m[2], "`", ""))
	}
	return out
}

// Data that no process exports would prove nothing.
func TestUnitTestsUseWhatIsExported(t *testing.T) {
	t.Parallel()
	var file struct{ Tests []testGroup }
	load(t, testFile, &file)
	catalogue := exported(t)
	catalogue["up"] = nil
	label := regexp.MustCompile(`(\w+)="`)
	for _, g := range file.Tests {
		for _, s := range g.Series {
			name, rest, _ := strings.Cut(s.Series, "{")
			want, known := catalogue[name]
			want = append([]string{"instance"}, want...)
			if name == "up" {
				want = append(want, "job")
			}
			var got []string
			for _, m := range label.FindAllStringSubmatch(rest, -1) {
				got = append(got, m[1])
			}
			slices.Sort(got)
			slices.Sort(want)
			if !known || !slices.Equal(got, want) {
				t.Errorf("%q: %s: want a metric of %s with the labels %v", g.Name, s.Series, metrics, want)
			}
		}
	}
}

// A rule that asks for a metric that is neither exported nor recorded would never fire.
func TestRulesAskForWhatIsThere(t *testing.T) {
	t.Parallel()
	catalogue := exported(t)
	alerts, recorded := rules(t)
	there := map[string]bool{}
	for _, r := range recorded {
		there[r.Record] = true
	}
	used := map[string]bool{}
	for _, r := range append(recorded, slices.Collect(maps.Values(alerts))...) {
		for _, n := range names(r.Expr, recordedName) {
			used[n] = true
			if !there[n] {
				t.Errorf("%s%s asks for %s, which nobody records", r.Alert, r.Record, n)
			}
		}
		for _, n := range names(r.Expr, metricName) {
			if _, known := catalogue[n]; !known {
				t.Errorf("%s%s asks for %s, which is not in %s", r.Alert, r.Record, n, metrics)
			}
		}
	}
	for n := range there {
		if !used[n] {
			t.Errorf("%s is recorded and no alert asks for it", n)
		}
	}
}
