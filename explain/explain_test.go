package explain_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/source"
)

var (
	now  = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)
	user = directory.Ref{Kind: directory.User, ID: "u-1"}
)

// input is a user with an account that would be suspended, and with passwords in every place where a directory may have
// them.
func input() explain.Input {
	e := &directory.Entry{Kind: directory.User, ID: "u-1", Source: "corp",
		Attributes: directory.Attributes{{Name: "userPassword", Values: []string{"hunter2"}}}}
	change := plan.Change{Op: plan.Suspend, Ref: user, RemoteID: "r-1", Address: "ada@example.com", Why: plan.OutOfScope}
	update := plan.Change{Op: plan.Update, Ref: user, RemoteID: "r-1", Fields: []plan.FieldChange{
		{Name: "notes", Before: []string{"hunter1"}, After: []string{"hunter2"}},
		{Name: "pwdHint", After: []string{"hunter3"}},
	}}
	held := decisions.HeldSet{Digest: "d", RunID: "run", At: now, Changes: []decisions.HeldChange{
		{Fingerprint: "f-m", Op: "remove_member", Kind: "group", ID: "g-1", Member: "u-1", Guard: "follows",
			Reason: "a departure is held"},
		{Fingerprint: change.Fingerprint(), Op: "suspend", Kind: "user", ID: "u-1", Guard: "limit", Reason: "the limit is 3",
			Fields: update.Fields},
		{Fingerprint: "f-o", Op: "suspend", Kind: "user", ID: "u-2", Guard: "limit", Reason: "the limit is 3"},
	}}
	return explain.Input{
		Query: explain.Query{By: explain.ByID, Value: "u-1"}, Now: now, Ref: user,
		Sources: []explain.SourceInput{{Container: "ldap:corp", Enabled: true, Copy: explain.Copy{Completed: true},
			Stored: e}},
		Providers: []explain.ProviderInput{{
			Container: "google_workspace:1", Held: held, Policy: plan.Policy{UserDeleteAction: plan.ActionDelete,
				DeleteAfter: time.Hour},
			Mapping: []mapping.Value{{Field: "notes", Expression: "ldap.userPassword", Values: []string{"hunter2"},
				Problem: `"hunter2" is too long`}},
			Hop: reconcile.Explanation{
				Entry: e, OutOfScope: &mapping.Decision{Ref: user, Rule: "exclude", Setting: "svc-*"},
				Objects: []plan.Object{{Ref: user, RemoteID: "r-1", Address: "ada@example.com", Active: true}},
				Apply: plan.Plan{Changes: []plan.Change{update, change},
					Tombstones: []plan.Tombstone{{Ref: user, Since: now, Why: plan.OutOfScope}}},
			},
		}},
	}
}

func TestNoSecretIsShown(t *testing.T) {
	t.Parallel()
	const quotes = `notes: "hunter2" is too long`
	desired := &plan.Desired{Ref: user, Held: plan.BadMapping, Detail: quotes}
	for what, hop := range map[string]reconcile.Explanation{
		"planned":            input().Providers[0].Hop,
		"in conflict":        {Apply: plan.Plan{Held: []plan.Held{{Ref: user, Reason: plan.BadMapping, Detail: quotes}}}},
		"the tenant is down": {RemoteErr: fault.Errorf(fault.Unavailable, "no answer")},
	} {
		in := input()
		if in.Providers[0].Hop = hop; what != "planned" {
			in.Providers[0].Held = decisions.HeldSet{}
		}
		in.Providers[0].Hop.Desired = desired
		text, err := json.Marshal(explain.Of(in))
		if err != nil || strings.Contains(string(text), "hunter") {
			t.Errorf("%s: the document has a secret: %v\n%s", what, err, text)
		}
		if in = input(); what == "in conflict" { // Without a value of a field that is hidden, the words are the planner's.
			in.Providers[0].Held, in.Providers[0].Hop, in.Providers[0].Mapping = decisions.HeldSet{}, hop, nil
			if v := explain.Of(in).Providers[0].Verdict; !strings.Contains(v, "too long") {
				t.Errorf("nothing is secret, and the verdict is %q", v)
			}
		}
	}
}

// The entry's own change that a guard holds goes before its memberships, and names what was decided.
func TestHeldVerdicts(t *testing.T) {
	t.Parallel()
	in := input()
	hop := &in.Providers[0].Hop
	hop.Apply.Changes, hop.Held.Changes = nil, hop.Apply.Changes
	p := explain.Of(in).Providers[0]
	own := in.Providers[0].Held.Changes[1].Fingerprint
	if p.Code != explain.Held || p.Reason != "limit" || len(p.Held) != 2 ||
		!strings.Contains(p.Verdict, "rollcall approve google_workspace:1 d --entry "+own) {
		t.Errorf("held: %s (%s): %s; %+v", p.Code, p.Reason, p.Verdict, p.Held)
	}
	// The newest plan holds the change, and the next one does not.
	hop.Apply.Changes, hop.Held.Changes = hop.Held.Changes, nil
	if p = explain.Of(in).Providers[0]; p.Code != explain.OutOfScope || !strings.Contains(p.Verdict, "would suspend") {
		t.Errorf("no longer held: %s (%s): %s", p.Code, p.Reason, p.Verdict)
	}
	in.Providers[0].Decisions = map[string]decisions.Decision{own: {Fingerprint: own, Verdict: "approved", By: "grace",
		ID: "u-1", Expires: now.Add(time.Hour)}}
	if p = explain.Of(in).Providers[0]; !strings.Contains(p.Verdict,
		"grace approved it: the next run carries it out, until 2026-03-01T10:30:00Z") || len(p.Decisions) != 1 {
		t.Errorf("approved: %s", p.Verdict)
	}
	// The held change is no longer planned, and the plan decides.
	in.Providers[0].Held.Changes = in.Providers[0].Held.Changes[1:]
	in.Providers[0].Hop.Apply.Changes = nil
	if p = explain.Of(in).Providers[0]; p.Code != explain.OutOfScope || p.Reason != "exclude" {
		t.Errorf("no longer planned: %s (%s): %s", p.Code, p.Reason, p.Verdict)
	}
}

func TestDeparture(t *testing.T) {
	t.Parallel()
	in := input()
	in.Providers[0].Held = decisions.HeldSet{}
	d := explain.Of(in).Providers[0]
	if d.Departure == nil || !d.Departure.DeletedAfter.Time().Equal(now.Add(time.Hour)) ||
		!strings.Contains(d.Verdict, "suspend its account ada@example.com, which is deleted after 2026-03-01T10:30:00Z") {
		t.Errorf("%+v: %s", d.Departure, d.Verdict)
	}
	in.Providers[0].Hop.Uncounted = errors.New("too many of them")
	if d = explain.Of(in).Providers[0]; !strings.Contains(d.Verdict,
		" Other entries were not counted (too many of them): if many of them change alike, the run holds this.") {
		t.Errorf("others were not counted: %s", d.Verdict)
	}
	suspended := input()
	suspended.Providers[0].Held, suspended.Providers[0].Hop.Apply.Changes = decisions.HeldSet{}, nil
	suspended.Providers[0].Hop.Apply.Notes = []plan.Note{{Ref: user, Reason: plan.OutOfScope, Detail: "is deleted later"}}
	suspended.Providers[0].Receipt = &decisions.Receipt{Seen: now, Confirmed: now.Add(2300 * time.Millisecond),
		Sessions: decisions.SessionsFailed}
	if d = explain.Of(suspended).Providers[0]; !strings.Contains(d.Verdict,
		"seen at 2026-03-01T09:30:00Z and confirmed by the tenant 2.3s later; its sessions could not be ended.") {
		t.Errorf("with a receipt: %s", d.Verdict)
	}
	d = explain.Of(in).Providers[0]
	in.Providers[0].Hop.Apply.Changes[1].EndSessions = true
	if d = explain.Of(in).Providers[0]; !strings.Contains(d.Verdict, "ada@example.com and end its sessions, which is") {
		t.Errorf("with an end of sessions: %s", d.Verdict)
	}
	// With delete_after: 0 an active account is suspended and then deleted, and a suspended one is deleted.
	change := &in.Providers[0].Hop.Apply.Changes[1]
	change.Op, change.EndSessions = plan.Delete, false
	in.Providers[0].Attempts = []decisions.Attempt{{Op: "suspend", FailKind: "refused", FailText: "no"}}
	whole := explain.Of(in)
	if text := whole.Providers[0].Verdict; !strings.Contains(text,
		"tries again to suspend its account ada@example.com, and then delete it.") ||
		!strings.HasPrefix(whole.Verdict, "Leaving: ") {
		t.Errorf("the deletion of an active account: %s %s", whole.Verdict, text)
	}
	in.Providers[0].Attempts, change.Inactive = nil, true
	if d = explain.Of(in).Providers[0]; !strings.Contains(d.Verdict, "would delete its account ada@example.com.") {
		t.Errorf("the deletion of a suspended account: %s", d.Verdict)
	}
	change.Op, change.Inactive = plan.Suspend, false
	in.Providers[0].Hop.Pin = &plan.Pin{Ref: user, Run: "run-7", By: "grace", Account: plan.StandsSuspended}
	if d = explain.Of(in).Providers[0]; d.Departure.DeletedAfter != nil ||
		!strings.Contains(d.Verdict, "It is pinned: grace undid run run-7") {
		t.Errorf("pinned: %+v: %s", d.Departure, d.Verdict)
	}
}

// A live directory that did not search is not one that does not have the entry.
func TestALiveDirectoryThatDidNotSearch(t *testing.T) {
	t.Parallel()
	in := input()
	in.Sources[0].Location = &source.Location{Server: "ldap://dc1", Unsearched: []string{"search dc=x: time limit"},
		Incomplete: true}
	d := explain.Of(in)
	if s := d.Sources[0]; s.Code != explain.Read || s.Live.Asked || s.Live.Problem == "" ||
		!strings.Contains(s.Verdict, "could not be asked: search dc=x: time limit") || !d.Partial() {
		t.Errorf("who is stored: %s %+v", s.Code, s)
	}
	in.Sources[0].Location.Incomplete = false // What was not searched is elsewhere.
	if d := explain.Of(in); d.Sources[0].Code != explain.Leaving || !strings.HasPrefix(d.Verdict, "Leaving: user ") {
		t.Errorf("who is not where Read looks: %s %+v", d.Verdict, d.Sources[0])
	}
	in.Sources[0].Location.Incomplete, in.Sources[0].Stored, in.Ref = true, nil, directory.Ref{}
	if d := explain.Of(in); d.Found != explain.Uncertain || d.Sources[0].Code != explain.NotAsked ||
		!strings.Contains(d.Verdict, "Could not be asked: ldap:corp (search dc=x: time limit)") {
		t.Errorf("who is not stored: %+v", d)
	}
}

// A stored entry that is absent may be one without a readable id, or was created again. No run concludes that it left.
func TestAnAbsentEntryThatMayBeAnotherOneIsNotLeaving(t *testing.T) {
	t.Parallel()
	in := input()
	in.Sources[0].Location = &source.Location{Server: "ldap://dc1"}
	for other, want := range map[*source.Sighting]explain.SourceCode{
		nil: explain.Leaving, {DN: "uid=ada,dc=x"}: explain.Unusable,
		{DN: "uid=ada,dc=x", Ref: directory.Ref{Kind: directory.User, ID: "new"}}: explain.Read,
	} {
		in.Sources[0].Other = other
		d := explain.Of(in)
		if s := d.Sources[0]; s.Code != want || other != nil && !strings.Contains(s.Verdict, other.DN) {
			t.Errorf("beside %+v: %s: %s, want %s", other, s.Code, s.Verdict, want)
		}
	}
}

// TestAnEntryOfASourceThatNeverCompleted covers a source with lost state and a source during its first sync.
func TestAnAbsentEntryBesideEntriesWithoutAnID(t *testing.T) {
	t.Parallel()
	in := input()
	in.Sources[0].Location = &source.Location{Server: "ldap://dc1"}
	in.Sources[0].Held.Conflicts = []decisions.Conflict{
		{Kind: "user", Reason: string(plan.Unusable), Detail: "uid=x,dc=y: no entryUUID"},
		{Kind: "group", Reason: string(plan.Unusable), Detail: "cn=x,dc=y: no entryUUID"},
	}
	if s := explain.Of(in).Sources[0]; !strings.HasSuffix(s.Verdict,
		"concludes that it left, unless it is one of the entries without a readable unique id (1).") {
		t.Errorf("%s: %s", s.Code, s.Verdict)
	}
}

func TestAnEntryOfASourceThatNeverCompleted(t *testing.T) {
	t.Parallel()
	in := input()
	in.Sources[0].Completed = false
	if v := explain.Of(in).Sources[0].Verdict; !strings.Contains(v, "No sync of this source has completed") {
		t.Error(v)
	}
}

// A suspension that the tenant refused is tried again; the sentence does not promise it. A group is named, not its id.
func TestWhatWasRefusedIsNotPromised(t *testing.T) {
	t.Parallel()
	in := input()
	hop := &in.Providers[0].Hop
	in.Providers[0].Held, hop.Held = decisions.HeldSet{}, plan.Plan{}
	hop.Apply = plan.Plan{Changes: []plan.Change{{Op: plan.Suspend, Ref: in.Ref, Address: "ada@example.com",
		Why: plan.OutOfScope}}}
	verdict := func(attempts ...decisions.Attempt) explain.Provider {
		in.Providers[0].Attempts = attempts
		return explain.Of(in).Providers[0]
	}
	if got := verdict().Verdict; !strings.Contains(got, "the next run would suspend its account ada@example.com") {
		t.Errorf("the verdict on a leaver is %q", got)
	}
	in.Providers[0].GroupLabels = map[directory.ID]string{"g-1": "staff"}
	got := verdict(decisions.Attempt{Op: "suspend", FailKind: "denied", FailText: "403: no right"},
		decisions.Attempt{Op: "add_member", Group: "g-1"})
	if strings.Contains(got.Verdict, "would suspend") || !strings.Contains(got.Verdict, "tries again to suspend") ||
		!strings.Contains(got.Verdict, "403: no right") {
		t.Errorf("the verdict after a refusal is %q", got.Verdict)
	}
	if got.Outcomes[1].GroupLabel != "staff" {
		t.Errorf("the outcome names the group %q, want staff", got.Outcomes[1].GroupLabel)
	}
}

// What the last sync of the source could not use is not brought by the next one, as long as it is as it was.
func TestAnEntryThatTheLastSyncCouldNotUse(t *testing.T) {
	t.Parallel()
	in := input()
	in.Sources[0].Stored = nil
	in.Sources[0].Completed = true
	in.Sources[0].Location = &source.Location{Sightings: []source.Sighting{{Ref: in.Ref, DN: "uid=ada"}}}
	in.Sources[0].Held.Conflicts = []decisions.Conflict{
		{Kind: "user", ID: string(in.Ref.ID), Reason: string(plan.Unusable), Detail: "uid=ada: uid=eve has this id, too"},
	}
	s := explain.Of(in).Sources[0]
	if s.Code != explain.Unusable || !strings.Contains(s.Verdict, "uid=eve has this id, too") ||
		strings.Contains(s.Verdict, "brings it") {
		t.Errorf("%s: %s", s.Code, s.Verdict)
	}
}

// A provider that is paused says so after every verdict.
func TestAPausedProvider(t *testing.T) {
	t.Parallel()
	in := input()
	without := explain.Of(in).Providers[0].Verdict
	in.Providers[0].Pause = &decisions.Pause{Container: in.Providers[0].Container, By: "grace"}
	want := without + "; nothing is written to this provider: paused by grace since 0001-01-01T00:00:00Z; resume with " +
		"`rollcall resume " + string(in.Providers[0].Container) + "`"
	if got := explain.Of(in).Providers[0].Verdict; got != want {
		t.Errorf("the verdict is %q, want %q", got, want)
	}
}

func TestWaitsAndPartial(t *testing.T) {
	t.Parallel()
	with := func(c explain.Code) explain.Document {
		return explain.Document{Providers: []explain.Provider{{Code: explain.InStep}, {Code: c}}}
	}
	for name, tc := range map[string]struct {
		doc            explain.Document
		waits, partial bool
	}{
		"several entries":     {doc: explain.Document{Found: explain.Several}, waits: true},
		"a held change":       {doc: with(explain.Held), waits: true},
		"a conflict":          {doc: with(explain.Conflict), waits: true},
		"an uncertain answer": {doc: explain.Document{Found: explain.Uncertain}, partial: true},
		"an unknown provider": {doc: with(explain.Unknown), partial: true},
		"one that is unready": {doc: with(explain.NotReady), partial: true},
		"a silent source": {doc: explain.Document{
			Sources: []explain.Source{{Live: explain.Live{Problem: "silence"}}}}, partial: true},
		"all in step": {doc: with(explain.InStep)},
	} {
		if waits, partial := tc.doc.Waits(), tc.doc.Partial(); waits != tc.waits || partial != tc.partial {
			t.Errorf("%s: Waits() = %v, Partial() = %v; want %v and %v", name, waits, partial, tc.waits, tc.partial)
		}
	}
}

// A page and a terminal tell the conflict once, and name a source only in its heading.
func TestTextOfADocument(t *testing.T) {
	t.Parallel()
	s := explain.Source{Container: "ldap:corp", Verdict: "ldap:corp: it was read at uid=ada"}
	if got, want := s.Text(), "It was read at uid=ada"; got != want {
		t.Errorf("Text() = %q, want %q", got, want)
	}
	taken, other := plan.Held{Reason: plan.AddressTaken}, plan.Held{Reason: plan.BadMapping}
	p := explain.Provider{Reason: string(taken.Reason), Next: []plan.Row{{Kind: plan.RowConflict, Entry: taken},
		{Kind: plan.RowConflict, Entry: other}, {Kind: plan.RowChange}, {Kind: plan.RowNote, Entry: taken}}}
	if got := p.Coming(); len(got) != 3 || got[0].Entry.Reason != other.Reason || len(p.Next) != 4 {
		t.Errorf("Coming() = %v of %v", got, p.Next)
	}
}
