package reconcile_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
)

// TestSinceWhenAChangeIsDue: a write says since when its entry has been as it is, but only where it is that change that
// it answers.
func TestSinceWhenAChangeIsDue(t *testing.T) {
	t.Parallel()
	w := newWorld()
	w.source.snapshot.Entries = company()
	before, after := w.now.Add(-time.Hour), w.now.Add(10*time.Minute)
	w.source.changed = map[directory.Ref]time.Time{}
	for i := range w.source.snapshot.Entries {
		w.source.changed[w.source.snapshot.Entries[i].Ref()] = before
	}
	run := func() map[string]time.Time {
		t.Helper()
		w.said.since = map[string]time.Time{}
		if _, err := w.run(t.Context()); err != nil {
			t.Fatal(err)
		}
		return w.said.since
	}
	made := run()
	if len(made) < 13 {
		t.Fatalf("the first run made %d changes", len(made))
	}
	for change, since := range made {
		if !since.Equal(before) {
			t.Errorf("the first run: %s is due since %v, want %v", change, since, before)
		}
	}

	// The next run: one is renamed, one disabled, one is gone, and of one the account was changed by somebody.
	w.now = w.now.Add(time.Hour)
	e := w.source.snapshot.Entries
	e[0].Attributes = directory.Attributes{{Name: directory.CommonName, Values: []string{"Renamed"}}}
	e[1].Active = false
	w.source.changed[ref(0)], w.source.changed[ref(1)] = after, after
	left := w.now.Add(-5 * time.Minute)
	w.source.snapshot.Departed = []directory.Departure{{Ref: ref(5), Source: "corp", Left: left}}
	w.source.snapshot.Entries = append(e[:5:5], e[6:]...)
	for _, o := range w.tenant.objects {
		if o.Ref == ref(7) {
			o.Fields = directory.Attributes{{Name: "name", Values: []string{"Somebody else's idea"}}}
		}
	}
	want := map[string]time.Time{
		"update " + ref(0).String():  after,
		"update " + ref(7).String():  {},
		"suspend " + ref(1).String(): after,
		"suspend " + ref(5).String(): left,
	}
	if diff := cmp.Diff(want, run()); diff != "" {
		t.Errorf("since when changes were due (-want +got)\n%s", diff)
	}
}
