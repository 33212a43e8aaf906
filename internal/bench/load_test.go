package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/slapdtest"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/provider/all"
	"rollcall/status"
)

// clients is how many requests are under way at once.
const clients = 64

// load calls do for each number below n, from all clients, and returns how long that took.
func (l *lab) load(n int, do func(i int) error) time.Duration {
	l.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	failed := make(chan error, clients)
	began := time.Now()
	for range clients {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := do(i); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	select {
	case err := <-failed:
		l.Fatal(err)
	default:
	}
	return took
}

// share measures ours and theirs in turn and returns the share of their rate that ours has.
func share(trials int, ours, theirs func() time.Duration) float64 {
	var a, b []time.Duration
	for range trials {
		a, b = append(a, ours()), append(b, theirs())
	}
	return median(b).Seconds() / median(a).Seconds()
}

// statuses measures the status endpoint beside a handler that reads one key of Redis.
func (l *lab) statuses() row {
	const containers = 100
	runs := max(2, min(1000, *people/100))
	name := func(i int) container.ID { return container.Source(fmt.Sprintf("load%d", i)) }
	l.load(containers, func(i int) error {
		for range runs {
			req := status.StartRequest{Container: name(i), Trigger: status.Trigger{Kind: status.ByAPI, By: "bench"}}
			if _, err := l.app.Status.Start(l.Context(), req); err != nil {
				return err
			}
			if _, err := l.app.Status.Cancel(l.Context(), name(i), "bench"); err != nil {
				return err
			}
		}
		return nil
	})
	cfg := api.Config{Status: l.app.Status, Decisions: l.app.Decisions, Jobs: l.client, Directory: nowhere{},
		Types: all.Types(), MaxRequests: 1 << 20}
	for i := range containers {
		cfg.Resources = append(cfg.Resources, api.Resource{Container: name(i), Name: "Load"})
	}
	handler, err := api.New(cfg)
	l.must(err)
	ours := httptest.NewServer(handler)
	defer ours.Close()
	l.must(l.app.Redis.Set(l.Context(), "bench", "{}", 0).Err())
	theirs := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, err := l.app.Redis.Get(r.Context(), "bench").Result()
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
		_, _ = io.WriteString(w, text)
	}))
	defer theirs.Close()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	measure := func(url func(i int) string) func() time.Duration {
		return func() time.Duration {
			n := max(200, min(10_000, *people/10))
			return l.load(n, func(i int) error { return get(l.Context(), client, url(i)) })
		}
	}
	const path = "%s/sources/ldap/load%d/sync/status/"
	got := share(trials(), measure(func(i int) string { return fmt.Sprintf(path, ours.URL, i%containers) }),
		measure(func(int) string { return theirs.URL }))
	return row{fmt.Sprintf("status endpoint, %d clients, %d containers with %d runs", clients, containers, runs),
		fmt.Sprintf("%.2f of the rate", got), "a handler with one GET on Redis", "0.5"}
}

// nowhere is a directory without entries.
type nowhere struct{}

// Find implements api.Directory.
func (nowhere) Find(context.Context, container.ID, directory.Kind, string) ([]api.Match, error) {
	return nil, nil
}

func get(ctx context.Context, client *http.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", url, resp.Status)
	}
	return nil
}

// enqueue measures the start of single-object jobs beside asynq's own Enqueue of the same tasks.
func (l *lab) enqueue() row {
	n := min(10_000, *people)
	client := asynq.NewClientFromRedisClient(l.app.Redis)
	trial := 0
	ours := func() time.Duration {
		trial++
		name := container.ID(fmt.Sprintf("google_workspace:%d", 100+trial)) // Each takes ten thousand open jobs.
		return l.load(n, func(i int) error {
			ref := directory.Ref{Kind: directory.User, ID: directory.ID(slapdtest.UUID(i))}
			_, err := l.client.StartObject(l.Context(), name, "corp", ref, "bench")
			return err
		})
	}
	theirs := func() time.Duration {
		return l.load(n, func(int) error {
			payload := []byte(`{"container":"google_workspace:1","job_id":"` + slapdtest.UUID(0) + `","source":"corp"}`)
			_, err := client.EnqueueContext(l.Context(), asynq.NewTask(jobs.TypeObject, payload), asynq.Queue("bench"))
			return err
		})
	}
	return row{fmt.Sprintf("start of %d object jobs, %d clients", n, clients),
		fmt.Sprintf("%.2f of the rate", share(trials(), ours, theirs)), "asynq's own Enqueue", "0.3"}
}

// planned measures the plan of ten times as many people in which nothing changed, by the entry, beside that of people.
func planned(t *testing.T) []row {
	small, _ := planTime(t, *people)
	large, bytes := planTime(t, 10**people)
	ratio := (large.Seconds() / 10) / small.Seconds()
	return []row{
		{fmt.Sprintf("plan of %d people, nothing changed", 10**people), fmt.Sprintf("%.1f x an entry", ratio),
			fmt.Sprintf("%d people, %s", *people, seconds(small)), "1.3 x"},
		{"the same: memory of the plan and what it is made of", fmt.Sprintf("%d MB", bytes>>20), "", "2,500 MB"},
	}
}

// planTime plans that many people, a group for each fifty and four memberships a person. It returns the time, and the
// memory that the input and the plan take at once.
func planTime(t *testing.T, people int) (time.Duration, uint64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	in := generated(people)
	var took []time.Duration
	for range trials() {
		runtime.GC()
		began := time.Now()
		p := plan.Compute(in)
		took = append(took, time.Since(began))
		if len(p.Changes)+len(p.Held) > 0 || p.Counts.Unchanged.User != people {
			t.Fatalf("%d changes, %d held, %d of %d people unchanged", len(p.Changes), len(p.Held),
				p.Counts.Unchanged.User, people)
		}
		runtime.ReadMemStats(&after)
	}
	runtime.KeepAlive(in)
	return median(took), after.HeapAlloc - before.HeapAlloc
}

// generated is a tenant that is as its directory wants it.
func generated(people int) plan.Input {
	in := plan.Input{Links: make(map[directory.Ref]plan.Link, people), Now: time.Unix(1_700_000_000, 0)}
	add := func(kind directory.Kind, i int, address string, fields directory.Attributes) (*plan.Desired, *plan.Object) {
		ref := directory.Ref{Kind: kind, ID: directory.ID(slapdtest.UUID(i))}
		remote := fmt.Sprintf("%v%020d", kind, i)
		in.Links[ref] = plan.Link{RemoteID: remote}
		in.Desired = append(in.Desired, plan.Desired{Ref: ref, Label: address, Source: "corp", Address: address,
			Active: true, Fields: fields})
		in.State.Objects = append(in.State.Objects, plan.Object{Ref: ref, RemoteID: remote, Address: address,
			Active: true, Fields: fields.Clone()})
		return &in.Desired[len(in.Desired)-1], &in.State.Objects[len(in.State.Objects)-1]
	}
	for i := range people {
		add(directory.User, i, fmt.Sprintf("u%07d@example.org", i), directory.Attributes{
			{Name: "name.familyName", Values: []string{fmt.Sprint("Last", i)}},
			{Name: "name.givenName", Values: []string{fmt.Sprint("First", i)}}})
	}
	for g := range max(1, people/50) {
		d, o := add(directory.Group, slapdtest.GroupUUIDs+g, fmt.Sprintf("g%06d@example.org", g),
			directory.Attributes{{Name: "name", Values: []string{fmt.Sprint("Group ", g)}}})
		for k := range min(200, people) {
			i := (g*50 + k) % people
			d.Members = append(d.Members, plan.Member{Ref: in.Desired[i].Ref})
			o.Members = append(o.Members, in.State.Objects[i].RemoteID)
		}
		o.Listed = true
	}
	return in
}
