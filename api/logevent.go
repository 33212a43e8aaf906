package api

import (
	"rollcall/container"
	"rollcall/status"
)

// logEvent is one message in the contract's form.
type logEvent struct {
	Timestamp  stamp          `json:"timestamp"`
	LogLevel   string         `json:"log_level"`
	Logger     string         `json:"logger"`
	Event      string         `json:"event"`
	Attributes map[string]any `json:"attributes"`
}

// logLevel maps a level to the closed set of the contract.
func logLevel(l status.Level) string {
	switch l {
	case status.Warning:
		return "warning"
	case status.Error:
		return "error"
	case status.Info:
	}
	return "info"
}

func newLogEvent(c container.ID, m status.Message) logEvent {
	e := logEvent{
		Timestamp: stamp(m.Time), LogLevel: logLevel(m.Level), Logger: m.Logger, Event: m.Event, Attributes: m.Attributes,
	}
	if e.Logger == "" {
		e.Logger = c.String()
	}
	if e.Attributes == nil {
		e.Attributes = map[string]any{}
	}
	return e
}

func logEvents(c container.ID, in []status.Message) []logEvent {
	out := make([]logEvent, len(in))
	for i, m := range in {
		out[i] = newLogEvent(c, m)
	}
	return out
}
