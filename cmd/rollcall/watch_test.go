package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/internal/client"
	"rollcall/status"
)

// TestWatch checks that watch shows the progress of a run, its warnings, and its end.
func TestWatch(t *testing.T) {
	t.Parallel()
	for name, old := range map[string]bool{"stream": false, "older API": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			s.old = old
			script := &script{service: s, run: s.live(google)}
			s.as(person{hears: script.hear}, "watch", string(google)).want(t, 0).golden(t, "watch")
		})
	}
}

// script has a run go on whenever what happened before was seen.
type script struct {
	*service
	run   status.Run
	lease *status.Lease
	at    int
}

func (s *script) hear(text string) {
	steps := []struct {
		after string
		do    func(ctx context.Context, rec *status.Recorder) error
	}{
		{"waits for a worker", func(context.Context, *status.Recorder) error { s.lease = s.take(s.run); return nil }},
		{"reads: 0 users", func(ctx context.Context, rec *status.Recorder) error { return rec.Planned(ctx, newcomers) }},
		{"0 of 3 changes", func(ctx context.Context, rec *status.Recorder) error {
			s.pass(time.Minute)
			rec.Succeeded(status.User, status.Create, 1)
			rec.Log(status.Message{Level: status.Info, Event: "nobody needs to see this"})
			rec.Log(status.Message{Level: status.Warning, Event: "Held: no mail",
				Attributes: map[string]any{"kind": "user", "id": "u-9", "label": "odd\x1b[31m\nname"}})
			return rec.Flush(ctx)
		}},
		{"1 of 3 changes", func(ctx context.Context, rec *status.Recorder) error {
			rec.Succeeded(status.User, status.Create, 2)
			return rec.Flush(ctx)
		}},
		{"3 of 3 changes", func(ctx context.Context, _ *status.Recorder) error {
			_, err := s.lease.Finish(ctx, status.End{State: status.Completed})
			return err
		}},
	}
	if s.at == len(steps) || !strings.Contains(text, steps[s.at].after) {
		return
	}
	var rec *status.Recorder
	if s.lease != nil {
		rec = s.lease.Recorder()
	}
	s.at++
	if err := steps[s.at-1].do(context.Background(), rec); err != nil {
		s.t.Error(err)
	}
}

// TestWatchAsJSON: each event is a line.
func TestWatchAsJSON(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.begun = func(run status.Run) {
		s.finish(s.take(run), work{plan: newcomers, done: 3, messages: []status.Message{{Level: status.Info,
			Event: "a <b>"}}})
	}
	r := s.do("sync", string(google), "--watch", "--json").want(t, 0)
	var names []string
	for line := range strings.Lines(r.stdout) {
		var e struct {
			Event, ID string
			Data      struct{ ID, State, Event string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		names = append(names, e.Event+" "+e.Data.State+e.Data.Event)
		if e.Event == client.EventMessage && (e.ID == "" || e.ID != e.Data.ID) {
			t.Errorf("a message without its id: %s", line)
		}
	}
	if got := strings.Join(names, ", "); got != "run completed, message a <b>, end completed" {
		t.Errorf("events: %s\n%s", got, r.stdout)
	}
}

// TestWatchIsInterrupted: Ctrl-C ends the watching and not the run.
func TestWatchIsInterrupted(t *testing.T) {
	t.Parallel()
	s := newService(t)
	run := s.live(google)
	ctx, cancel := context.WithCancel(t.Context())
	r := s.as(person{ctx: ctx, hears: func(string) { cancel() }}, "watch", string(google))
	r.want(t, codeInterrupted, "the run goes on", "rollcall watch google_workspace:1",
		"rollcall cancel google_workspace:1")
	if got, err := s.store.Get(t.Context(), google, run.ID); err != nil || got.State != status.Queued {
		t.Errorf("the run is %s, %v", got.State, err)
	}
}

// TestWatchThroughARestart checks that a broken stream continues and repeats nothing.
func TestWatchThroughARestart(t *testing.T) {
	t.Parallel()
	s := newService(t)
	lease := s.take(s.live(google))
	say := func(text string) {
		lease.Recorder().Log(status.Message{Level: status.Error, Event: text})
		if err := lease.Recorder().Flush(context.Background()); err != nil {
			t.Error(err)
		}
	}
	say("first")
	r := s.as(person{hears: func(text string) {
		switch {
		case strings.Contains(text, "first"):
			s.cutAll()
			say("second")
		case strings.Contains(text, "second"):
			s.finish(lease, work{plan: newcomers, done: 3})
		}
	}}, "watch", string(google)).want(t, 0, "trying again")
	for _, text := range []string{"error: first\n", "error: second\n"} {
		if strings.Count(r.stdout, text) != 1 {
			t.Errorf("%q is not there once:\n%s", text, r.stdout)
		}
	}
}

// TestComplaints checks that the first warnings appear at once, and the last of the others at the end.
func TestComplaints(t *testing.T) {
	t.Parallel()
	for _, over := range []bool{false, true} {
		var out bytes.Buffer
		b := newBar(&env{now: time.Now, stderr: &out}, &out, google, true)
		state := map[bool]status.State{false: status.Running, true: status.Completed}[over]
		run := client.Run{Run: status.Run{ID: "r", Container: google, State: state}}
		b.event(client.Event{Name: client.EventRun, Run: run})
		for i := range 50 {
			b.event(client.Event{Name: client.EventMessage, Message: client.Message{Level: client.Warning,
				Event: fmt.Sprint("no. ", i)}})
			b.event(client.Event{Name: client.EventMessage, Message: client.Message{Level: "info", Event: "never"}})
		}
		before := out.String()
		b.event(client.Event{Name: client.EventEnd, Run: run})
		b.complaints(run)
		shown := map[bool]int{false: 20, true: 0}[over]
		if n := strings.Count(before, "warning: no. "); n != shown {
			t.Errorf("over %t: %d were shown as they came, want %d", over, n, shown)
		}
		if n := strings.Count(out.String(), "warning: no. "); n != shown+10 || strings.Contains(out.String(), "never") {
			t.Errorf("over %t: in the end there are %d:\n%s", over, n, &out)
		}
		if want := fmt.Sprintf("warning: no. 49\nand %d more: rollcall runs google_workspace:1 r\n",
			40-shown); !strings.HasSuffix(out.String(), want) {
			t.Errorf("over %t: the end is not %q:\n%s", over, want, &out)
		}
	}
}

// TestBarOnATerminal checks that one line is overwritten and messages appear above it.
func TestBarOnATerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	b := newBar(&env{now: time.Now, stderr: &out}, &out, google, true)
	b.live = true
	b.event(client.Event{Name: client.EventRun, Run: client.Run{Run: status.Run{State: status.Queued}}})
	b.event(client.Event{Name: client.EventMessage, Message: client.Message{Level: client.Failure, Event: "oh"}})
	b.note("cut")
	b.end()
	const clear, line = "\r\x1b[K", "\x1b[?7l  google_workspace:1   waits for a worker\x1b[?7h"
	if want := clear + line + clear + "error: oh\n" + clear + line + clear + "rollcall: cut\n" + clear + line +
		"\n"; out.String() != want {
		t.Errorf("written: %q\nwant:    %q", &out, want)
	}
}

// hide has the API be one without events.
func hide(w http.ResponseWriter, r *http.Request) bool {
	if !strings.HasSuffix(r.URL.Path, "/sync/events/") {
		return false
	}
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte(`{"detail":"Not found."}`))
	return true
}
