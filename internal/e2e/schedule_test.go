package e2e

import (
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
)

// runs lists the runs of a container, newest first.
func (w *world) runs(container string) []run {
	w.Helper()
	var page struct{ Results []run }
	w.get(container+"sync/runs/?page_size=100", &page)
	return page.Results
}

// settled waits until no run is live anywhere and returns how many there were of each container.
func (w *world) settled() (source, provider int) {
	w.Helper()
	testclock.Eventually(w, 3*time.Minute, "no run is live", func() bool {
		return !w.status(corp).IsRunning &&
			!w.status(google).IsRunning
	})
	return len(w.runs(corp)), len(w.runs(google))
}

// A provider follows its source when something changed there, and is left alone when nothing did.
func TestProviderFollowsItsSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), workers: 2, provider: []string{"schedule: after_source"}})
	w.sync(corp)
	testclock.Eventually(t, 3*time.Minute, "the provider followed", func() bool { return len(w.runs(google)) == 1 })
	w.settled()
	if r := w.runs(google)[0]; r.Trigger.Kind != "after_source" || r.Status != "successful" {
		t.Errorf("the provider's run was triggered by %s and is %s, want after_source and successful", r.Trigger.Kind,
			r.Status)
	}
	w.converged(nil)
	w.sync(corp)
	if _, n := w.settled(); n != 1 {
		t.Errorf("nothing changed, and the provider ran %d times, want once", n)
	}
	// The directory changes while the provider works on its earlier state, so the provider runs again.
	e := w.editor()
	e.set(slapdtest.UserDN(1), "title", "Director")
	entered, release := make(chan struct{}, 1), make(chan struct{})
	w.onRequest(func(method string) {
		if method == "directory.users.update" {
			entered <- struct{}{}
			<-release
		}
	})
	w.sync(corp)
	<-entered
	w.onRequest(nil)
	e.set(slapdtest.UserDN(2), "title", "Director")
	w.sync(corp)
	close(release)
	testclock.Eventually(t, 3*time.Minute, "the provider ran twice more", func() bool { return len(w.runs(google)) == 3 })
	w.settled()
	w.converged(nil)
}

// Of several workers one starts a scheduled run, and never two of a container at once.
func TestSchedule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), workers: 3, source: []string{`schedule: "@every 1s"`},
		provider: []string{"schedule: after_source"}})
	var all []run // newest first
	testclock.Eventually(t, 3*time.Minute, "five scheduled runs", func() bool { all = w.runs(corp); return len(all) >= 5 })
	for _, r := range all {
		if r.Trigger.Kind != "schedule" || r.open() == false && r.Status != "successful" {
			t.Errorf("a run was triggered by %s and is %s, want schedule and successful", r.Trigger.Kind, r.Status)
		}
	}
	// By their own records, because the workers began before the test looked and go on while it looks.
	if took := all[0].Created.Sub(all[len(all)-1].Created); len(all) > int(took.Seconds())+3 {
		t.Errorf("there were %d runs in %v, want one a second", len(all), took)
	}
	testclock.Eventually(t, 3*time.Minute, "the provider followed",
		func() bool { return len(w.runs(google)) >= 1 && !w.status(google).IsRunning })
	w.converged(nil)
	if n := len(w.runs(google)); n != 1 {
		t.Errorf("the provider ran %d times for one change, want once", n)
	}
}
