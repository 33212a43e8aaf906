package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"rollcall/fault"
	"rollcall/internal/client"
	"rollcall/status"
)

// shows gathers what a watch shows, one word an event.
type shows struct{ words []string }

func (s *shows) show(e client.Event) {
	word := e.Name
	switch e.Name {
	case client.EventRun, client.EventEnd:
		word += ":" + string(e.Run.State)
	case client.EventMessage:
		word += ":" + e.ID
	}
	s.words = append(s.words, word)
}

func (s *shows) String() string { return strings.Join(s.words, " ") }

func isEvents(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/sync/events/") }

// stream answers with events that come when they come.
func stream(body io.ReadCloser) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Status: "200 OK",
		Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: body}
}

func events(text string) *http.Response { return stream(io.NopCloser(strings.NewReader(text))) }

func run(name, state string) string {
	return fmt.Sprintf("event: %s\ndata: {\"id\":\"r\",\"state\":%q}\n\n", name, state)
}

func message(id string) string {
	return fmt.Sprintf("event: message\nid: %s\ndata: {\"id\":%q,\"event\":\"x\"}\n\n", id, id)
}

// TestWatchStream checks that an interrupted stream resumes where it was, and that incomplete events are not shown.
func TestWatchStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		streams := []string{
			"retry: 50\n\n: hello\n\n" + run("run", "running") + message("1-0") + message("2-0"),
			"",
			run("run", "running") + "event: gap\ndata: {}\n\n" + message("3-0") +
				"event: message\nid: 4-0\ndata: {\"id\":\"4-0\",",
			"event: closing\ndata: {\"detail\":\"Come back.\"}\n\n",
			run("run", "running") + message("4-0") + run("run", "completed") + run("end", "completed"),
		}
		var after []string
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			if !isEvents(r) || r.URL.RawQuery != "run=r" {
				t.Errorf("asked for %s", r.URL)
			}
			after = append(after, r.Header.Get("Last-Event-ID"))
			return events(streams[len(after)-1]), nil
		})
		var got shows
		var notes []string
		a, err := c.Watch(t.Context(), google, "r", client.Watching{Every: time.Second, Show: got.show,
			Note: func(s string) { notes = append(notes, s) }})
		if err != nil || a.Value.State != status.Completed {
			t.Errorf("Watch() = %s, %v", a.Value.State, err)
		}
		want := "run:running message:1-0 message:2-0 run:running gap message:3-0 run:running message:4-0 run:completed " +
			"end:completed"
		if got.String() != want {
			t.Errorf("shown: %s\nwant:  %s", &got, want)
		}
		if want := "|2-0|2-0|3-0|3-0"; strings.Join(after, "|") != want {
			t.Errorf("went on after %q, want %s", after, want)
		}
		if text := strings.Join(notes, "\n"); strings.Count(text, "was cut") != 2 ||
			strings.Contains(text, "Is it running?") {
			t.Errorf("notes:\n%s", text)
		}
	})
}

// TestWatchWithoutStream checks that the run is polled where no event arrives, for whatever reason.
func TestWatchWithoutStream(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(r *http.Request) (*http.Response, error){
		"older API": func(*http.Request) (*http.Response, error) {
			return reply(http.StatusNotFound, `{"detail":"Not found."}`), nil
		},
		"a proxy's": func(*http.Request) (*http.Response, error) { return reply(http.StatusNotFound, "<html>"), nil },
		"no stream": func(*http.Request) (*http.Response, error) { return reply(http.StatusOK, "<html>"), nil },
		"too many": func(*http.Request) (*http.Response, error) {
			return reply(http.StatusServiceUnavailable, `{"detail":"x"}`), nil
		},
		"held back":    func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() },
		"silent":       func(r *http.Request) (*http.Response, error) { return stream(untilDone(r)), nil },
		"comment only": func(r *http.Request) (*http.Response, error) { return stream(untilDone(r, ": hello\n\n")), nil },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				runs := []string{`"queued","messages":0`, `"running","messages":1`, `"running","messages":1`,
					`"completed","messages":3`}
				asked, pages := 0, 0
				c := newClient(t, func(r *http.Request) (*http.Response, error) {
					switch {
					case isEvents(r):
						return answer(r)
					case strings.HasSuffix(r.URL.Path, "/messages/"):
						pages++
						return reply(http.StatusOK, map[string]string{
							"after=": `{"next":null,"results":[{"id":"1-0"}]}`, "after=1-0": `{"next":"2-0","results":[{"id":"2-0"}]}`,
							"after=2-0": `{"next":null,"results":[{"id":"3-0"}]}`,
						}[strings.TrimSuffix(r.URL.RawQuery, "&page_size=1000")]), nil
					}
					asked++
					return reply(http.StatusOK, `{"id":"r","state":`+runs[asked-1]+`}`), nil
				})
				var got shows
				a, err := c.Watch(t.Context(), google, "r", client.Watching{Every: time.Second, Show: got.show})
				if err != nil || a.Value.State != status.Completed || pages != 3 {
					t.Errorf("Watch() = %s, %v; %d pages of messages", a.Value.State, err, pages)
				}
				want := "run:queued message:1-0 run:running run:running message:2-0 message:3-0 run:completed end:completed"
				if got.String() != want {
					t.Errorf("shown: %s\nwant:  %s", &got, want)
				}
			})
		})
	}
}

// untilDone is a body that ends with its request, after some text.
func untilDone(r *http.Request, text ...string) io.ReadCloser {
	in, out := io.Pipe()
	context.AfterFunc(r.Context(), func() { _ = out.CloseWithError(r.Context().Err()) })
	go func() { _, _ = io.WriteString(out, strings.Join(text, "")) }()
	return in
}

// TestWatchGoesBackToTheStream checks that a stream that was refused for now is tried again, and that a silent one is
// given up.
func TestWatchGoesBackToTheStream(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tried := 0
		c := newClient(t, func(r *http.Request) (*http.Response, error) {
			if !isEvents(r) {
				return reply(http.StatusOK, `{"id":"r","state":"running"}`), nil
			}
			switch tried++; tried {
			case 1:
				return reply(http.StatusServiceUnavailable, `{"detail":"Too many."}`), nil
			case 2:
				return stream(untilDone(r, run("run", "running"))), nil
			}
			return events(run("run", "completed") + run("end", "completed")), nil
		})
		began := time.Now()
		var got shows
		if _, err := c.Watch(t.Context(), google, "r", client.Watching{Every: time.Second, Show: got.show}); err != nil ||
			tried != 3 {
			t.Errorf("Watch() = %v after %d streams", err, tried)
		}
		if took := time.Since(began); took < 75*time.Second || took > 80*time.Second { // 30 of asking, 45 of silence
			t.Errorf("it took %v", took)
		}
	})
}

func TestWatchIsRefused(t *testing.T) {
	t.Parallel()
	for code, kind := range map[int]fault.Kind{http.StatusForbidden: fault.Denied, http.StatusNotFound: fault.NotFound} {
		c := newClient(t, func(*http.Request) (*http.Response, error) { return reply(code, `{"detail":"Not found."}`), nil })
		_, err := c.Watch(t.Context(), google, "r", client.Watching{Every: time.Hour, Show: func(client.Event) {}})
		if err == nil || client.KindOf(err) != kind {
			t.Errorf("Watch() = %v, want %v", err, kind)
		}
	}
}

// TestWatchWhileTheAPIIsAway checks that a short absence of the API is waited out and a long one is not, with a
// stream or without.
func TestWatchWhileTheAPIIsAway(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name    string
		away    time.Duration
		streams bool
		kind    fault.Kind // of the error; Internal for none
	}{
		{"always there", 0, false, fault.Internal}, {"away for a while", 30 * time.Second, false, fault.Internal},
		{"away for long", 2 * time.Minute, false, fault.Unavailable},
		{"stream", 0, true, fault.Internal}, {"stream, away for a while", 30 * time.Second, true, fault.Internal},
		{"stream, away for long", 2 * time.Minute, true, fault.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				c := newClient(t, func(r *http.Request) (*http.Response, error) {
					since := time.Since(began)
					over := since > tt.away && since >= 10*time.Second
					switch {
					case since > 0 && since <= tt.away:
						return nil, errors.New("connection refused")
					case isEvents(r) && !tt.streams:
						return reply(http.StatusNotFound, `{"detail":"Not found."}`), nil
					case isEvents(r) && over:
						return events(run("end", "completed")), nil
					case isEvents(r):
						return events(run("run", "running")), nil
					case over:
						return reply(http.StatusOK, `{"id":"r","state":"completed"}`), nil
					}
					return reply(http.StatusOK, `{"id":"r","state":"running"}`), nil
				})
				a, err := c.Watch(t.Context(), google, "r", client.Watching{Every: time.Second, Show: func(client.Event) {}})
				if (err != nil) != (tt.kind != fault.Internal) || err != nil && client.KindOf(err) != tt.kind {
					t.Errorf("Watch() = %v", err)
				}
				if err == nil && a.Value.State != status.Completed {
					t.Errorf("the run is %s", a.Value.State)
				}
			})
		})
	}
}

func TestWatchIsInterrupted(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(*http.Request) *http.Response{
		"asking": func(r *http.Request) *http.Response {
			if isEvents(r) {
				return reply(http.StatusNotFound, "")
			}
			return reply(http.StatusOK, `{"id":"r","state":"queued"}`)
		},
		"listening": func(r *http.Request) *http.Response { return stream(untilDone(r, run("run", "queued"))) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			c := newClient(t, func(r *http.Request) (*http.Response, error) { return answer(r), nil })
			_, err := c.Watch(ctx, google, "r", client.Watching{Every: time.Hour, Show: func(client.Event) { cancel() }})
			if err == nil || client.KindOf(err) != fault.Canceled {
				t.Errorf("Watch() = %v, want fault.Canceled", err)
			}
		})
	}
}
