package reconcile_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
)

// TestSinceWhenAChangeIsDue checks that a write carries the time of its entry's last change, but only if that change
// caused the write.
func TestSinceWhenAChangeIsDue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
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

	// Before the next run one entry is renamed, one is disabled and one is gone. One account was changed by hand.
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
			o.Fields = directory.Attributes{{Name: "name", Values: []string{"A change by hand"}}}
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
