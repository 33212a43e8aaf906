package api

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/scrub"
	"rollcall/status"
	"rollcall/status/watch"
)

// The events of a stream. A message has the id of its place in the run's messages, by which a stream goes on after it was cut.
const (
	eventRun     = "run"     // a run as it is now, at the beginning and whenever it changed
	eventMessage = "message" // what the run said
	eventGap     = "gap"     // messages are missing here: they are not kept any more
	eventEnd     = "end"     // the run is over, and this is what it came to
	eventClosing = "closing" // the service ends the stream for a reason of its own: come back
)

const (
	lastEventID = "Last-Event-ID"
	// heartbeat is how long a stream may be silent: what stands between keeps it open.
	heartbeat = 15 * time.Second
	// writeTime is how long a client may take to read what was sent.
	writeTime = 10 * time.Second
	// retryMillis is after how long a client comes back whose stream was cut.
	retryMillis = 3000
	// recentRuns is among how many runs the one is looked for in which a stream was cut.
	recentRuns = 20
)

// events is what the streams of one API share.
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

// syncEvents answers with a stream of what becomes of a run: the one that is named or, one after the other, those that the
// container gets.
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
		full := answer{status: http.StatusServiceUnavailable, body: detail{Detail: "Too many event streams are open. Try again later, or ask for the run every so often."}}
		return retryLater(full, 0), nil
	}
	return answer{status: http.StatusOK, header: streamHeader(), body: s}, nil
}

// streamHeader has nothing in between hold the stream back.
func streamHeader() map[string]string {
	return map[string]string{"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
}

// eventStream is one stream, which ends with its client.
type eventStream struct {
	*API
	container container.ID
	// single is whether the stream ends with the run.
	single bool
	// run is the one that is followed; without an ID, the first one after cursor is waited for.
	run    status.Run
	cursor status.Cursor
	// after is the id of the last message that the client had.
	after string
	// mayStill reports whether the client would be let in now.
	mayStill func() bool
	w        *eventWriter
	beat     *time.Ticker
}

// begin finds the run to begin with: the named one, that in which the stream was cut, or the newest if it is not over.
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

// stream sends events until the client is gone, the run is over or the process stops.
func (a *API) stream(w http.ResponseWriter, r *http.Request, s *eventStream) {
	defer func() { <-a.events.slots }()
	s.w = newEventWriter(w, a.events.writeTime)
	s.mayStill = func() bool {
		caller, err := a.authenticate(r)
		return err == nil && caller.may(ScopeRead)
	}
	s.beat = time.NewTicker(a.events.heartbeat)
	defer s.beat.Stop()
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

// errStopping ends a stream because the process does, errRevoked because its token does not let in any more.
var (
	errStopping = errors.New("the process stops")
	errRevoked  = errors.New("the token is not valid any more")
)

// close says why a stream ends that the client did not end.
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
		s.cfg.Log.Warn("event stream ended", "container", s.container, "kind", fault.KindOf(err).String(), "err", scrub.Error(err))
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
		if err := s.wait(ctx, more); err != nil {
			return err
		}
	}
}

// follow sends what becomes of one run until it is over.
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
		if err := s.wait(ctx, more); err != nil {
			return err
		}
	}
}

// tell sends the news of a run: at the beginning the run and what it said, later what it said and what it is by then.
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
		if s.w.full() {
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

// wait waits until there may be more, and keeps the stream alive meanwhile, for as long as its token lets in: a stream may
// outlive the token that opened it by days.
func (s *eventStream) wait(ctx context.Context, more <-chan struct{}) error {
	for {
		select {
		case <-more:
			return nil
		case <-s.beat.C:
			if !s.mayStill() {
				return errRevoked
			}
			s.w.comment("still here")
			if err := s.w.send(); err != nil {
				return err
			}
		case <-s.events.stopping:
			return errStopping
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
