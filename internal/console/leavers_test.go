package console_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/console"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/status"
)

func user(id string) directory.Ref { return directory.Ref{Kind: directory.User, ID: directory.ID(id)} }

// A leaver has a row with when the suspension was confirmed, how long it took and when the account is deleted.
func TestLeavers(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	left := time.Now().Add(-25 * 24 * time.Hour).Truncate(time.Millisecond)
	h.known = map[directory.Ref]console.Known{user("1"): {Label: "ada"}, user("2"): {Label: "ben"},
		user("3"): {Label: "cai"}}
	err := ledger.NewRedis(h.rdb, string(google)).PutLinks(t.Context(), map[directory.Ref]plan.Link{
		user("1"): {RemoteID: "r1", Departed: left, Why: plan.Absent},
		user("2"): {RemoteID: "r2", Departed: time.Now().Add(-time.Hour), Why: plan.Disabled},
		user("3"): {RemoteID: "r3"},
		user("4"): {RemoteID: "r4", Departed: left.Add(time.Second), Why: plan.Absent},
	})
	if err != nil {
		t.Fatal(err)
	}
	trail := h.decisions.Trail(google)
	trail.Add("user/1", decisions.Attempt{At: left.Add(3 * time.Second), Op: "suspend", RunID: "r"})
	trail.Confirm("user/4", decisions.Receipt{Op: "suspend", Seen: left, Confirmed: left.Add(7 * time.Second),
		Sessions: decisions.SessionsFailed})
	if err := trail.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.hold(google, "r", decisions.HeldChange{Fingerprint: "f", Op: "suspend", Kind: "user", ID: "2", Guard: "limit"})
	page := h.get("/leavers/")
	for _, want := range []string{"ada", "ben", "after 3.0\u00a0s", "after 7.0\u00a0s", "sessions not ended", "3 of 3",
		"2 accounts are deleted within a week",
		">Held<"} {
		if !strings.Contains(page, want) && !strings.Contains(page, strings.Trim(want, "<>")) {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	if strings.Contains(page, "cai") {
		t.Errorf("a person who did not leave is a leaver: %s", page)
	}
	for path, want := range map[string]string{"?q=ad": "ada", "?why=disabled": "ben", "?q=be": "ben"} {
		if page := h.get("/leavers/" + path); !strings.Contains(page, want) || !strings.Contains(page, "1 of 1") {
			t.Errorf("%s lacks %s: %s", path, want, page)
		}
	}
	if page := h.get("/leavers/?q=none"); !strings.Contains(page, "No leaver fits this filter. There are 3 in all.") {
		t.Errorf("an empty list does not say why: %s", page)
	}
}

// A failed deletion of an account that is not suspended is a failure. One of an account that is suspended is none here.
func TestLeaversWithAFailedDeletion(t *testing.T) {
	t.Parallel()
	for _, suspended := range []bool{false, true} {
		h := newHall(t)
		left := time.Now().Add(-time.Hour)
		if err := ledger.NewRedis(h.rdb, string(google)).PutLinks(t.Context(), map[directory.Ref]plan.Link{
			user("1"): {RemoteID: "r1", Departed: left, Why: plan.Absent, Suspended: suspended},
		}); err != nil {
			t.Fatal(err)
		}
		trail := h.decisions.Trail(google)
		trail.Add("user/1", decisions.Attempt{At: left.Add(time.Second), Op: "delete", RunID: "r", FailKind: "refused",
			FailText: "no suspensions, no deletions"})
		if err := trail.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		page := h.get("/leavers/")
		if strings.Contains(page, "no suspensions, no deletions") == suspended {
			t.Errorf("suspended %v: the page is %s", suspended, page)
		}
	}
}

// A worker of an earlier version changes links without their places. The list corrects what it
// meets, and counts what it shows.
func TestLeaversOfAnEarlierVersion(t *testing.T) {
	t.Parallel()
	h, now := newHall(t), time.Now()
	l := ledger.NewRedis(h.rdb, string(google))
	links := map[directory.Ref]plan.Link{user("stays"): {RemoteID: "r0", Departed: now, Why: "of a later version"}}
	for _, name := range []string{"moves", "returns", "turns"} {
		links[user(name)] = plan.Link{RemoteID: name, Departed: now.Add(-time.Hour), Why: plan.Disabled}
	}
	if err := l.PutLinks(t.Context(), links); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "4 of 4", "?why=disabled": "3 of 3", "?why=absent": "1 of 1"} {
		if page := h.get("/leavers/" + path); !strings.Contains(page, want) {
			t.Errorf("%q lacks %q: %s", path, want, page)
		}
	}
	for name, link := range map[string]plan.Link{"moves": {RemoteID: "r1", Departed: now.Add(-2 * time.Hour),
		Why: plan.Disabled}, "returns": {RemoteID: "r2"}, "turns": {RemoteID: "r3", Departed: now.Add(-time.Hour),
		Why: plan.Ordered}} {
		text, err := json.Marshal(link)
		if err != nil {
			t.Fatal(err)
		}
		h.rdb.HSet(t.Context(), "rollcall:{"+string(google)+"}:ledger:links", "user/"+name, text)
	}
	for _, step := range [][2]string{{"?why=disabled", "1 of 1"}, {"?why=ordered", "1 of 1"}, {"", "3 of 3"}} {
		if page := h.get("/leavers/" + step[0]); !strings.Contains(page, step[1]) {
			t.Errorf("%q lacks %q: %s", step[0], step[1], page)
		}
	}
	for _, place := range []string{"NaN/user/1", "Inf/user/1", "1e999/user/1", "1", "1/x"} {
		got := h.as(h.reader, http.MethodGet, "/leavers/?before="+place, nil)
		if got.StatusCode != http.StatusBadRequest {
			t.Errorf("the page after %s = %d", place, got.StatusCode)
		}
	}
}

// The changes of all containers are one list, newest first, with what each came to.
func TestChanges(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	update := func(n int) (p plan.Plan) {
		for i := range n {
			p.Changes = append(p.Changes, plan.Change{Op: plan.Update, Ref: user("u" + string(rune('a'+i%26))),
				Label:  "person" + string(rune('a'+i%26)),
				Fields: []plan.FieldChange{{Name: "title", Before: []string{"old"}, After: []string{"new"}}}})
		}
		return p
	}
	older := h.run(corp, status.End{State: status.Completed}, update(3), plan.Plan{})
	run := h.run(google, status.End{State: status.Completed}, update(60), plan.Plan{})
	trail := h.decisions.Trail(google)
	trail.Add("user/ua", decisions.Attempt{Op: "update", RunID: run.ID, FailKind: "refused", FailText: "no such field"})
	if err := trail.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := h.get("/changes/")
	if !strings.Contains(first, "1–50 of 63") || !strings.Contains(first, "no such field") ||
		!strings.Contains(first, "Done") {
		t.Errorf("the first page is %s", first)
	}
	if page := h.get("/changes/?page=2"); !strings.Contains(page, "51–63 of 63") ||
		!strings.Contains(page, "Corporate directory") {
		t.Errorf("the second page is %s", page)
	}
	if page := h.get("/changes/?container=ldap:corp"); !strings.Contains(page, "1–3 of 3") {
		t.Errorf("the changes of one source are %s", page)
	}
	if page := h.get("/changes/?q=PERSONC&op=update&container=ldap:corp"); !strings.Contains(page, "1–1 of 1") {
		t.Errorf("the changes that a search finds are %s", page)
	}
	// A search goes on only in the plan of its own run.
	for run, want := range map[string]string{run.ID: "1–3 of 3", older.ID: "fits this filter", "gone": "1–4 of 4"} {
		if page := h.get("/changes/?q=persona&from=1&before=4000000000000&run=" + run); !strings.Contains(page, want) {
			t.Errorf("the search that goes on with the run %s lacks %q: %s", run, want, page)
		}
	}
	if page := h.get("/changes/?op=delete"); !strings.Contains(page, "fits this filter") {
		t.Errorf("an empty list does not say why: %s", page)
	}
}

func TestPeople(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.known = map[directory.Ref]console.Known{user("1"): {Label: "ada"}}
	if page := h.get("/people/?q=ad"); !strings.Contains(page, "/people/entry/?id=1&amp;kind=user") {
		t.Errorf("the search finds %s", page)
	}
	if page := h.get("/people/?q=zoe"); !strings.Contains(page, "begins with “zoe”") {
		t.Errorf("an empty list does not say why: %s", page)
	}
	if page := h.get("/people/entry/?email=zoe@example.com"); !strings.Contains(page, "No directory has it.") {
		t.Errorf("the explanation is %s", page)
	}
	if got := h.as(h.reader, http.MethodGet, "/people/entry/", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("an entry without a name = %d", got.StatusCode)
	}
}

// A plan is shown by pages, filtered, grouped, and as files.
func TestPlan(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	ada := user("1")
	run := h.run(google, status.End{State: status.Completed}, plan.Plan{Changes: []plan.Change{
		{Op: plan.Suspend, Ref: user("2"), Label: "ben", Address: "=cmd()@example.com", Why: plan.Absent},
		{Op: plan.Update, Ref: ada, Label: "ada", Fields: []plan.FieldChange{{Name: "title", Before: []string{"Köchin"},
			After: []string{"Chef"}}}},
		{Op: plan.AddMember, Ref: directory.Ref{Kind: directory.Group, ID: "team"}, Label: "Team", Member: &ada,
			MemberLabel: "ada"},
	}}, plan.Plan{Changes: []plan.Change{{Op: plan.Delete, Ref: user("3"), Label: "cai", Held: "too many",
		Guard: plan.RuleLimit}}})
	at := "/runs/google_workspace/1/" + run.ID + "/"
	for query, want := range map[string][2]string{
		"": {"1–4 of 4", "cai"}, "?op=suspend": {"1–1 of 1", "ben"}, "?q=k%C3%B6chin": {"1–1 of 1", "ada"},
		"?row=held": {"1–1 of 1", "too many"}, "?kind=group": {"1–1 of 1", "Team"}, "?group=person": {"3 of 3", "2 rows"},
		"?op=restore": {"No row of the plan fits", "Chef"}, "?level=warning": {"The run said something.", "cai"},
	} {
		page := h.get(at + query)
		if !strings.Contains(page, want[0]) || query != "?op=restore" && !strings.Contains(page, want[1]) {
			t.Errorf("%q lacks %q: %s", query, want, page)
		}
	}
	csv, json := h.get(at+"plan.csv?op=suspend"), h.get(at+"plan.json")
	if !strings.Contains(csv, `'=cmd()@example.com`) || strings.Count(csv, "\n") != 2 ||
		strings.Count(json, `"op":`) != 4 {
		t.Errorf("the files are %s and %s", csv, json)
	}
}

// TestNoFormulaInAFile: no value becomes a formula of a spreadsheet, whatever precedes it. Other values are unchanged.
func TestNoFormulaInAFile(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	formulas := []string{"=1+1", "+1", "-1", "@SUM(1)", " =1", "\t=1", "\n\n@x", "\ufeff=1", "\u00a0+1", "\x00=1",
		"＝1", "－1"}
	values := append(formulas, "", "Ada", "1-1", "a=b", "é", "'")
	var changes []plan.Change
	for i, value := range values {
		changes = append(changes, plan.Change{Op: plan.Suspend, Ref: user(fmt.Sprint(100 + i)), Label: value})
	}
	run := h.run(google, status.End{State: status.Completed}, plan.Plan{Changes: changes}, plan.Plan{})
	rows, err := csv.NewReader(strings.NewReader(h.get("/runs/google_workspace/1/" + run.ID + "/plan.csv"))).ReadAll()
	if err != nil || len(rows) != 1+len(values) {
		t.Fatalf("the file has %d rows, %v; want %d", len(rows), err, 1+len(values))
	}
	for i, row := range rows[1:] {
		want := values[i]
		if i < len(formulas) {
			want = "'" + want
		}
		if label := row[4]; label != want {
			t.Errorf("%q is %q in the file, want %q", values[i], label, want)
		}
	}
}

// A search that does not look at everything says so.
func TestASearchInPart(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	ref := directory.Ref{Kind: directory.User, ID: "u1"}
	h.known = map[directory.Ref]console.Known{ref: {Label: "ada"}}
	if err := ledger.NewRedis(h.rdb, string(google)).PutLinks(t.Context(), map[directory.Ref]plan.Link{ref: {RemoteID: "1",
		Departed: time.Now(), Why: plan.Absent}}); err != nil {
		t.Fatal(err)
	}
	const people, leavers = "Not all ids were searched", "that not all were compared"
	for _, h.partial = range []bool{false, true} {
		for path, said := range map[string]string{"/people/?q=ada": people, "/people/?q=zoe": people,
			"/leavers/?q=ada": leavers,
			"/leavers/?q=zoe": leavers} {
			if page := h.get(path); strings.Contains(page, said) != h.partial {
				t.Errorf("%s of a search in part (%v) is %s", path, h.partial, page)
			}
		}
	}
}
