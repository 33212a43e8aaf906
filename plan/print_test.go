package plan_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

func printed(t *testing.T, apply, held plan.Plan, style plan.Style) string {
	t.Helper()
	var b strings.Builder
	if err := plan.Print(&b, apply, held, style); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 && !style.Color {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	return b.String()
}

// memberships returns n changes of the members of a group.
func memberships(op plan.Op, group string, n int) []plan.Change {
	out := make([]plan.Change, n)
	for i := range out {
		member := directory.Ref{Kind: directory.User, ID: directory.ID(fmt.Sprint("u", i))}
		out[i] = plan.Change{Op: op, Ref: directory.Ref{Kind: directory.Group, ID: directory.ID(group)}, Label: group,
			Member: &member, MemberLabel: fmt.Sprint("person ", i)}
	}
	return out
}

func TestPrintBeginsWithTheTotalsAndGroupsMembers(t *testing.T) {
	t.Parallel()
	ada := directory.Ref{Kind: directory.User, ID: "u-ada"}
	long := strings.Repeat("a long title ", 20)
	apply := plan.Plan{Changes: []plan.Change{
		{Op: plan.Update, Ref: ada, Label: "ada", Address: "ada@example.com",
			Fields: []plan.FieldChange{{Name: "title", After: []string{long}},
				{Name: "userPassword", After: []string{"hunter2"}}}},
		{Op: plan.Suspend, Ref: directory.Ref{Kind: directory.User, ID: "u-bob"}, Label: "bob", Address: "bob@example.com",
			Why: plan.Disabled},
	}, Held: []plan.Held{{Ref: ada, Label: strings.Repeat("x", 60), Reason: plan.NoAddress,
		Detail: "the entry has no address"}}}
	apply.Changes = append(apply.Changes, memberships(plan.AddMember, "team 37", 35)...)
	apply.Changes = append(apply.Changes, memberships(plan.AddMember, "all", 3)...)
	apply.Changes = append(apply.Changes, memberships(plan.RemoveMember, "all", 1)...)
	held := plan.Plan{Changes: memberships(plan.RemoveMember, "staff", 9)}
	for i := range held.Changes {
		held.Changes[i].Guard, held.Changes[i].Held = "limit", "9 of 10 members would go"
	}

	brief := printed(t, apply, held, plan.Style{})
	_, body, _ := strings.Cut(brief, "in conflict")
	want := []string{
		"CHANGES", "  suspend user  bob  bob@example.com because the entry is disabled",
		"  update user   ada  title: (none) → \"a long title a long title",
		"MEMBERS", "  all: +3 -1 members", "  team 37: +35 members", "HELD (9)",
		"  limit: 9 of 10 members would go", "  staff: -9 members", "IN CONFLICT",
	}
	at := 0
	for _, text := range want {
		i := strings.Index(body[at:], text)
		if i < 0 {
			t.Fatalf("no %q after the totals, in this order:\n%s", text, brief)
		}
		at += i
	}
	if strings.Contains(brief, "hunter2") || strings.Contains(brief, "\x1b") || strings.Contains(brief, "person 4") {
		t.Errorf("a secret, a colour or a single member is printed:\n%s", brief)
	}
	all := printed(t, apply, held, plan.Style{All: true})
	if n := strings.Count(all, "person "); n != 35+3+1+9 {
		t.Errorf("%d members, want each of 48:\n%s", n, all)
	}
	if joined := strings.Join(strings.Fields(all), " "); !strings.Contains(joined, strings.TrimSpace(long)) {
		t.Errorf("a long value is not printed in full:\n%s", all)
	}
	if text := printed(t, apply, held, plan.Style{Color: true}); !strings.Contains(text, "\x1b[31msuspend user") ||
		!strings.Contains(text, "\x1b[32mteam 37") {
		t.Errorf("no colours:\n%q", text)
	}
}

func TestPrintEndsASectionThatIsLong(t *testing.T) {
	t.Parallel()
	var apply plan.Plan
	for i := range 40 {
		apply.Changes = append(apply.Changes, plan.Change{Op: plan.Create,
			Ref:     directory.Ref{Kind: directory.User, ID: directory.ID(fmt.Sprint("u", i))},
			Address: fmt.Sprintf("p%d@example.com", i)})
	}
	if text := printed(t, apply, plan.Plan{}, plan.Style{}); !strings.Contains(text,
		"  and 15 more: --all shows them\n") || strings.Contains(text, "p25@") {
		t.Errorf("a section of 40 changes is\n%s", text)
	}
	if n := strings.Count(printed(t, apply, plan.Plan{}, plan.Style{All: true}), "create user"); n != 40 {
		t.Errorf("--all prints %d changes, want 40", n)
	}
}

func TestWordsForOperations(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for _, op := range plan.Ops() {
		got[op.String()] = op.Verb() + ", " + op.Past()
	}
	want := map[string]string{
		"update": "update, updated", "adopt": "adopt, adopted", "reanchor": "re-anchor, re-anchored",
		"restore": "restore, restored", "create": "create, created",
		"undelete": "bring back, brought back", "add_member": "add member, added", "remove_member": "remove member, removed",
		"suspend": "suspend, suspended", "delete": "delete, deleted",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// A mirror has no addresses. The changes that a source run holds are named by the entries of the local directory.
func TestAMirrorNamesWhatLeaves(t *testing.T) {
	t.Parallel()
	gone := plan.Object{Ref: directory.Ref{Kind: directory.User, ID: "u-gone"}, RemoteID: "user/u-gone", Label: "grace",
		Active: true, Version: "1"}
	group := directory.Ref{Kind: directory.Group, ID: "g"}
	team := plan.Object{Ref: group, RemoteID: "group/g", Label: "staff", Active: true, Version: "1", Listed: true,
		Members: []string{"user/u-gone"}}
	p := plan.Compute(plan.Input{
		Now: now, Capabilities: plan.Capabilities{Mirror: true}, State: plan.State{Objects: []plan.Object{gone, team}},
		Desired: []plan.Desired{{Ref: group, Label: "staff", Active: true, Version: "2"}},
	})
	got := map[string]bool{}
	for _, c := range p.Changes {
		got[c.Op.String()+" "+c.Label+" "+c.MemberLabel] = true
	}
	if !got["delete grace "] || !got["remove_member staff grace"] {
		t.Errorf("changes %v, want the deletion of grace and of her membership of staff, by name", got)
	}
}

func TestLasting(t *testing.T) {
	t.Parallel()
	for takes, want := range map[time.Duration]string{0: "", 29 * time.Second: "",
		time.Minute:       "At the tenant's quota the changes take about 1 minute.",
		119 * time.Minute: "At the tenant's quota the changes take about 119 minutes.",
		120 * time.Minute: "At the tenant's quota the changes take about 2 hours.",
		21 * time.Minute:  "At the tenant's quota the changes take about 21 minutes.",
		3 * time.Hour:     "At the tenant's quota the changes take about 3 hours."} {
		if got := plan.Lasting(takes); got != want {
			t.Errorf("Lasting(%v) = %q, want %q", takes, got, want)
		}
	}
}

// A table has a heading for each part that has rows.
func TestTableHasHeadingsForWhatItShows(t *testing.T) {
	t.Parallel()
	change := plan.Plan{Changes: []plan.Change{{Op: plan.Create, Ref: user("a"), Address: "a@x"}}}
	held := plan.Plan{Changes: []plan.Change{{Op: plan.Update, Ref: user("b"), Guard: plan.RuleLimit, Held: "too many"}}}
	others := plan.Plan{Held: []plan.Held{{Ref: user("c"), Reason: plan.NoAddress}},
		Notes: []plan.Note{{Ref: user("d"), Reason: plan.Disabled}}}
	for _, tc := range []struct {
		apply, held plan.Plan
		want        string
	}{
		{plan.Plan{}, plan.Plan{}, ""}, {change, plan.Plan{}, "CHANGE"}, {plan.Plan{}, held, "HELD"},
		{others, plan.Plan{}, "IN CONFLICT LEFT ALONE"},
	} {
		var b bytes.Buffer
		if err := plan.WriteTable(&b, tc.apply, tc.held); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, head := range []string{"CHANGE", "HELD", "IN CONFLICT", "LEFT ALONE"} {
			if strings.Contains(b.String(), head) {
				got = append(got, head)
			}
		}
		if strings.Join(got, " ") != tc.want || tc.want == "" && b.Len() > 0 {
			t.Errorf("headings %v, want %s:\n%s", got, tc.want, b.String())
		}
		if strings.Contains(b.String(), "too many; ") {
			t.Errorf("a change that says nothing more: %s", b.String())
		}
	}
}

func TestTotalsOfHeldChanges(t *testing.T) {
	t.Parallel()
	s := plan.Summary{Held: map[plan.Op]plan.Tally{plan.Suspend: {User: 1, Group: 2, Membership: 3},
		plan.Delete: {User: 10, Group: 20, Membership: 30}}}
	var b bytes.Buffer
	if err := s.Write(&b); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if words := strings.Fields(line); strings.Contains(line, "held by a guard") &&
			strings.Join(words[4:], " ") != "11 22 33" {
			t.Errorf("held by a guard: %v, want 11 22 33", words)
		}
	}
}

// A section of twenty-five rows is short enough to be printed whole, and one member is no members.
func TestPrintCutsNothingThatFits(t *testing.T) {
	t.Parallel()
	for n, more := range map[int]bool{25: false, 26: true} {
		var apply plan.Plan
		for i := range n {
			apply.Changes = append(apply.Changes, plan.Change{Op: plan.Create, Ref: user(string(rune('a' + i)))})
		}
		if got := strings.Contains(printed(t, apply, plan.Plan{}, plan.Style{}), "--all shows them"); got != more {
			t.Errorf("%d rows: cut %v, want %v", n, got, more)
		}
	}
	ada := user("ada")
	for op, want := range map[plan.Op]string{plan.AddMember: "+1 member\n", plan.RemoveMember: "-1 member\n"} {
		text := printed(t, plan.Plan{Changes: []plan.Change{{Op: op, Ref: group("g"), Member: &ada}}}, plan.Plan{},
			plan.Style{})
		if !strings.Contains(text, want) {
			t.Errorf("%s prints\n%s\nwant %q", op, text, want)
		}
	}
}
