package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/status"
	"rollcall/status/watch"
)

// The events of a stream. The id of a message is its position in the messages of the run. A client continues there
// after a broken connection.
const (
	eventRun     = "run"     // a run as it is now, at the beginning and whenever it changed
	eventMessage = "message" // what the run said
	eventGap     = "gap"     // messages are missing here: they are not kept any more
	eventEnd     = "end"     // the run is over, and this is what it came to
	eventClosing = "closing" // the service ends the stream for a reason of its own: come back
)

const (
	lastEventID = "Last-Event-ID"
	// heartbeat is the longest silence of a stream. It keeps proxies from closing the connection.
	heartbeat = 15 * time.Second
	// writeTime is the time limit for a client to read what was sent.
	writeTime = 10 * time.Second
	// retryMillis is how long a client waits before it reconnects.
	retryMillis = 3000
	// recentRuns is the number of runs that are searched for the one in which a stream broke.
	recentRuns = 20
)

// events is the shared state of all streams of one API.
type events struct {
	hub       *watch.Hub
	slots     chan struct{}
	heartbeat time.Duration
	writeTime time.Duration
	stopping  chan struct{} // closed when the process stops
	stop      func()
}

func newEvents(cfg Config) *events {
	e := &events{
		hub: watch.New(cfg.Status, cfg.EventEvery), slots: make(chan struct{}, cfg.MaxEventStreams),
		heartbeat: heartbeat, writeTime: writeTime, stopping: make(chan struct{}),
	}
	e.stop = sync.OnceFunc(func() { close(e.stopping) })
	return e
}

// syncEvents streams the events of a named run or, without a name, of the container's runs one after the other.
func (a *API) syncEvents(r *request) (answer, error) {
	q, wrong := r.URL.Query(), invalid{}
	s := &eventStream{API: a, container: r.container(), after: r.Header.Get(lastEventID), single: q.Has("run")}
	if s.single && !isUUID(q.Get("run")) {
		wrong.add("run", "Must be a valid UUID.")
	}
	if s.after != "" && !streamID.MatchString(s.after) {
		wrong.add(lastEventID, "This is not the id of a message.")
	}
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	if err := s.begin(r.Context(), q.Get("run")); err != nil {
		return answer{}, err
	}
	if r.Method == http.MethodHead {
		return answer{status: http.StatusOK, header: streamHeader()}, nil
	}
	select {
	case a.events.slots <- struct{}{}:
	default:
		full := answer{status: http.StatusServiceUnavailable,
			body: detail{Detail: "Too many event streams are open. Try again later, or ask for the run every so " +
				"often."}}
		return retryLater(full, 0), nil
	}
	release, mine := a.limits.streams.take(a.Sharers(r.Request, r.caller.Name)...)
	if !mine {
		<-a.events.slots
		return tooMany("event streams"), nil
	}
	s.release = release
	return answer{status: http.StatusOK, header: streamHeader(), body: s}, nil
}

// streamHeader disables caches and buffers between server and client.
func streamHeader() map[string]string {
	return map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
}

// eventStream is the stream of one client.
type eventStream struct {
	*sender
	*API
	container container.ID
	// single reports whether the stream ends with the run.
	single bool
	// run is the followed run. Without an ID, the stream waits for the first run after cursor.
	run    status.Run
	cursor status.Cursor
	// after is the id of the last message that the client received.
	after string
	// release gives the stream back to the limits.
	release func()
}

// sender sends events to one client.
type sender struct {
	w    *eventWriter
	beat *time.Ticker
	// mayStill reports whether the client's token is still valid, and changed is closed when that may have changed.
	mayStill func() bool
	changed  <-chan struct{}
}

func (a *API) sender(w http.ResponseWriter, mayStill func() bool) *sender {
	return &sender{&eventWriter{w: w, rc: http.NewResponseController(w), within: a.events.writeTime},
		time.NewTicker(a.events.heartbeat), mayStill, a.cfg.TokensChanged()}
}

// begin finds the first run: the named one, the one in which the stream broke, or the newest one if it is not over.
func (s *eventStream) begin(ctx context.Context, id string) error {
	var err error
	if s.single {
		s.run, err = s.cfg.Status.Get(ctx, s.container, id)
		return err
	}
	newest, _, err := s.cfg.Status.List(ctx, s.container, 0, 1)
	if err != nil || len(newest) == 0 {
		return err
	}
	if s.cursor = newest[0].Cursor; newest[0].State.Open() {
		s.run = newest[0]
	}
	if s.after == "" {
		return nil
	}
	if cut, found, err := s.cfg.Status.RunOfMessage(ctx, s.container, s.after, recentRuns); err != nil || found {
		s.run = cut
		return err
	}
	return nil
}

// stream sends events until the client disconnects, the run is over or the process stops.
func (a *API) stream(w http.ResponseWriter, r *http.Request, s *eventStream) {
	defer func() { <-a.events.slots; s.release() }()
	s.sender = a.sender(w, func() bool {
		caller, err := a.authenticate(r)
		return err == nil && caller.may(ScopeRead) && caller.reaches(s.container)
	})
	defer s.beat.Stop()
	if !s.mayStill() {
		s.close(errRevoked)
		return
	}
	s.w.retry(retryMillis)
	err := s.w.send() // The client shall know at once that it is heard.
	for err == nil {
		if s.run.ID == "" {
			err = s.await(r.Context())
			continue
		}
		if err = s.follow(r.Context()); err == nil && s.single {
			return
		}
		s.cursor, s.run, s.after = s.run.Cursor, status.Run{}, ""
	}
	s.close(err)
}

// errStopping ends a stream when the process stops, errRevoked when its token is no longer valid.
var (
	errStopping = errors.New("the process stops")
	errRevoked  = errors.New("the token is not valid any more")
)

// close sends the reason for an end that the client did not cause.
func (s *eventStream) close(err error) {
	text := ""
	switch _, known := errors.AsType[*fault.Error](err); {
	case errors.Is(err, errStopping):
		text = "The service is stopping. Come back."
	case errors.Is(err, errRevoked):
		text = "The token is not valid any more, or lacks the scope read."
	case known && fault.KindOf(err) == fault.NotFound:
		text = "The run is not kept any more."
	case known && fault.KindOf(err) != fault.Canceled:
		text = "A system behind this service is unavailable. Come back."
		s.cfg.Log.Warn("event stream ended", "container", s.container, "kind", fault.KindOf(err).String(), "err",
			secret.Scrub(err.Error()))
	default: // The client is gone, or does not read.
		return
	}
	s.w.event(eventClosing, "", detail{Detail: text})
	_ = s.w.send() // It ends either way.
}

// await waits for the next run.
func (s *eventStream) await(ctx context.Context) error {
	head := s.events.hub.Head(s.container)
	defer head.Close()
	for {
		newest, more, err := head.Newest()
		if err != nil {
			return err
		}
		if newest > s.cursor {
			run, found, err := s.cfg.Status.RunAfter(ctx, s.container, s.cursor)
			if s.run = run; err != nil || found {
				return err
			}
		}
		if _, err := next(ctx, s.API, s.sender, more); err != nil {
			return err
		}
	}
}

// follow sends the events of one run until it is over.
func (s *eventStream) follow(ctx context.Context) error {
	listener := s.events.hub.Run(s.container, s.run.ID, s.after)
	defer listener.Close()
	for first := true; ; {
		news, more, err := listener.Take()
		if err != nil {
			return err
		}
		if news.Run.ID != "" {
			if err := s.tell(news, first); err != nil || news.Over {
				return err
			}
			first = false
		}
		if _, err := next(ctx, s.API, s.sender, more); err != nil {
			return err
		}
	}
}

// tell sends news of a run. At first this is the run and its messages, later the new messages and the changed run.
func (s *eventStream) tell(news watch.News, first bool) error {
	run := newRunView(news.Run, s.now())
	if first {
		s.w.event(eventRun, "", run)
	}
	if news.Missed {
		s.w.event(eventGap, "", detail{Detail: "Messages before this one are not kept any more."})
	}
	for _, m := range news.Messages {
		s.w.event(eventMessage, m.ID, messageView{m.ID, newLogEvent(s.container, m)})
		if s.w.buf.Len() >= sendAt {
			if err := s.w.send(); err != nil {
				return err
			}
		}
	}
	if !first && news.Changed {
		s.w.event(eventRun, "", run)
	}
	if news.Over {
		s.w.event(eventEnd, "", run)
	}
	return s.w.send()
}

// next waits for an item of more and sends heartbeats meanwhile. It ends when the token is no longer valid, because a
// stream can outlive its token by days. The token is checked before anything is sent.
func next[T any](ctx context.Context, a *API, s *sender, more <-chan T) (item T, err error) {
	for {
		select {
		case <-s.changed:
			if s.changed = a.cfg.TokensChanged(); !s.mayStill() {
				return item, errRevoked
			}
		case item = <-more:
			if !s.mayStill() {
				return item, errRevoked
			}
			return item, nil
		case <-s.beat.C:
			if !s.mayStill() {
				return item, errRevoked
			}
			s.w.buf.WriteString(": still here\n\n") // a comment, which clients ignore
			if err := s.w.send(); err != nil {
				return item, err
			}
		case <-a.events.stopping:
			return item, errStopping
		case <-ctx.Done():
			return item, ctx.Err()
		}
	}
}

// Event is one server-sent event.
type Event struct {
	Name string
	Data any // sent as JSON
}

// Stream sends events until the client disconnects, mayStill returns false or the process stops. It asks mayStill
// before it sends anything, and when the tokens change. It shares the limits of the event streams of runs.
func (a *API) Stream(w http.ResponseWriter, r *http.Request, mayStill func() bool, events <-chan []Event) {
	select {
	case a.events.slots <- struct{}{}:
		defer func() { <-a.events.slots }()
	default:
		w.Header().Set("Retry-After", "5")
		http.Error(w, "Too many event streams are open. Try again later.", http.StatusServiceUnavailable)
		return
	}
	release, mine := a.limits.streams.take(a.Sharers(r, "")...)
	if !mine {
		a.write(w, r, tooMany("event streams"))
		return
	}
	defer release()
	for name, value := range streamHeader() {
		w.Header().Set(name, value)
	}
	s := a.sender(w, mayStill)
	defer s.beat.Stop()
	if !mayStill() {
		return
	}
	for s.w.retry(retryMillis); s.w.send() == nil; {
		some, err := next(r.Context(), a, s, events)
		if err != nil {
			return
		}
		for _, e := range some {
			s.w.event(e.Name, "", e.Data)
		}
	}
}

// eventWriter writes server-sent events (WHATWG HTML, section 9.2). It buffers them until send, which has a time
// limit of its own. The time limits of the server apply to finite responses only.
type eventWriter struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	within time.Duration
	buf    bytes.Buffer
}

// sendAt is the number of buffered bytes that triggers a send.
const sendAt = 32 << 10

// event writes an event. Its data is JSON, which contains no line breaks.
func (e *eventWriter) event(name, id string, data any) {
	fmt.Fprintf(&e.buf, "event: %s\n", name)
	if id != "" {
		fmt.Fprintf(&e.buf, "id: %s\n", id)
	}
	text, err := json.Marshal(data)
	if err != nil { // It would be a bug: the types are ours.
		text = []byte("null")
	}
	fmt.Fprintf(&e.buf, "data: %s\n\n", text)
}

// retry tells the client how many milliseconds to wait before it reconnects.
func (e *eventWriter) retry(millis int) { fmt.Fprintf(&e.buf, "retry: %d\n\n", millis) }

// send sends the buffer. An error means that the client is gone or reads too slowly.
func (e *eventWriter) send() error {
	if e.buf.Len() == 0 {
		return nil
	}
	defer e.buf.Reset()
	if err := e.rc.SetWriteDeadline(time.Now().Add(e.within)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := e.w.Write(e.buf.Bytes()); err != nil {
		return err
	}
	return e.rc.Flush()
}
