package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// eventWriter writes server-sent events (WHATWG HTML, section 9.2). What is written gathers until send, which the client has to
// read within a time: the server's own limits are those of an answer that ends.
type eventWriter struct {
	w      http.ResponseWriter
	rc     *http.ResponseController
	within time.Duration
	buf    bytes.Buffer
}

// sendAt is how many bytes are worth being sent.
const sendAt = 32 << 10

func newEventWriter(w http.ResponseWriter, within time.Duration) *eventWriter {
	return &eventWriter{w: w, rc: http.NewResponseController(w), within: within}
}

// event writes an event whose data is JSON, which has no line breaks.
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

// comment writes what every client passes over.
func (e *eventWriter) comment(text string) { fmt.Fprintf(&e.buf, ": %s\n\n", text) }

// retry tells the client after how many milliseconds it comes back when the stream is cut.
func (e *eventWriter) retry(millis int) { fmt.Fprintf(&e.buf, "retry: %d\n\n", millis) }

func (e *eventWriter) full() bool { return e.buf.Len() >= sendAt }

// send has the client read what was written. The error means that it is gone, or reads too slowly.
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
