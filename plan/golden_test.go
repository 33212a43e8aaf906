package plan_test

import (
	"bytes"
	std "cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"
	"gopkg.in/yaml.v3"

	"rollcall/directory"
	"rollcall/plan"
)

var update = flag.Bool("update", false, "rewrite the plans in testdata")

// TestPlans computes and guards the plan of each file in testdata. A file has a directory and a tenant, and the plan
// that follows as `rollcall plan --all` prints it below its totals. testdata/README.md describes the format.
func TestPlans(t *testing.T) {
	t.Parallel()
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(paths) == 0 {
		t.Fatalf("%d files: %v", len(paths), err)
	}
	var all strings.Builder
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := slices.IndexFunc(archive.Files, func(f txtar.File) bool { return f.Name == "plan" })
		if at < 0 {
			t.Fatalf("%s has no plan", path)
		}
		apply, held := planOf(t, path, archive)
		got := printedPlan(t, apply, held)
		for i := range held.Changes {
			fmt.Fprintln(&all, "rule", held.Changes[i].Guard, held.Changes[i].Brake())
		}
		for _, h := range slices.Concat(apply.Held, held.Held) {
			fmt.Fprintln(&all, "reason", h.Reason)
		}
		for _, n := range apply.Notes {
			fmt.Fprintln(&all, "reason", n.Reason)
		}
		for _, c := range slices.Concat(apply.Changes, held.Changes) {
			fmt.Fprintln(&all, "op", c.Op, "reason", c.Why)
			if c.RemoteID == "" && c.Op != plan.Create && !c.Op.Membership() && !c.Refers {
				t.Errorf("%s: %s %s names no object", path, c.Op, c.Ref)
			}
		}
		if *update {
			archive.Files[at].Data = []byte(got)
			if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(string(archive.Files[at].Data), got); diff != "" {
			t.Errorf("%s; if the change is meant, run go test ./plan -run TestPlans -update (-file +got)\n%s", path, diff)
		}
	}
	everyRuleHasAFile(t, all.String())
}

// everyRuleHasAFile checks that the files together show each operation, reason, guard and brake.
func everyRuleHasAFile(t *testing.T, all string) {
	t.Helper()
	for _, r := range plan.Rules() {
		if !strings.Contains(all, "rule "+string(r)+" ") {
			t.Errorf("no file shows the guard %q", r)
		}
	}
	for _, b := range []plan.Brake{plan.BrakeLeave, plan.BrakeMembers, plan.BrakeReactivate, plan.BrakeRename} {
		if !regexp.MustCompile(`(?m)^rule (limit|half|empty|members|reactivate|rename) ` + string(b) + `$`).MatchString(all) {
			t.Errorf("no file shows the brake %q", b)
		}
	}
	for _, r := range plan.Reasons() {
		if r == plan.Reverted || r == plan.PinLost { // An undo has tests of its own.
			continue
		}
		if !strings.Contains(all, "reason "+string(r)+"\n") {
			t.Errorf("no file shows the reason %q", r)
		}
	}
	for _, op := range plan.Ops() {
		if !strings.Contains(all, "op "+op.String()+" ") {
			t.Errorf("no file shows the operation %q", op)
		}
	}
}

// printedPlan is the plan as a person sees it, without the totals.
func printedPlan(t *testing.T, apply, held plan.Plan) string {
	t.Helper()
	var b bytes.Buffer
	if err := plan.Print(&b, apply, held, plan.Style{All: true}); err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(b.String(), "\n\n")
	if !found {
		return "no change\n"
	}
	return text
}

// settings is the configuration and what else a plan depends on.
type settings struct {
	UserDeleteAction  plan.Action   `yaml:"user_delete_action"`
	GroupDeleteAction plan.Action   `yaml:"group_delete_action"`
	DeleteAfter       time.Duration `yaml:"delete_after"`
	Adoption          plan.Adoption `yaml:"adoption"`
	RequireApproval   string        `yaml:"require_approval"`
	Limits            plan.DayLimits
	// LocalCopy plans the first hop, from the directory to the local copy.
	LocalCopy bool `yaml:"local_copy"`
	// RenameKeepsAddress and UndeleteWithin are facts of the tenant.
	RenameKeepsAddress bool          `yaml:"rename_keeps_address"`
	UndeleteWithin     time.Duration `yaml:"undelete_within"`
	// Refers are the fields that name other accounts.
	Refers         []string `yaml:"refers"`
	DeletedUnknown string   `yaml:"deleted_unknown"`
	// EndsSessions says that the tenant lets us end the sessions of an account.
	EndsSessions bool `yaml:"ends_sessions"`
	// Ordered are the users who have to leave by order of a person.
	Ordered []directory.ID
	// Doubt, OlderRead and MemoryLost say why the read is in doubt, and Clocks why the time is.
	Clocks     string
	Doubt      string
	OlderRead  string `yaml:"older_read"`
	MemoryLost string `yaml:"memory_lost"`
	// Only names the entry of an object job.
	Only string
	// Others is how many more accounts of ours there are that an object job does not look up.
	Others  int
	Spent   struct{ Leave, Reactivate, Rename int }
	Decided map[string]plan.Verdict
	// NewSources are sources that the tenant was never synced from.
	NewSources []plan.NewSource `yaml:"new_sources"`
	Missing    []struct {
		Attribute, Field string
		Now, Before      int
		Activity         bool
	}
}

func planOf(t *testing.T, path string, archive *txtar.Archive) (apply, held plan.Plan) {
	t.Helper()
	set := settings{UserDeleteAction: plan.ActionSuspend, GroupDeleteAction: plan.ActionDoNothing,
		DeleteAfter: 720 * time.Hour}
	in := plan.Input{Now: now, Links: map[directory.Ref]plan.Link{}}
	for _, f := range archive.Files {
		read := map[string]func(*plan.Input, line){"directory": directoryLine, "tenant": tenantLine, "memory": memoryLine}
		switch {
		case f.Name == "plan":
		case f.Name == "settings":
			d := yaml.NewDecoder(bytes.NewReader(f.Data))
			d.KnownFields(true)
			if err := d.Decode(&set); err != nil {
				t.Fatalf("%s: settings: %v", path, err)
			}
		case read[f.Name] != nil:
			for _, l := range parseLines(t, path, string(f.Data)) {
				read[f.Name](&in, l)
			}
		default:
			t.Fatalf("%s: unknown section %q", path, f.Name)
		}
	}
	limits, spent := set.apply(&in)
	p := plan.Compute(in)
	for i := range p.Changes { // A decision names a change as "suspend user ada".
		name := fmt.Sprintf("%s %s %s", p.Changes[i].Op, p.Changes[i].Kind, p.Changes[i].Label)
		if v, ok := set.Decided[name]; ok {
			limits.Verdicts[p.Changes[i].Fingerprint()] = v
		}
	}
	return p.Guard(limits, spent)
}

// apply puts the settings into the input, and returns what Guard takes.
func (s *settings) apply(in *plan.Input) (plan.Limits, plan.Budget) {
	in.Policy = plan.Policy{UserDeleteAction: s.UserDeleteAction, GroupDeleteAction: s.GroupDeleteAction,
		DeleteAfter: s.DeleteAfter, Adoption: s.Adoption}
	in.Capabilities = plan.Capabilities{Mirror: s.LocalCopy, RenameKeepsAddress: s.RenameKeepsAddress,
		UndeleteWithin: s.UndeleteWithin, Refers: s.Refers}
	in.State.DeletedUnknown, in.Forgotten, in.State.EndsSessions = s.DeletedUnknown, s.MemoryLost, s.EndsSessions
	for _, id := range s.Ordered {
		in.Orders = append(in.Orders, plan.Order{Ref: directory.Ref{Kind: directory.User, ID: id}, By: "grace", At: in.Now})
	}
	if s.Doubt != "" {
		in.Doubts = []string{s.Doubt}
	}
	if s.Only != "" {
		in.Only = []directory.Ref{refOf(s.Only)}
	}
	in.State.Others.User = s.Others
	for _, m := range s.Missing {
		in.Missing = append(in.Missing, plan.Missing{Before: m.Before, Coverage: directory.Coverage{Kind: directory.User,
			Name: m.Attribute, Attributes: []string{m.Field}, Entries: m.Now, Activity: m.Activity}})
	}
	return plan.Limits{DayLimits: s.Limits, Approval: s.RequireApproval, Stale: s.OlderRead, Clocks: s.Clocks,
			NewSources: s.NewSources, Verdicts: map[string]plan.Verdict{}}, plan.Budget{User: s.Spent.Leave,
			Reactivated: plan.Tally{User: s.Spent.Reactivate}, Renamed: plan.Tally{User: s.Spent.Rename}}
}

// line is one entry or object: kind, id, address and then words and values.
type line struct {
	ref     directory.Ref
	address string
	words   map[string]bool
	values  map[string]string
	order   []string
}

var (
	span = regexp.MustCompile(`\{(\d+)\.\.(\d+)\}`)
	part = regexp.MustCompile(`(?:[^\s"]|"[^"]*")+`)
)

// each returns text once for every number of its range, or text alone if it has none.
func each(text string) []string {
	m := span.FindStringSubmatch(text)
	if m == nil {
		return []string{text}
	}
	from, _ := strconv.Atoi(m[1]) // The expression takes digits alone.
	to, _ := strconv.Atoi(m[2])
	var out []string
	for i := from; i <= to; i++ {
		out = append(out, span.ReplaceAllString(text, strconv.Itoa(i)))
	}
	return out
}

func parseLines(t *testing.T, path, text string) (out []line) {
	t.Helper()
	for raw := range strings.Lines(text) {
		raw = strings.TrimSpace(raw)
		if raw == "" || strings.HasPrefix(raw, "#") {
			continue
		}
		head := part.FindAllString(raw, 2)
		if len(head) < 2 || !slices.Contains([]string{"user", "group", "deleted"}, head[0]) {
			t.Fatalf("%s: %q: want user, group or deleted, and an id", path, raw)
		}
		repeated := []string{raw}
		if span.MatchString(head[1]) {
			repeated = each(raw)
		}
		for _, one := range repeated {
			out = append(out, parseLine(one))
		}
	}
	return out
}

func parseLine(text string) line {
	l := line{words: map[string]bool{}, values: map[string]string{}}
	parts := part.FindAllString(text, -1)
	l.ref = directory.Ref{Kind: directory.User, ID: directory.ID(parts[1])}
	if parts[0] == "group" {
		l.ref.Kind = directory.Group
	}
	for _, p := range parts[2:] {
		p = strings.ReplaceAll(p, `"`, "")
		name, value, valued := strings.Cut(p, "=")
		switch {
		case valued:
			l.values[name] = value
			l.order = append(l.order, name)
		case strings.Contains(p, "@"):
			l.address = p
		default:
			l.words[p] = true
		}
	}
	return l
}

// refOf is the reference "group/staff", or the user where no kind is named.
func refOf(text string) directory.Ref {
	if id, ok := strings.CutPrefix(text, "group/"); ok {
		return group(id)
	}
	return user(strings.TrimPrefix(text, "user/"))
}

// take returns a value that is not a field of the entry.
func (l *line) take(name string) string {
	l.order = slices.DeleteFunc(l.order, func(n string) bool { return n == name })
	return l.values[name]
}

func (l *line) list(name string) (out []string) {
	for text := range strings.SplitSeq(l.take(name), ",") {
		if text != "" {
			out = append(out, each(text)...)
		}
	}
	return out
}

// ago is the time a span before now that a value says; zero where there is none.
func (l *line) ago(name string) time.Time {
	d, err := time.ParseDuration(l.take(name))
	if err != nil {
		return time.Time{}
	}
	return now.Add(-d)
}

// fields are the remaining values; an empty one is a field without a value.
func (l *line) fields() (a directory.Attributes) {
	for _, name := range slices.Sorted(slices.Values(l.order)) {
		values := strings.FieldsFunc(l.values[name], func(r rune) bool { return r == '|' })
		a = append(a, directory.Attribute{Name: name, Values: values})
	}
	return a
}

func directoryLine(in *plan.Input, l line) {
	switch {
	case l.words["out_of_scope"]:
		in.OutOfScope = append(in.OutOfScope, l.ref)
		return
	case l.values["unusable"] != "":
		in.Findings = append(in.Findings, directory.Finding{Ref: l.ref, DN: "uid=" + string(l.ref.ID),
			Problem: l.values["unusable"]})
		return
	}
	d := plan.Desired{Ref: l.ref, Label: string(l.ref.ID), Source: std.Or(l.take("source"), "corp"), Address: l.address,
		Active: !l.words["disabled"], Rekey: l.take("number"), LeaveOut: l.words["left_out"],
		Held:   plan.Reason(l.take("cannot_be_mapped")),
		Detail: l.take("because")}
	if !d.Active {
		d.Why = plan.Disabled
	}
	for _, m := range l.list("members") {
		id, passive := strings.CutSuffix(m, "?")
		d.Members = append(d.Members, plan.Member{Ref: refOf(id), Passive: passive})
	}
	if field := l.take("cannot_be_written"); field != "" {
		name, required := strings.CutSuffix(field, "!")
		d.Withheld = []plan.Withheld{{Field: name, Detail: name + " has a control character", Required: required}}
	}
	other := plan.Desired{Address: l.take("or")}
	d.Fields = l.fields()
	d.AddOption(&other)
	in.Desired = append(in.Desired, d)
}

func tenantLine(in *plan.Input, l line) {
	anchor, deleted := directory.ID(l.take("anchor")), l.ago("deleted")
	if !deleted.IsZero() {
		in.State.Deleted = append(in.State.Deleted, plan.Deleted{Ref: directory.Ref{Kind: l.ref.Kind, ID: anchor},
			RemoteID: string(l.ref.ID), Address: l.address, At: deleted})
		return
	}
	if l.words["not_yet_visible"] {
		in.State.Unsettled = append(in.State.Unsettled, directory.Ref{Kind: l.ref.Kind, ID: anchor})
		return
	}
	suspenders := map[string]plan.Suspender{"": plan.Nobody, "us": plan.Us, "else": plan.Else, "unknown": plan.Unknown}
	by := l.take("suspended_by")
	o := plan.Object{Ref: directory.Ref{Kind: l.ref.Kind, ID: anchor}, RemoteID: string(l.ref.ID), Address: l.address,
		Active: by == "", Suspender: suspenders[by], Aliases: l.list("aliases"), Protected: l.take("protected"),
		ReadOnly: l.take("read_only"), Unreadable: l.words["unreadable"], Members: l.list("members"),
		Label: string(anchor)}
	if l.words["our_mark"] {
		o.Suspender = plan.Us
	}
	o.Fields = l.fields()
	in.State.Objects = append(in.State.Objects, o)
}

func memoryLine(in *plan.Input, l line) {
	in.Links[l.ref] = plan.Link{RemoteID: l.take("account"), Rekey: l.take("number"), Departed: l.ago("left"),
		Inactive: l.words["inactive"]}
}
