package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const dashboardFile = "grafana/dashboards/rollcall.json"

// ref is a reference to a data source.
type ref struct{ Type, UID string }

// place is where a panel lies.
type place struct{ X, Y, W, H int }

// panel is what these tests look at of a panel, or of a row.
type panel struct {
	ID                       int
	Type, Title, Description string
	GridPos                  place
	Datasource               ref
	Collapsed                bool
	Panels                   []panel
	Targets                  []struct {
		RefID, Expr    string
		Datasource     ref
		Range, Instant bool
	}
	FieldConfig struct{ Defaults struct{ Unit string } }
}

type dashboard struct {
	UID           string
	SchemaVersion int
	Templating    struct {
		List []struct {
			Name, Type string
			Query      any
			Current    struct{ Value any }
		}
	}
	Annotations struct {
		List []struct {
			Datasource ref
			Target     struct{ Expr string }
		}
	}
	Panels []panel
}

func readDashboard(t *testing.T) (d dashboard, text string) {
	t.Helper()
	data, err := os.ReadFile(dashboardFile)
	if err == nil {
		err = json.Unmarshal(data, &d)
	}
	if err != nil {
		t.Fatalf("%s: %v", dashboardFile, err)
	}
	return d, string(data)
}

// all returns the panels, those in closed rows, too, without the rows.
func (d *dashboard) all() (out []panel) {
	for _, p := range d.Panels {
		if p.Type != "row" {
			out = append(out, p)
		}
		out = append(out, p.Panels...)
	}
	return out
}

// exprs returns every query of the dashboard by what asks it.
func (d *dashboard) exprs() map[string]string {
	out := map[string]string{}
	for _, p := range d.all() {
		for _, q := range p.Targets {
			out[p.Title+" "+q.RefID] = q.Expr
		}
	}
	for i, a := range d.Annotations.List {
		out[fmt.Sprint("annotation ", i)] = a.Target.Expr
	}
	return out
}

// Each panel says what it shows, in what unit, and asks the data source that was chosen.
func TestPanelsAreComplete(t *testing.T) {
	t.Parallel()
	d, _ := readDashboard(t)
	chosen := ref{"prometheus", "${datasource}"}
	types := []string{"stat", "timeseries", "heatmap", "state-timeline", "bargauge", "table", "text"}
	units := []string{"short", "s", "percentunit", "reqps", "bytes", "dateTimeFromNow"}
	titles := map[string]bool{}
	for _, p := range d.all() {
		if p.Title == "" || titles[p.Title] {
			t.Errorf("panel %d: title %q: want one, and one of its own", p.ID, p.Title)
		}
		titles[p.Title] = true
		if !slices.Contains(types, p.Type) {
			t.Errorf("%s: type %q, want one of %q", p.Title, p.Type, types)
		}
		if p.Type == "text" {
			continue
		}
		if !strings.HasSuffix(p.Description, ".") {
			t.Errorf("%s: description %q, want sentences", p.Title, p.Description)
		}
		if u := p.FieldConfig.Defaults.Unit; !slices.Contains(units, u) {
			t.Errorf("%s has the unit %q, want one of %q", p.Title, u, units)
		}
		if p.Datasource != chosen || len(p.Targets) == 0 {
			t.Errorf("%s: data source %v and %d queries, want %v and some", p.Title, p.Datasource, len(p.Targets), chosen)
		}
		for _, q := range p.Targets {
			if q.Datasource != chosen || q.Range == q.Instant {
				t.Errorf("%s %s: data source %v, range %v, instant %v: want %v, and one of the two", p.Title, q.RefID,
					q.Datasource, q.Range, q.Instant, chosen)
			}
		}
	}
	for _, a := range d.Annotations.List {
		if a.Datasource != chosen {
			t.Errorf("an annotation asks %v, want %v", a.Datasource, chosen)
		}
	}
}

// The test covers what is provisioned. deploy/grafana/provisioning names the data source, and a bookmark the
// dashboard.
func TestDashboardVariables(t *testing.T) {
	t.Parallel()
	d, _ := readDashboard(t)
	got := map[string]any{"uid": d.UID}
	for _, v := range d.Templating.List {
		got[v.Name] = []any{v.Type, v.Query, v.Current.Value}
	}
	want := map[string]any{
		"uid":        "rollcall",
		"datasource": []any{"datasource", "prometheus", "prometheus"},
		"container": []any{
			"query", map[string]any{"query": "label_values(rollcall_container_info, container)", "refId": "container"},
			[]any{"$__all"},
		},
		"api":  []any{"textbox", "http://127.0.0.1:8080", "http://127.0.0.1:8080"},
		"docs": []any{"textbox", "https://example.com/rollcall/docs", "https://example.com/rollcall/docs"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if d.SchemaVersion < 41 {
		t.Errorf("schemaVersion is %d, want that of Grafana 12 or newer", d.SchemaVersion)
	}
}

// overlap reports whether two panels share a place.
func (a place) overlap(b place) bool {
	return a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H
}

// Panels have a number of their own and lie side by side. The first line is one line. The panels of a closed row lie
// below it, and what follows the row comes up to it.
func TestPanelsLieSideBySide(t *testing.T) {
	t.Parallel()
	d, _ := readDashboard(t)
	ids := map[int]string{}
	var look func(panels []panel, from int)
	look = func(panels []panel, from int) {
		for i, p := range panels {
			if other, taken := ids[p.ID]; taken || p.ID < 1 {
				t.Errorf("%s has the id %d, as %q", p.Title, p.ID, other)
			}
			ids[p.ID] = p.Title
			if g := p.GridPos; g.W < 1 || g.H < 1 || g.X < 0 || g.X+g.W > 24 || g.Y < from {
				t.Errorf("%s lies at %+v, want within 24 columns and at or below %d", p.Title, g, from)
			}
			for _, q := range panels[:i] {
				if p.GridPos.overlap(q.GridPos) {
					t.Errorf("%s at %+v lies upon %s at %+v", p.Title, p.GridPos, q.Title, q.GridPos)
				}
			}
			if p.Collapsed != (len(p.Panels) > 0) {
				t.Errorf("%s: closed is %v, with %d panels of its own", p.Title, p.Collapsed, len(p.Panels))
			}
			look(p.Panels, p.GridPos.Y+1)
		}
	}
	look(d.Panels, 0)
	var first []string
	for _, p := range d.Panels {
		if p.Type == "stat" && p.GridPos.Y == 1 {
			first = append(first, p.Title)
		}
	}
	want := []string{"Health", "Since the last success", "Held changes", "Failed changes", "Quota left", "Workers",
		"Redis"}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("the first line (-want +got)\n%s", diff)
	}
}

var (
	histogram = regexp.MustCompile(`_(?:bucket|sum|count)$`)
	selector  = regexp.MustCompile(`\b(rollcall_\w+)\{([^}]*)\}`)
	matcher   = regexp.MustCompile(`(\w+)(?:=~|!~|!=|=)"`)
)

// The dashboard asks for what is exported or recorded, with labels that it has, and shows all of it.
func TestDashboardAsksForWhatIsThere(t *testing.T) {
	t.Parallel()
	d, _ := readDashboard(t)
	catalogue := exported(t)
	_, recorded := rules(t)
	used := map[string]bool{}
	for from, expr := range d.exprs() {
		for _, n := range names(expr, metricName) {
			n = histogram.ReplaceAllString(n, "")
			used[n] = true
			if _, known := catalogue[n]; !known {
				t.Errorf("%s asks for %s, which is not in %s", from, n, metrics)
			}
		}
		for _, n := range names(expr, recordedName) {
			if !slices.ContainsFunc(recorded, func(r rule) bool { return r.Record == n }) {
				t.Errorf("%s asks for %s, which nobody records", from, n)
			}
		}
		for _, m := range selector.FindAllStringSubmatch(expr, -1) {
			has := append([]string{"job", "instance", "le"}, catalogue[histogram.ReplaceAllString(m[1], "")]...)
			for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
				if !slices.Contains(has, l[1]) {
					t.Errorf("%s asks for the label %s of %s, which has %v", from, l[1], m[1], has)
				}
			}
		}
	}
	for _, n := range slices.Sorted(maps.Keys(catalogue)) {
		if !used[n] {
			t.Errorf("nothing shows %s", n)
		}
	}
}

// A panel that makes one number of the series of a metric has one for each of its values.
func TestDashboardKnowsEveryValue(t *testing.T) {
	t.Parallel()
	d, _ := readDashboard(t)
	text, err := os.ReadFile("../" + metrics)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(slices.Collect(maps.Values(d.exprs())), "\n")
	for _, m := range []struct{ metric, label string }{{"last_run_result", "result"}, {"last_run_fault", "fault"},
		{"run_active", "state"}} {
		row := regexp.MustCompile("(?m)^\\| `" + m.label + "` \\| [^|]*`" + m.metric +
			"`[^|]*\\| (.*) \\|$").FindStringSubmatch(string(text))
		if row == nil {
			t.Errorf("%s has no values of the label %s of %s", metrics, m.label, m.metric)
			continue
		}
		for value := range strings.FieldsSeq(strings.ReplaceAll(row[1], "`", "")) {
			if want := fmt.Sprintf(`* rollcall_%s{container=~"$container",%s=%q}`, m.metric, m.label,
				value); !strings.Contains(all, want) {
				t.Errorf("nothing asks for %s", want)
			}
		}
	}
}

// Prometheus can read each query.
func TestDashboardQueriesAreWellFormed(t *testing.T) {
	t.Parallel()
	d, _ := readDashboard(t)
	var b strings.Builder
	b.WriteString("groups:\n  - name: dashboard\n    rules:\n")
	variables := strings.NewReplacer("$__rate_interval", "1m", "$container", ".+")
	for i, from := range slices.Sorted(maps.Keys(d.exprs())) {
		expr := variables.Replace(d.exprs()[from])
		if strings.Contains(strings.ReplaceAll(expr, `|"`, `"`), "$") {
			t.Errorf("%s has a variable that nobody sets: %s", from, expr)
		}
		fmt.Fprintf(&b, "      - {record: 'query:%d', expr: %q, labels: {from: %q}}\n", i, expr, from)
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", file).CombinedOutput()
	if err != nil {
		t.Errorf("%v: install it (Debian and Ubuntu: apt-get install prometheus)\n%s\n%s", err, out, b.String())
	}
}

// Every link into the documentation leads to a section that is there, and every alert has one.
func TestDashboardLinks(t *testing.T) {
	t.Parallel()
	_, text := readDashboard(t)
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`\$\{docs:raw\}/([\w.-]+)(?:#([\w-]+))?`).FindAllStringSubmatch(text, -1) {
		found[m[2]] = true
		page, err := os.ReadFile("../docs/" + m[1])
		if err != nil {
			t.Errorf("%s: %v", m[0], err)
			continue
		}
		anchors := []string{""}
		for _, h := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(page), -1) {
			anchors = append(anchors, strings.ReplaceAll(strings.ToLower(h[1]), " ", "-"))
		}
		if !slices.Contains(anchors, m[2]) {
			t.Errorf("%s: docs/%s has no such section", m[0], m[1])
		}
	}
	if !strings.Contains(text, "${api:raw}/asynqmon/") {
		t.Error("nothing leads to asynqmon")
	}
	alerts, _ := rules(t)
	for name := range alerts {
		if !found[strings.ToLower(name)] {
			t.Errorf("nothing leads to the runbook of %s", name)
		}
	}
}
