package api_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/status"
)

// say has a run say something and returns once it is written.
func say(t *testing.T, lease *status.Lease, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		lease.Recorder().Log(status.Message{Event: fmt.Sprint(i), Level: status.Warning})
	}
	if err := lease.Recorder().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func numbers(from, to int) []string {
	var out []string
	for i := from; i < to; i++ {
		out = append(out, fmt.Sprint(i))
	}
	return out
}

func complete(t *testing.T, lease *status.Lease) {
	t.Helper()
	if _, err := lease.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
		t.Fatal(err)
	}
}

// TestEvents: a run from its start to its end, in the order in which things happened.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil).serve()
	run := s.start(google)
	l := s.listen(google, "?run="+run.ID, "")
	if e, _ := l.next(); e.name != "run" || e.run.State != status.Queued || e.run.ID != run.ID || l.retry == "" {
		t.Errorf("the first event is %+v, retry %q", e, l.retry)
	}
	lease := s.acquire(run)
	l.until(inState(status.Running))
	say(t, lease, 0, 3)
	if got := texts(l.until(func(e event) bool { return e.text == "2" })); !slices.Equal(got, numbers(0, 3)) {
		t.Errorf("messages: %v", got)
	}
	planned := status.Planned{Digest: "d", Expected: []status.Expectation{{Object: status.User, Change: status.Create,
		Count: 4}}}
	if err := lease.Recorder().Planned(t.Context(), planned); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Minute)
	lease.Recorder().Succeeded(status.User, status.Create, 1)
	say(t, lease, 3, 4)
	all := l.until(func(e event) bool {
		return e.name == "run" && len(e.run.Progress) == 1 && e.run.Progress[0].Succeeded == 1
	})
	if got := all[len(all)-1].run.Progress[0]; got.Expected != 4 || got.Object != status.User ||
		got.Change != status.Create {
		t.Errorf("progress: %+v", got)
	}
	say(t, lease, 4, 5)
	complete(t, lease)
	end := l.until(named("end"))
	if got := append(texts(all), texts(end)...); !slices.Equal(got, numbers(3, 5)) {
		t.Errorf("messages up to the end: %v", got)
	}
	if last := end[len(end)-1].run; last.State != status.Completed || end[len(end)-2].run.State != status.Completed {
		t.Errorf("the end: %+v", end)
	}
	l.ended()
}

// TestEventsEstimate: the end is estimated in the stream as it is elsewhere.
func TestEventsEstimate(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil).serve()
	run := s.start(google)
	lease := s.acquire(run)
	planned := status.Planned{Expected: []status.Expectation{{Object: status.User, Change: status.Create, Count: 4}}}
	if err := lease.Recorder().Planned(t.Context(), planned); err != nil {
		t.Fatal(err)
	}
	s.clock.Advance(time.Minute)
	lease.Recorder().Succeeded(status.User, status.Create, 1)
	say(t, lease, 0, 1)
	// One listener asks for the raw line: the type of a run has no estimate.
	l := s.listen(google, "?run="+run.ID, "")
	for l.lines.Scan() {
		if text, is := strings.CutPrefix(l.lines.Text(), "data: "); is {
			if want := `"estimated_end":"2026-03-01T09:34:00.000000Z"`; !strings.Contains(text, want) {
				t.Errorf("%s is not in %s", want, text)
			}
			return
		}
	}
	t.Error("no event came")
}

// TestEventsResume: who is cut again and again hears everything once.
func TestEventsResume(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil).serve()
	run := s.start(google)
	lease := s.acquire(run)
	const total = 300
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range total / 10 {
			for j := range 10 {
				lease.Recorder().Log(status.Message{Event: fmt.Sprint(10*i + j)})
			}
			_ = lease.Recorder().Flush(context.WithoutCancel(t.Context())) // What is missing fails the test.
		}
		_, _ = lease.Finish(context.WithoutCancel(t.Context()), status.End{State: status.Completed})
	}()
	var got []string
	after, over := "", false
	for cut := 1; !over; cut++ {
		l := s.listen(google, "?run="+run.ID, after)
		for range cut { // each time a little later
			e, more := l.next()
			if !more {
				t.Fatalf("the stream ended: %v", l.lines.Err())
			}
			switch e.name {
			case "message":
				got, after = append(got, e.text), e.id
			case "gap":
				t.Error("something is missing")
			case "end":
				over = true
			}
			if over {
				break
			}
		}
		l.leave()
	}
	<-done
	if !slices.Equal(got, numbers(0, total)) {
		t.Errorf("heard: %v", got)
	}
}

// TestEventsListeners checks that many hear the same from one reader. One that never reads delays no other and is cut
// off.
func TestEventsListeners(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil)
	api.SetEventTimes(s.api, time.Minute, 5*time.Second)
	s.serve()
	run := s.start(google)
	lease := s.acquire(run)
	deaf := s.listenBy(client(t, true), google, "?run="+run.ID, "")
	deaf.next()
	var wg sync.WaitGroup
	for range 5 {
		l := s.listen(google, "?run="+run.ID, "")
		l.next()
		wg.Go(func() {
			if got := texts(l.until(named("end"))); len(got) != 900 {
				t.Errorf("heard %d messages", len(got))
			}
		})
	}
	if readers, streams := api.OpenEvents(s.api); readers != 1 || streams != 6 {
		t.Errorf("%d readers and %d streams, want 1 and 6", readers, streams)
	}
	long := strings.Repeat("x", status.MaxEvent)
	for range 900 {
		lease.Recorder().Log(status.Message{Event: long})
	}
	if err := lease.Recorder().Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	complete(t, lease)
	wg.Wait()
	s.shutdown() // It waits for the deaf one, who is cut off.
	for range 900 {
		if _, more := deaf.next(); !more {
			return
		}
	}
	t.Error("who did not read was not cut off")
}

// TestEventsLeave: who leaves is noticed at once, and nothing is left of him.
func TestEventsLeave(t *testing.T) {
	t.Parallel()
	ended := make(chan struct{})
	s := newStreaming(t, nil, func(c *api.Config) { c.MaxEventStreams = 2 })
	inner := s.srv.Handler
	s.srv.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner.ServeHTTP(w, r)
		ended <- struct{}{}
	})
	s.serve()
	run := s.start(google)
	one, two := s.listen(google, "?run="+run.ID, ""), s.listen(google, "", "")
	one.next()
	two.next()
	s.get("/api/v3"+paths[google]+"sync/events/").is(http.StatusServiceUnavailable,
		`{"detail":"Too many event streams are open. Try again later, or ask for the run every so often."}`)
	for _, l := range []*listener{one, two} {
		l.leave()
		<-ended
	}
	if readers, streams := api.OpenEvents(s.api); readers != 0 || streams != 0 {
		t.Errorf("%d readers and %d streams are left", readers, streams)
	}
}

// TestEventsShutdown: open streams are told that the process stops, and do not keep it from stopping.
func TestEventsShutdown(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil).serve()
	run := s.start(google)
	all := []*listener{s.listen(google, "?run="+run.ID, ""), s.listen(google, "", ""), s.listen(corp, "", "")}
	all[0].next()
	all[1].next()
	s.shutdown()
	for _, l := range all {
		e := l.until(named("closing"))
		if l.ended(); !strings.Contains(e[len(e)-1].text, "stopping") || l.retry == "" {
			t.Errorf("the last event is %+v", e)
		}
	}
}

// TestEventsOutliveTimeouts: the server's limits on answers that end are none of a stream, and silence is broken.
func TestEventsOutliveTimeouts(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil)
	s.srv.ReadTimeout, s.srv.WriteTimeout = 2*time.Second, 2*time.Second
	api.SetEventTimes(s.api, 20*time.Millisecond, 10*time.Second)
	s.serve()
	run := s.start(google)
	l := s.listen(google, "", "")
	for l.beats < 150 && l.lines.Scan() {
		if strings.HasPrefix(l.lines.Text(), ":") {
			l.beats++
		}
	}
	complete(t, s.acquire(run))
	l.until(named("end"))
}

// TestEventsLifeOfARun: what a run goes through between its start and its end.
func TestEventsLifeOfARun(t *testing.T) {
	t.Parallel()
	s := newStreaming(t, nil, nil).serve()
	run := s.start(google)
	l := s.listen(google, "?run="+run.ID, "")
	lease := s.acquire(run)
	l.until(inState(status.Running))
	if _, err := lease.Defer(t.Context(), s.clock.Now().Add(time.Minute), "the quota is spent",
		status.Outage{}); err != nil {
		t.Fatal(err)
	}
	all := l.until(inState(status.Deferred))
	if got := all[len(all)-1].run; got.DeferReason != "the quota is spent" || got.DeferredUntil.IsZero() {
		t.Errorf("deferred: %+v", got)
	}
	s.clock.Advance(2 * time.Minute)
	woken, err := s.store.Reap(t.Context(), []container.ID{google}, true)
	if err != nil || len(woken) != 1 {
		t.Fatalf("Reap() = %+v, %v", woken, err)
	}
	l.until(inState(status.Queued))
	lease = s.acquire(woken[0].Run)
	l.until(inState(status.Running))
	if _, err := s.store.Cancel(t.Context(), google, "ada"); err != nil {
		t.Fatal(err)
	}
	lease.Close()
	end := l.until(named("end"))
	if last := end[len(end)-1].run; last.State != status.Cancelled || last.CancelledBy != "ada" ||
		!slices.Contains(texts(end), "run cancelled") {
		t.Errorf("the end: %+v", end)
	}
	l.ended()
}
