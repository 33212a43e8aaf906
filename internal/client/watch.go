package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/fault"
)

// Watching says how a run is watched.
type Watching struct {
	// Every is how often the run is asked for where there is no stream of events.
	Every time.Duration
	// Show gets each event, in order; the last one is EventEnd.
	Show func(Event)
	// Note, where it is not nil, gets a sentence when the connection becomes another.
	Note func(string)
}

const (
	// patience is how long the API may be away. The run goes on meanwhile.
	patience = time.Minute
	// firstWord is how long a stream may take to begin. Beyond, something in between gathers it.
	firstWord = 5 * time.Second
	// silence is how long a stream may say nothing; the API says something every 15 seconds.
	silence = 45 * time.Second
	// askFor is how long the run is asked for before a stream that was refused for now is tried again.
	askFor = 30 * time.Second

	shortestWait, longestWait = 250 * time.Millisecond, 10 * time.Second
)

// Watch shows what becomes of a run until it is over, from its first message on, and returns the run. It follows the
// API's stream of events and goes on where that was cut. Where there is none (the API is older, a proxy holds it
// back), it asks for the run every so often. A short absence of the API is waited out.
func (c *Client) Watch(ctx context.Context, name container.ID, id string, how Watching) (Answer[Run], error) {
	w := &watch{Client: c, Watching: how, name: name, id: id, heard: time.Now()}
	if w.Note == nil {
		w.Note = func(string) {}
	}
	for {
		err := w.listen(ctx)
		if none, is := errors.AsType[*noStream](err); is {
			err = w.ask(ctx, none.until)
		}
		switch {
		case ctx.Err() != nil:
			return w.last, &Error{Kind: fault.Canceled, Text: "interrupted", Err: ctx.Err()}
		case w.over:
			return w.last, nil
		case err != nil && (KindOf(err) != fault.Unavailable || time.Since(w.heard) > patience):
			return w.last, err
		case err != nil:
			w.rest(ctx, err)
		}
	}
}

// watch is the watching of one run.
type watch struct {
	*Client
	Watching
	name container.ID
	id   string

	after   string // the id of the last message that was shown
	last    Answer[Run]
	over    bool
	heard   time.Time // when the API was heard last
	talked  bool      // an event came through a stream
	failed  int       // how often in a row nothing was heard
	retry   time.Duration
	counted int64 // the messages that the run had when they were asked for last
}

// noStream says that there is no stream of events, until some time or for good where it is zero.
type noStream struct {
	why   string
	until time.Time
}

// Error implements error.
func (n *noStream) Error() string { return n.why }

// rest waits before the API is called again, each time in vain a little longer.
func (w *watch) rest(ctx context.Context, err error) {
	if w.failed == 0 {
		text, _, _ := strings.Cut(err.Error(), "\n")
		w.Note(text + " (trying again)")
	}
	wait := max(w.retry, min(shortestWait<<min(w.failed, 8), longestWait))
	w.failed++
	select {
	case <-ctx.Done():
	case <-time.After(wait):
	}
}

// hear notes that the API said something.
func (w *watch) hear() { w.heard, w.failed = time.Now(), 0 }

// take shows an event and remembers what it says.
func (w *watch) take(e Event) {
	switch e.Name {
	case EventMessage:
		w.after = e.ID
	case EventRun, EventEnd:
		w.last = Answer[Run]{Value: e.Run, Body: e.Data, Status: http.StatusOK}
		w.over = e.Name == EventEnd
	}
	w.Show(e)
}

// listen follows one stream until the run is over or the stream is. The error is a *noStream where there is none.
func (w *watch) listen(ctx context.Context) error {
	within, cancel := context.WithCancel(ctx)
	defer cancel()
	dog := time.AfterFunc(firstWord, cancel)
	defer dog.Stop()
	r, err := w.request(within, http.MethodGet, pathOf(w.name)+"sync/events/?run="+url.QueryEscape(w.id), nil)
	if err != nil {
		return err
	}
	r.Header.Set("Accept", "text/event-stream, application/json")
	if w.after != "" {
		r.Header.Set("Last-Event-ID", w.after)
	}
	resp, err := w.http.Do(r)
	if err != nil {
		return w.cut(within, err)
	}
	defer resp.Body.Close()
	if err := w.streams(resp); err != nil {
		return err
	}
	events := newEventReader(resp.Body, func() {})
	for began := false; ; {
		e, err := events.next()
		w.retry = events.retry
		switch {
		case err != nil:
			return w.cut(within, err)
		case e.Name == eventClosing:
			return &Error{Kind: fault.Unavailable, Text: "the API ends the stream: " + e.detail()}
		}
		if !began { // An event came through: nothing in between gathers them.
			began, w.talked, events.heard = true, true, func() { dog.Reset(silence) }
			dog.Reset(silence)
		}
		w.hear()
		if w.take(e); w.over {
			return nil
		}
	}
}

// cut says why a stream was cut, or did not come about.
func (w *watch) cut(within context.Context, err error) error {
	switch silent := within.Err() != nil; { // Our own patience is at its end, or that of the caller.
	case silent && !w.talked:
		return &noStream{why: "no event comes through"}
	case silent:
		err = errors.New("it says nothing any more")
	case errors.Is(err, io.EOF):
		err = errors.New("the stream of events was cut")
	}
	return w.unreachable(context.WithoutCancel(within), err)
}

// streams reports whether an answer is a stream, and otherwise what to do.
func (w *watch) streams(resp *http.Response) error {
	isStream := strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream")
	switch code := resp.StatusCode; {
	case code == http.StatusOK && isStream:
		return nil
	case code == http.StatusUnauthorized || code == http.StatusForbidden || code == http.StatusBadGateway ||
		code == http.StatusGatewayTimeout:
		body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
		if err != nil {
			return w.unreachable(context.Background(), err)
		}
		return w.refused(resp, body)
	case code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests:
		return &noStream{why: "the API has no stream of events for us now", until: time.Now().Add(askFor)}
	}
	return &noStream{why: "the API has no stream of events"} // or it has no such run: asking for it says so
}

// ask asks for the run every so often until it is over, or until a time if it is not zero.
func (w *watch) ask(ctx context.Context, until time.Time) error {
	tick := time.NewTicker(w.Every)
	defer tick.Stop()
	for until.IsZero() || time.Now().Before(until) {
		a, err := w.Run(ctx, w.name, w.id)
		if err == nil {
			w.hear()
			err = w.catchUp(ctx, a)
		}
		if err != nil && (KindOf(err) != fault.Unavailable || time.Since(w.heard) > patience) || w.over {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// catchUp shows a run as it is by now, and what it said since.
func (w *watch) catchUp(ctx context.Context, a Answer[Run]) error {
	run := Event{Name: EventRun, Data: a.Body, Run: a.Value}
	first := w.last.Value.ID == ""
	if first {
		w.take(run)
	}
	for more := a.Value.Messages != w.counted; more; {
		page, err := w.messages(ctx)
		if err != nil {
			return err
		}
		for _, data := range page.Results {
			e := Event{Name: EventMessage, Data: data}
			if err := e.decode(); err != nil {
				return &Error{Kind: fault.Internal, Text: w.address +
					" answers, but not like Rollcall's API: is the address right?", Err: err}
			}
			e.ID = e.Message.ID
			w.take(e)
		}
		more = page.Next != ""
	}
	if w.counted = a.Value.Messages; !first {
		w.take(run)
	}
	if !a.Value.State.Open() {
		run.Name = EventEnd
		w.take(run)
	}
	return nil
}

// messagePage is a part of what a run said, oldest first, as the API has it.
type messagePage struct {
	Next    string            `json:"next"`
	Results []json.RawMessage `json:"results"`
}

func (w *watch) messages(ctx context.Context) (messagePage, error) {
	q := url.Values{"after": {w.after}, "page_size": {strconv.Itoa(MaxPage)}}
	a, err := get[messagePage](ctx, w.Client, pathOf(w.name)+"sync/runs/"+url.PathEscape(w.id)+"/messages/", q)
	return a.Value, err
}

// The names of events.
const (
	EventRun     = "run"     // the run as it is now
	EventMessage = "message" // what the run said
	EventGap     = "gap"     // messages before the next one are not kept any more
	EventEnd     = "end"     // the run is over
	eventClosing = "closing" // the API ends the stream: come back
)

// Event is something that became of a run.
type Event struct {
	Name string `json:"event"`
	// ID is that of a message.
	ID string `json:"id,omitempty"`
	// Data is the payload as sent: a run, a message, or a sentence as {"detail": …}.
	Data json.RawMessage `json:"data"`

	Run     Run     `json:"-"` // of EventRun and EventEnd
	Message Message `json:"-"` // of EventMessage
}

// decode reads the data.
func (e *Event) decode() error {
	switch e.Name {
	case EventRun, EventEnd:
		return json.Unmarshal(e.Data, &e.Run)
	case EventMessage:
		return json.Unmarshal(e.Data, &e.Message)
	}
	return nil
}

// detail returns the sentence that an event of the API's own has.
func (e *Event) detail() string {
	var body struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal(e.Data, &body) // without a sentence there is none
	return body.Detail
}

// eventReader reads server-sent events (WHATWG HTML, section 9.2) as far as an API sends them. The id of an event
// applies to its own message only.
type eventReader struct {
	lines *bufio.Reader
	// heard is called for each line, a comment too.
	heard func()
	// size is how many bytes the present event has.
	size int
	// retry is after how long the API wants to be called again; zero where it does not say.
	retry time.Duration
}

func newEventReader(r io.Reader, heard func()) *eventReader {
	return &eventReader{lines: bufio.NewReader(r), heard: heard}
}

// maxEvent is more bytes than an event has.
const maxEvent = 16 << 20

// line returns the next line without its end.
func (r *eventReader) line() (string, error) {
	var line []byte
	for {
		part, err := r.lines.ReadSlice('\n')
		if r.size += len(part); r.size > maxEvent {
			return "", errors.New("an event has no end")
		}
		line = append(line, part...)
		if err == nil {
			return strings.TrimRight(string(line), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}

// next returns the next event. The error is io.EOF at the end of the stream; an event that is not whole by then is
// none.
func (r *eventReader) next() (Event, error) {
	var e Event
	var data []string
	for {
		line, err := r.line()
		if err != nil {
			return Event{}, err
		}
		r.heard()
		if line == "" {
			r.size = 0
			if e.Name != "" && len(data) > 0 {
				e.Data = json.RawMessage(strings.Join(data, "\n"))
				return e, e.decode()
			}
			e, data = Event{}, nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimPrefix(value, " "); name {
		case "": // A comment does not count.
			r.size -= len(line)
		case "event":
			e.Name = value
		case "id":
			e.ID = value
		case "data":
			data = append(data, value)
		case "retry":
			if n, err := strconv.Atoi(value); err == nil && n > 0 {
				r.retry = time.Duration(n) * time.Millisecond
			}
		}
	}
}
