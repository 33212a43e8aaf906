package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/container"
	"rollcall/status"
)

// streaming is an API that is served, with the store behind it.
type streaming struct {
	*harness
	srv *http.Server
	url string
	// over is closed when the server has ended, and every stream with it.
	over chan struct{}
}

// newStreaming returns an API that looks often, to be served; change, if any, changes the configuration.
func newStreaming(t *testing.T, rdb *redis.Client, change func(*api.Config)) *streaming {
	t.Helper()
	s := &streaming{over: make(chan struct{})}
	var cfg api.Config
	s.harness = newHarness(t, rdb, func(c *api.Config) { cfg = *c })
	cfg.EventEvery = 2 * time.Millisecond
	if change != nil {
		change(&cfg)
	}
	var err error
	if s.srv, err = api.NewServer(cfg); err != nil {
		t.Fatal(err)
	}
	s.api, _ = s.srv.Handler.(*api.API)
	return s
}

func (s *streaming) serve() *streaming {
	s.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	go func() { _ = s.srv.Serve(smallBuffers{listener}) }() // The tests see whether it does.
	s.t.Cleanup(s.shutdown)
	return s
}

// shutdown ends the server and fails the test if something of a stream is left.
func (s *streaming) shutdown() {
	select {
	case <-s.over:
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := s.srv.Shutdown(ctx); err != nil {
		s.t.Errorf("Shutdown() = %v", err)
	}
	close(s.over)
	if readers, streams := api.OpenEvents(s.api); readers != 0 || streams != 0 {
		s.t.Errorf("after the end there are %d readers and %d streams", readers, streams)
	}
}

// smallBuffers makes connections with writes that block soon without a reader.
type smallBuffers struct{ net.Listener }

const bufferSize = 4 << 10

func (l smallBuffers) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if tcp, is := c.(*net.TCPConn); is {
		_ = tcp.SetWriteBuffer(bufferSize)
	}
	return c, err
}

// client returns a client with connections of its own. The connections of a deaf client take little unread.
func client(t testing.TB, deaf bool) *http.Client {
	t.Helper()
	var dialer net.Dialer
	if deaf {
		dialer.Control = func(_, _ string, c syscall.RawConn) error {
			return c.Control(func(fd uintptr) {
				_ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, bufferSize)
			})
		}
	}
	tr := &http.Transport{DialContext: dialer.DialContext}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// listener is a client that reads one stream.
type listener struct {
	t      testing.TB
	resp   *http.Response
	lines  *bufio.Scanner
	cancel context.CancelFunc
	retry  string
	beats  int
}

// event is one event, as a browser would hand it on.
type event struct {
	name, id string
	run      status.Run // of run and end
	text     string     // of message, and the detail of others
}

// listen opens a stream of a container: query is "" or "?run=…".
func (s *streaming) listen(c container.ID, query, after string) *listener {
	s.t.Helper()
	return s.listenBy(client(s.t, false), c, query, after)
}

func (s *streaming) listenBy(by *http.Client, c container.ID, query, after string) *listener {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v3"+paths[c]+"sync/events/"+query, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+readToken)
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	resp, err := by.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	for name, want := range map[string]string{
		"Content-Type": "text/event-stream", "X-Accel-Buffering": "no", "Cache-Control": "no-store", "Content-Encoding": "",
	} {
		if got := resp.Header.Get(name); got != want || resp.StatusCode != http.StatusOK {
			s.t.Fatalf("%s: %s is %q, want %q", resp.Status, name, got, want)
		}
	}
	l := &listener{t: s.t, resp: resp, lines: bufio.NewScanner(resp.Body), cancel: cancel}
	l.lines.Buffer(nil, 1<<20)
	s.t.Cleanup(l.leave)
	return l
}

func (l *listener) leave() { l.cancel(); _ = l.resp.Body.Close() }

// next returns the next event, and false at the end of the stream. Its data is checked against the document.
func (l *listener) next() (event, bool) {
	l.t.Helper()
	var e event
	var data string
	for l.lines.Scan() {
		field, value, _ := strings.Cut(l.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			data = value
		case "retry":
			l.retry = value
		default:
			if l.lines.Text() != "" {
				l.beats++
			}
		}
		if l.lines.Text() == "" && e.name != "" {
			l.read(&e, data)
			return e, true
		}
	}
	return e, false
}

func (l *listener) read(e *event, data string) {
	l.t.Helper()
	doc, err := loadOwn()
	if err != nil {
		l.t.Fatal(err)
	}
	name := map[string]string{"run": "Run", "end": "Run", "message": "RunMessage", "gap": "GenericError",
		"closing": "GenericError"}[e.name]
	var body map[string]any
	if err := json.Unmarshal([]byte(data), &body); err != nil || name == "" {
		l.t.Fatalf("event %q: %q: %v", e.name, data, err)
	}
	for _, problem := range validate(doc.Components.Schemas[name].Value, body) {
		l.t.Errorf("event %s: %s", e.name, problem)
	}
	switch e.name {
	case "message":
		e.text, _ = body["event"].(string)
		if body["id"] != e.id {
			l.t.Errorf("the id of the event is %q, of the message %q", e.id, body["id"])
		}
	case "run", "end":
		if err := json.Unmarshal([]byte(data), &e.run); err != nil {
			l.t.Fatal(err)
		}
	default:
		e.text, _ = body["detail"].(string)
	}
}

// until reads up to the event that is wanted, that one too.
func (l *listener) until(wanted func(event) bool) []event {
	l.t.Helper()
	var all []event
	for {
		e, more := l.next()
		if !more {
			l.t.Errorf("the stream ended (%v) after %d events, the last one %.300s", l.lines.Err(), len(all),
				fmt.Sprint(all[max(0, len(all)-1):]))
			runtime.Goexit() // Also from a goroutine that is not the test's.
		}
		if all = append(all, e); wanted(e) {
			return all
		}
	}
}

func named(name string) func(event) bool { return func(e event) bool { return e.name == name } }

func inState(st status.State) func(event) bool {
	return func(e event) bool { return e.name == "run" && e.run.State == st }
}

// ended fails the test unless the server has ended the stream.
func (l *listener) ended() {
	l.t.Helper()
	if e, more := l.next(); more || l.lines.Err() != nil {
		l.t.Errorf("the stream goes on with %+v, or was cut: %v", e, l.lines.Err())
	}
}

// texts returns what the messages among events say.
func texts(all []event) []string {
	var out []string
	for _, e := range all {
		if e.name == "message" {
			out = append(out, e.text)
		}
	}
	return out
}
