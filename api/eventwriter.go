package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

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

func newEventWriter(w http.ResponseWriter, within time.Duration) *eventWriter {
	return &eventWriter{w: w, rc: http.NewResponseController(w), within: within}
}

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

// comment writes a line that clients ignore.
func (e *eventWriter) comment(text string) { fmt.Fprintf(&e.buf, ": %s\n\n", text) }

// retry tells the client how many milliseconds to wait before it reconnects.
func (e *eventWriter) retry(millis int) { fmt.Fprintf(&e.buf, "retry: %d\n\n", millis) }

func (e *eventWriter) full() bool { return e.buf.Len() >= sendAt }

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
