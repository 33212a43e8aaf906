package plan_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// documented is a plan with a row of every kind.
func documented() (apply, held plan.Plan) {
	user := func(id directory.ID) directory.Ref { return directory.Ref{Kind: directory.User, ID: id} }
	member := user("u1")
	apply = plan.Plan{
		Changes: []plan.Change{
			{Op: plan.Create, Ref: user("u1"), Label: "ann", Address: "ann@example.com",
				Fields: []plan.FieldChange{{Name: "given_name", After: []string{"Ann"}}}},
			{Op: plan.Update, Ref: user("u2"), RemoteID: "r2", Fields: []plan.FieldChange{
				{Name: "family_name", Before: []string{"Old"}, After: []string{"New"}},
				{Name: "userPassword", Before: []string{"hush"}, After: []string{"hush-hush"}},
			}},
			{Op: plan.AddMember, Ref: directory.Ref{Kind: directory.Group, ID: "g1"}, Member: &member, MemberLabel: "ann"},
		},
		Held:   []plan.Held{{Ref: user("u3"), Label: "bob", Reason: plan.NoAddress, Detail: "no mail"}},
		Notes:  []plan.Note{{Ref: user("u4"), Reason: plan.SuspendedByElse, Detail: "somebody else suspended it"}},
		Doubts: []string{"references differ"}, Counts: plan.Counts{Desired: plan.Tally{User: 3}},
	}
	held.Changes = []plan.Change{{Op: plan.Suspend, Ref: user("u5"), Address: "eve@example.com", Why: plan.Absent,
		Guard: plan.RuleLimit, Held: "too many"}}
	return apply, held
}

func TestTheTextOfAChangeHasItsValuesAndNoSecret(t *testing.T) {
	t.Parallel()
	apply, _ := documented()
	apply.Changes[1].Fields[0].After = []string{"New\nName " + strings.Repeat("x", 400)}
	want := []string{"ann@example.com", `family_name: "Old" → "New`, ""}
	for i := range apply.Changes {
		got := apply.Changes[i].Text()
		if !strings.HasPrefix(got, want[i]) || want[i] == "" && got != "" || len([]rune(got)) > 301 ||
			strings.Contains(got, "\n") || strings.Contains(got, "hush") {
			t.Errorf("Text() = %q, want %q at the beginning, on one line of bounded length", got, want[i])
		}
	}
	apply.Changes[1].Fields = apply.Changes[1].Fields[1:]
	if got := apply.Changes[1].Text(); strings.Contains(got, "hush") || !strings.Contains(got, "userPassword") {
		t.Errorf("Text() = %q, want the field without its values", got)
	}
}

// A plan that was written down prints as the plan did; what is secret by its name is not written down.
func TestDocument(t *testing.T) {
	t.Parallel()
	apply, held := documented()
	var back []plan.Row
	for row := range plan.Rows(apply, held) {
		text, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("hush")) {
			t.Errorf("a row shows a secret: %s", text)
		}
		var again plan.Row
		if err := json.Unmarshal(text, &again); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(row, again); diff != "" {
			t.Errorf("a row and what was read (-want +got):\n%s", diff)
		}
		back = append(back, again)
	}
	if apply.Changes[1].Fields[1].After[0] != "hush-hush" {
		t.Error("writing the document down changed the plan")
	}
	var want, got bytes.Buffer
	if err := plan.WriteTable(&want, apply, held); err != nil {
		t.Fatal(err)
	}
	a, h := plan.Collect(back)
	if err := plan.WriteTable(&got, a, h); err != nil {
		t.Fatal(err)
	}
	hidden := strings.NewReplacer(`"hush-hush"`, `"<redacted>"`, `"hush"`, `"<redacted>"`).Replace(want.String())
	if diff := cmp.Diff(hidden, got.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if n := len(slices.Collect(plan.Rows(apply, held))); n != 6 {
		t.Errorf("%d rows, want 6", n)
	}
	for row := range plan.Rows(apply, held) { // stops when it is told to
		if row.Kind == plan.RowConflict {
			break
		}
	}
	for _, text := range []string{`{"row":"other"}`, `{"row":"change","op":"explode"}`, `[]`} {
		if err := json.Unmarshal([]byte(text), new(plan.Row)); err == nil {
			t.Errorf("%s was read as a row", text)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	apply, held := documented()
	s := plan.Summarize(apply, held)
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var again plan.Summary
	if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(s, again); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	want := plan.Summary{
		Counts: apply.Counts, Doubts: apply.Doubts, Conflicts: plan.Tally{User: 1}, Notes: plan.Tally{User: 1},
		Changes: map[plan.Op]plan.Tally{plan.Create: {User: 1}, plan.Update: {User: 1}, plan.AddMember: {Membership: 1}},
		Held:    map[plan.Op]plan.Tally{plan.Suspend: {User: 1}},
	}
	if diff := cmp.Diff(want, s); diff != "" {
		t.Errorf("Summarize() (-want +got):\n%s", diff)
	}
	var counts bytes.Buffer
	if err := plan.Summarize(apply, held).Write(&counts); err != nil ||
		!strings.Contains(counts.String(), "held by a guard") {
		t.Errorf("Write() = %v: %s", err, counts.String())
	}
}

func TestSecretFieldsAreKnownByTheirNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		"userPassword": true, "unicodePwd": true, "sambaNTPassword": true, "sambaLMPassword": true, "lmHash": true,
		"ipaNTHash": true, "olcRootPW": true,
		"krbPrincipalKey": true, "apiKey": true, "clientSecret": true, "title": false, "secretary": false,
		"mail": false, "displayName": false, "employeeNumber": false,
	} {
		if got := plan.Secret(name); got != want {
			t.Errorf("Secret(%q) = %v, want %v", name, got, want)
		}
	}
}

func TestTheTextOfAChangeIsCutWhereItIsLong(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{300: 300, 301: 301} { // The sign for what is cut counts.
		c := plan.Change{Op: plan.Create, Ref: user("a"), Address: strings.Repeat("x", n)}
		if got := []rune(c.Text()); len(got) != want || (got[len(got)-1] == '…') != (n > 300) {
			t.Errorf("the text of %d characters has %d", n, len(got))
		}
	}
}
