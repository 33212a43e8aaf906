package client

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"strings"
	"time"
)

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
	// retry is after how long the API wants to be called again; zero where it does not say.
	retry time.Duration
}

func newEventReader(r io.Reader, heard func()) *eventReader {
	return &eventReader{lines: bufio.NewReader(r), heard: heard}
}

// next returns the next event. The error is io.EOF at the end of the stream; an event that is not whole by then is
// none.
func (r *eventReader) next() (Event, error) {
	var e Event
	var data []string
	for {
		line, err := r.lines.ReadString('\n')
		if err != nil {
			return Event{}, err
		}
		r.heard()
		if line = strings.TrimRight(line, "\r\n"); line == "" {
			if e.Name != "" && len(data) > 0 {
				e.Data = json.RawMessage(strings.Join(data, "\n"))
				return e, e.decode()
			}
			e, data = Event{}, nil
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimPrefix(value, " "); name {
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
