package client

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
)

// FuzzEvents reads streams of events. Each event that is read, written again, is read as the same event.
func FuzzEvents(f *testing.F) {
	f.Add("retry: 50\n\n: hello\n\nevent: run\ndata: {\"id\":\"r\",\"state\":\"running\"}\n\n")
	f.Add("event: message\r\nid: 1-0\r\ndata: {\"id\":\"1-0\",\r\ndata: \"event\":\"x\"}\r\n\r\nevent: gap\ndata: {}\n\n")
	f.Add("event:end\ndata:{\"state\":3}\n\nevent: closing\ndata: {\"detail\":\"\\u001b[2J\"}\n\n")
	f.Add("data: without an event\n\nevent\nretry: 99999999999999999999\nid\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := newEventReader(strings.NewReader(text), func() {})
		for {
			e, err := r.next()
			if err != nil {
				return
			}
			again := fmt.Sprintf("event: %s\nid: %s\n", e.Name, e.ID)
			for line := range strings.SplitSeq(string(e.Data), "\n") {
				again += "data: " + line + "\n"
			}
			got, err := newEventReader(strings.NewReader(again+"\n"), func() {}).next()
			if err != nil || !reflect.DeepEqual(got, e) {
				t.Errorf("%+v comes back as %+v, %v", e, got, err)
			}
			_ = e.detail()
		}
	})
}

type endless struct {
	line string
	read int
}

// Read implements io.Reader.
func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n+len(e.line) <= len(p) {
		n += copy(p[n:], e.line)
	}
	e.read += n
	return n, nil
}

// TestAnEventHasALargestSize checks that a stream without the end of an event is an error before it fills the memory.
func TestAnEventHasALargestSize(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"x", "data: x\n", "event: y\n", ":"} {
		stream := &endless{line: line}
		if _, err := newEventReader(stream, func() {}).next(); err == nil || errors.Is(err, io.EOF) ||
			stream.read > 2*maxEvent {
			t.Errorf("a stream of %q: %v after %d bytes", line, err, stream.read)
		}
	}
}
