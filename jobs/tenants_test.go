package jobs_test

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/internal/testclock"
	"rollcall/jobs"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/status"
)

// tenancies is the number of tenants of one directory in these tests.
const tenancies = 3

func tenancy(n int) container.ID { return container.ID(fmt.Sprintf("google_workspace:%d", n+1)) }

// titles is a source with the same title in all entries. Every read changes the room of every entry, so that each run
// has something to write.
type titles struct {
	mu    sync.Mutex
	title string
	reads int
}

func (s *titles) set(title string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.title = title
}

func (s *titles) Read(_ context.Context, q directory.Query) (out directory.Snapshot, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads++
	out.Versions = map[directory.Ref]string{}
	for i := range 40 {
		e := directory.Entry{Kind: directory.User, ID: directory.ID(fmt.Sprintf("u%03d", i)), Source: "corp", Active: true}
		e.Attributes = e.Attributes.Set("title", s.title).Set("room", strconv.Itoa(s.reads))
		if q.All() || slices.Contains(q.Refs, e.Ref()) {
			out.Entries = append(out.Entries, e)
			out.Versions[e.Ref()] = e.Digest()
		}
	}
	return out, nil
}

// several is a site with a source, the real local directory and several tenants as its containers.
func several(t *testing.T) (s *site, source *titles, tenants []*tenant) {
	t.Helper()
	s, source = newSite(t), &titles{title: "first"}
	part := func() *store.Part { return store.New(store.Config{Redis: s.rdb, Slug: "corp"}) }
	first := s.links(corp)
	s.configured = []jobs.Container{{Name: corp, Engine: func() *reconcile.Engine {
		desire := func(sn directory.Snapshot, _ plan.State) (mapping.Result, error) {
			return mapping.Result{Desired: store.Desired(sn)}, nil
		}
		return reconcile.New(reconcile.Config{Source: source, Provider: part(), Desire: desire, Ledger: first})
	}}}
	desire := func(sn directory.Snapshot, _ plan.State) (r mapping.Result, _ error) {
		for i := range sn.Entries {
			e := &sn.Entries[i]
			r.Desired = append(r.Desired, plan.Desired{
				Ref: e.Ref(), Address: string(e.ID) + "@x", Label: string(e.ID), Active: e.Active, Source: "corp",
				Version: sn.Versions[e.Ref()], Fields: directory.Attributes{}.Set("title", e.Attributes.Get("title")),
			})
		}
		return r, nil
	}
	for n := range tenancies {
		remote, links := &tenant{}, s.links(tenancy(n))
		tenants = append(tenants, remote)
		s.configured = append(s.configured, jobs.Container{Name: tenancy(n), Sources: []string{"corp"},
			Engine: func() *reconcile.Engine {
				return reconcile.New(reconcile.Config{
					Source: store.NewReader(part()), Provider: remote, Desire: desire, Ledger: links,
				})
			}})
	}
	s.worker("w1")
	s.until(corp, s.start(corp).ID, status.Completed)
	for n := range tenancies {
		s.until(tenancy(n), s.start(tenancy(n)).ID, status.Completed)
	}
	return s, source, tenants
}

// Concurrent jobs of one entry for several tenants, beside full runs of its source, all succeed. A newer version of
// the entry in the local directory makes a job read again.
func TestJobsOfOneEntryForSeveralTenantsAllSucceed(t *testing.T) {
	t.Parallel()
	s, source, tenants := several(t)
	ref := directory.Ref{Kind: directory.User, ID: "u003"}
	for round := range 8 {
		title := fmt.Sprint("title ", round)
		source.set(title)
		if round%2 == 1 {
			s.start(corp)
		}
		var all sync.WaitGroup
		for n := range tenancies {
			all.Go(func() { s.succeeds(tenancy(n), ref) })
		}
		all.Wait()
		for n, remote := range tenants {
			remote.mu.Lock()
			if got := remote.fields[ref].Get("title"); got != title {
				t.Errorf("round %d: tenant %d has the title %q, want %q", round, n, got, title)
			}
			remote.mu.Unlock()
		}
		if round%2 == 1 {
			s.idleSource()
		}
	}
}

// succeeds requires that a job succeeds in one attempt, without an error in its messages.
func (s *site) succeeds(c container.ID, ref directory.Ref) {
	id, err := s.client.StartObject(s.t.Context(), c, "corp", ref, "tester")
	if err != nil {
		s.t.Error(err)
		return
	}
	job, err := s.status.WaitJob(s.t.Context(), c, id, 3*time.Minute)
	if err != nil || job.State != status.JobDone || job.Outcome != status.OutcomeUpdated {
		s.t.Errorf("%s: job %+v, %v; want it updated", c, job, err)
	}
	for _, m := range job.Messages {
		if m.Level == status.Error {
			s.t.Errorf("%s: job said %q", c, m.Event)
		}
	}
}

// idleSource waits for the end of the source's run, and requires that none of its changes failed.
func (s *site) idleSource() {
	s.t.Helper()
	testclock.Eventually(s.t, waiting, "the source runs again", func() bool {
		runs, _, err := s.status.List(s.t.Context(), corp, 0, 1)
		return err == nil && runs[0].State == status.Completed && runs[0].FailedChanges == 0
	})
}
