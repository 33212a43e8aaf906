package console_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/console"
	"rollcall/plan"
	"rollcall/status"
)

// A person approves or rejects a whole set, one group of it or single entries, after a page that names the numbers.
func TestDeciding(t *testing.T) {
	t.Parallel()
	removal := decisions.HeldChange{Fingerprint: "print-team", Op: "remove_member", Kind: "group", ID: "team",
		Label:  "Team",
		Member: "id-ada", MemberLabel: "ada", Guard: "follows", Reason: "the member's own departure is held"}
	for name, tc := range map[string]struct {
		query   string // of the confirmation
		says    string
		decided []string
	}{
		"all": {"verdict=approved", "suspend 2 users and remove 1 member",
			[]string{"print-ada", "print-ben", "print-team"}},
		"one group": {"verdict=approved&by=reason&key=limit", "suspend 2 users", []string{"print-ada", "print-ben"}},
		"by action": {"verdict=approved&by=action&key=remove_member+group", "remove 1 member", []string{"print-team"}},
		"by group":  {"verdict=rejected&by=group&key=team", "remove 1 member", []string{"print-team"}},
		"entries":   {"verdict=rejected&scope=entries&entry=print-ben", "suspend 1 user", []string{"print-ben"}},
		"found":     {"verdict=approved&q=BEN", "suspend 1 user", []string{"print-ben"}},
	} {
		h := newHall(t)
		run := h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
		at := "/held/google_workspace/1/" + h.hold(google, run.ID, leaver("ada"), leaver("ben"), removal) + "/"
		page := h.as(h.decider, http.MethodGet, at+"review?"+tc.query, nil).body
		if !strings.Contains(page, tc.says) {
			t.Errorf("%s: the confirmation lacks %q: %s", name, tc.says, page)
		}
		form, err := url.ParseQuery(tc.query)
		if err != nil {
			t.Fatal(err)
		}
		form.Set("write", writeOf(page))
		form.Set("count", "7")
		if got := h.as(h.decider, http.MethodPost, at+map[string]string{"approved": "approve",
			"rejected": "reject"}[form.Get("verdict")], form); got.StatusCode != http.StatusConflict ||
			!strings.Contains(got.body, "Nothing was decided") {
			t.Errorf("%s: other numbers than shown = %d: %s", name, got.StatusCode, got.body)
		}
		form.Set("count", string(rune('0'+len(tc.decided))))
		got := h.as(h.decider, http.MethodPost, at+map[string]string{"approved": "approve",
			"rejected": "reject"}[form.Get("verdict")], form)
		verdict := form.Get("verdict")
		where := map[string]string{"approved": "/runs/google_workspace/1/",
			"rejected": "/held/google_workspace/1/?rejected=1"}[verdict]
		if got.StatusCode != http.StatusSeeOther || !strings.HasPrefix(got.Header.Get("Location"), where) {
			t.Fatalf("%s: POST = %d to %q: %s", name, got.StatusCode, got.Header.Get("Location"), got.body)
		}
		decided, err := h.decisions.Decisions(t.Context(), google)
		if err != nil || len(decided) != len(tc.decided) {
			t.Errorf("%s: decided %v (%v), want %v", name, decided, err, tc.decided)
		}
		for _, print := range tc.decided {
			if d := decided[print]; d.Verdict != verdict || d.By != "decider" {
				t.Errorf("%s: the decision about %s is %+v", name, print, d)
			}
		}
		_, live, err := h.status.Live(t.Context(), google)
		if err != nil || live != (verdict == "approved") {
			t.Errorf("%s: a run is live: %v (%v)", name, live, err)
		}
		if page := h.get("/held/google_workspace/1/"); !strings.Contains(page, verdict+" by decider") {
			t.Errorf("%s: the page does not say what was decided: %s", name, page)
		}
	}
}

// writeOf returns which write of a set a confirmation showed.
func writeOf(page string) string {
	_, rest, _ := strings.Cut(page, `name="write" value="`)
	value, _, _ := strings.Cut(rest, `"`)
	return html.UnescapeString(value)
}

// What is approved is what the confirmation showed, also where the same changes were stored again for other reasons, or
// where another program changed the rows.
func TestDecidingWhatWasShown(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	at := "/held/google_workspace/1/d1/"
	first, second := leaver("ada"), leaver("ben")
	second.Guard = "doubt"
	h.hold(google, "r1", first, second)
	form := url.Values{"by": {"reason"}, "key": {"limit"}, "count": {"1"},
		"write": {writeOf(h.get(at + "review?verdict=approved&by=reason&key=limit"))}}
	first.Guard, second.Guard = "doubt", "limit"
	h.hold(google, "r2", first, second)
	refused := func(what string, form url.Values) {
		t.Helper()
		got := h.as(h.decider, http.MethodPost, at+"approve", form)
		if got.StatusCode != http.StatusConflict || !strings.Contains(got.body, "The plan has changed") {
			t.Errorf("%s: POST = %d: %s", what, got.StatusCode, got.body)
		}
		if decided, err := h.decisions.Decisions(t.Context(), google); err != nil || len(decided) > 0 {
			t.Errorf("%s: decided %v (%v)", what, decided, err)
		}
	}
	refused("another write", form)
	var many []decisions.HeldChange
	for i := range 5001 {
		many = append(many, leaver(fmt.Sprintf("%04d", i)))
	}
	h.hold(google, "r3", many...)
	const parts = "rollcall:{google_workspace:1}:held:parts"
	h.rdb.HSet(t.Context(), parts, "rows0", h.rdb.HGet(t.Context(), parts, "rows1").Val())
	refused("other rows", url.Values{"scope": {"entries"}, "entry": {"print-0007"}, "count": {"1"}})
	got := h.as(h.decider, http.MethodPost, at+"approve", url.Values{"scope": {"entries"}, "entry": make([]string, 501)})
	if got.StatusCode != http.StatusBadRequest {
		t.Errorf("too many entries: POST = %d: %s", got.StatusCode, got.body)
	}
}

// Where very many changes were decided, the page says how many, and reads none of the decisions.
func TestHeldCountsManyDecisions(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	var many []decisions.HeldChange
	for i := range 5001 {
		many = append(many, leaver(fmt.Sprint("person-", i)))
	}
	h.hold(google, "r1", many[:2]...)
	for _, of := range []struct {
		n    int
		want string
	}{{5000, "approved by ops"}, {5001, "5,001 decisions of the last three days stand"}} {
		if _, err := h.decisions.Decide(t.Context(), google, "approved", "ops", many[:of.n]); err != nil {
			t.Fatal(err)
		}
		page := h.get("/held/google_workspace/1/")
		if read := strings.Contains(page, "approved by ops"); read != (of.n == 5000) || !strings.Contains(page, of.want) {
			t.Errorf("%d decisions: the page has them: %v; it is %s", of.n, read, page)
		}
	}
}

// between runs something once, before the first command with a name.
type between struct {
	command string
	run     func()
}

func (b *between) DialHook(next redis.DialHook) redis.DialHook { return next }

func (b *between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (b *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if run := b.run; run != nil && cmd.Name() == b.command {
			b.run = nil
			run()
		}
		return next(ctx, cmd)
	}
}

// A page whose set is replaced while it is read shows the newer one.
func TestHeldIsReplacedWhileItIsRead(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	var many []decisions.HeldChange
	for i := range 5001 {
		many = append(many, leaver(fmt.Sprint("person-", i)))
	}
	h.hold(google, "r1", many...)
	replaced := false
	h.rdb.AddHook(&between{"hmget", func() { replaced = true; h.hold(google, "r2", leaver("ben")) }})
	if page := h.get("/held/google_workspace/1/"); !replaced || !strings.Contains(page, "<bdi>ben</bdi>") {
		t.Errorf("the set was replaced: %v; the page is %s", replaced, page)
	}
}

func TestHeldNamesTheConsequenceAndTheOldDecisions(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	run := h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	var all []decisions.HeldChange
	for i := range 120 {
		all = append(all, leaver(string(rune('a'+i/26))+string(rune('a'+i%26))+"x"))
	}
	h.hold(google, run.ID, all...)
	first, second := h.get("/held/google_workspace/1/"), h.get("/held/google_workspace/1/?page=2")
	for page, want := range map[string]string{first: "1–100 of 120", second: "101–120 of 120"} {
		if !strings.Contains(page, want) || !strings.Contains(page, "suspend 120 users") ||
			!strings.Contains(page, "3 users would go: the limit is 2") {
			t.Errorf("the page lacks %q: %s", want, page)
		}
	}
	if page := h.get("/held/?q=nothing-like-it"); !strings.Contains(page, "No held change has “nothing-like-it”") {
		t.Errorf("an empty list does not say why: %s", page)
	}
	if page := h.get("/held/ldap/corp/"); !strings.Contains(page, "Nothing waits for a decision") {
		t.Errorf("nothing held: %s", page)
	}
	if page := h.get("/"); !strings.Contains(page, "120 changes wait for a decision") {
		t.Errorf("the overview is %s", page)
	}
}

// A decision about a set of another container, or without what the page showed, decides nothing.
func TestStaleDecision(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	run := h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	digest := h.hold(google, run.ID, leaver("ada"))
	if err := h.decisions.SetHeld(t.Context(), google, decisions.HeldSet{}); err != nil { // It waits no more.
		t.Fatal(err)
	}
	got := h.as(h.decider, http.MethodPost, "/held/google_workspace/1/"+digest+"/approve", url.Values{"count": {"1"}})
	if got.StatusCode != http.StatusConflict || !strings.Contains(got.body, "waits no more") {
		t.Errorf("POST = %d: %s", got.StatusCode, got.body)
	}
}

// A choice by unit has the changes that the page showed, however many others wait in the set.
func TestDecidingByUnit(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	ada := directory.Ref{Kind: directory.User, ID: "id-ada"}
	h.known = map[directory.Ref]console.Known{ada: {Label: "ada", Unit: "ou=sales"}}
	run := h.run(google, status.End{State: status.Completed}, plan.Plan{}, plan.Plan{})
	all := []decisions.HeldChange{leaver("ada"), leaver("adam")}
	for i := range 5000 {
		all = append(all, leaver("x"+strconv.Itoa(i)))
	}
	at := "/held/google_workspace/1/"
	review := at + h.hold(google, run.ID, all...) + "/review?verdict=approved&by=unit&key="
	for unit, title := range map[string]string{"": "No longer in the directory", "ou=sales": "ou=sales"} {
		if page := h.get(at + "?by=unit&q=ada"); !strings.Contains(page, "<h3>"+title+" <small>1 change: suspend 1 user<") {
			t.Errorf("the page lacks the unit %q: %s", title, page)
		}
		got := h.as(h.decider, http.MethodGet, review+unit+"&q=+ada", nil)
		if got.StatusCode != http.StatusOK || !strings.Contains(got.body, "suspend 1 user") {
			t.Errorf("the confirmation of %q = %d: %s", title, got.StatusCode, got.body)
		}
	}
	got := h.as(h.decider, http.MethodGet, review, nil)
	if got.StatusCode != http.StatusConflict || !strings.Contains(got.body, "Nothing is selected") {
		t.Errorf("a unit among too many changes = %d: %s", got.StatusCode, got.body)
	}
	if page := h.get(at + "?by=unit"); !strings.Contains(page, "<h3>All changes <small>5,002 changes") {
		t.Errorf("the page of too many changes: %.3000s", page)
	}
}

// What waits after another run is shown at once.
func TestHeldIsReadAgain(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.hold(google, "r1", leaver("ada"))
	if page := h.get("/held/"); !strings.Contains(page, "<bdi>ada</bdi>") {
		t.Errorf("the page is %s", page)
	}
	h.hold(google, "r2", leaver("ben"))
	if page := h.get("/held/"); !strings.Contains(page, "<bdi>ben</bdi>") || strings.Contains(page, "<bdi>ada</bdi>") {
		t.Errorf("the page after another run is %s", page)
	}
}

// Groups come from the most harmful one, and a page has its part of them.
func TestHeldIsPagedThroughItsGroups(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	var held []decisions.HeldChange
	for i := range 150 {
		renamed, gone := leaver(fmt.Sprintf("renamed-%d", i)), leaver(fmt.Sprintf("gone-%d", i))
		renamed.Op, renamed.Guard = "update", "rename"
		held = append(held, renamed, gone)
	}
	h.hold(google, "r", held...)
	for n, want := range map[int][2]int{1: {100, 0}, 2: {50, 50}, 3: {0, 100}} {
		page := h.get(fmt.Sprintf("/held/google_workspace/1/?page=%d", n))
		got := [2]int{strings.Count(page, "?id=id-gone-"), strings.Count(page, "?id=id-renamed-")}
		if got != want || !strings.Contains(page, fmt.Sprintf("%d–%d of 300", n*100-99, n*100)) {
			t.Errorf("page %d has %v rows, want %v", n, got, want)
		}
	}
}

// The pages of a large set are made from its parts, and are the same as those from the whole set.
func TestThePagesOfALargeSet(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	var changes []decisions.HeldChange
	for i := range 6000 {
		held := leaver(fmt.Sprintf("person-%d", i))
		switch {
		case i%1000 == 0:
			held.Guard, held.Op = "doubt", "delete"
		case i%3 == 0:
			held.Guard, held.Kind = "approval", "group"
		}
		changes = append(changes, held)
	}
	h.hold(google, "r", changes...)
	exact := regexp.MustCompile(`Loaded [^<]*|name="write" value="[^"]*"|\d\d:\d\d:\d\d|[^<>]* ago`)
	const at = "/held/google_workspace/1/"
	pages := func() (out []string) {
		for _, path := range []string{"", "?page=41", "?page=60", "?by=action&page=9", "?by=unit", "?q=PERSON-59", "?q=none",
			"d1/review?verdict=approved", "d1/review?verdict=rejected&by=reason&key=doubt",
			"d1/review?verdict=approved&scope=entries&entry=print-person-7&entry=print-person-1000"} {
			out = append(out, path+exact.ReplaceAllString(h.get(at+path), ""))
		}
		return out
	}
	first := pages()
	if n := h.rdb.Del(h.Context(), "rollcall:{google_workspace:1}:held:d1").Val(); n != 1 {
		t.Fatalf("there were %d sets", n)
	}
	if diff := cmp.Diff(first, pages()); diff != "" {
		t.Errorf("the pages need the whole set:\n%s", diff)
	}
	h.hold(google, "r", changes...)
	if n := h.rdb.Del(h.Context(), "rollcall:{google_workspace:1}:held:parts").Val(); n != 1 {
		t.Fatalf("there were %d sets in parts", n)
	}
	whole := pages()
	if diff := cmp.Diff(first, whole); diff != "" {
		t.Errorf("the pages from the parts (-) and from the whole set (+) differ:\n%s", diff)
	}
	if !strings.Contains(whole[0], "6,000") || strings.Count(whole[0], "<tr data-row>") != 100 {
		t.Errorf("the first page is %s", whole[0])
	}
}

func TestHeldSaysWhyInWords(t *testing.T) {
	t.Parallel()
	h := newHall(t)
	h.hold(google, "r1", leaver("ada"))
	if page := h.get("/held/google_workspace/1/"); !strings.Contains(page, "gone from the directory") {
		t.Errorf("the page does not say why: %s", page)
	}
}
