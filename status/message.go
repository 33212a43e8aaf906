package status

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
)

// Level is the severity of a message.
type Level string

// The levels of messages.
const (
	Info    Level = "info"
	Warning Level = "warning"
	Error   Level = "error"
)

// The largest lengths in one message. Longer texts are cut.
const (
	MaxEvent      = 1024 // characters of Event
	MaxAttributes = 4096 // bytes of Attributes as JSON
)

// Message is one message of a run or job. The status endpoints show it.
type Message struct {
	// ID orders the messages of a run; empty for a message that is not stored yet.
	ID         string         `json:"id,omitempty"`
	Time       time.Time      `json:"timestamp"` // default: when it is recorded
	Level      Level          `json:"level"`     // default Info
	Logger     string         `json:"logger"`
	Event      string         `json:"event"`
	Attributes map[string]any `json:"attributes"`
}

// bounded sets the defaults and cuts long texts.
func (m Message) bounded(now time.Time) Message {
	if m.Time.IsZero() {
		m.Time = now
	}
	if m.Level == "" {
		m.Level = Info
	}
	m.Event, m.Logger = cut(m.Event, MaxEvent), cut(m.Logger, maxName)
	return m
}

// attributes returns the attributes as JSON. Attributes that are too long or invalid are replaced by a note.
func (m Message) attributes() string {
	if len(m.Attributes) == 0 {
		return "{}"
	}
	text, err := json.Marshal(m.Attributes)
	switch {
	case err != nil:
		return `{"omitted":"not representable"}`
	case len(text) > MaxAttributes:
		return `{"omitted":"too long"}`
	}
	return string(text)
}

// Messages returns at most limit messages of a run that precede the message with id before, the newest first. An
// empty id means from the newest. Messages also returns the id for the next page, empty at the end. The id stays
// valid while new messages arrive.
func (s *Store) Messages(ctx context.Context, c container.ID, runID, before string, limit int) ([]Message, string,
	error) {
	from := "+"
	if before != "" {
		from = "(" + before
	}
	limit = min(max(limit, 1), MaxList)
	found, err := s.rdb.XRevRangeN(ctx, prefix(c)+"run:"+runID+":log", from, "-", int64(limit)+1).Result()
	return messagePage(found, limit, err)
}

// MessagesAfter returns at most limit messages that follow the message with id after, the oldest first. An empty id
// means from the oldest stored message. It also returns the id for the next call, empty if there are no more messages
// yet.
func (s *Store) MessagesAfter(ctx context.Context, c container.ID, runID, after string, limit int) ([]Message, string,
	error) {
	from := "-"
	if after != "" {
		from = "(" + after
	}
	limit = min(max(limit, 1), MaxList)
	found, err := s.rdb.XRangeN(ctx, prefix(c)+"run:"+runID+":log", from, "+", int64(limit)+1).Result()
	return messagePage(found, limit, err)
}

func messagePage(found []redis.XMessage, limit int, err error) ([]Message, string, error) {
	if err != nil {
		return nil, "", redisFault("messages", err)
	}
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = found[limit-1].ID
	}
	out := make([]Message, len(found))
	for i, x := range found {
		out[i] = decodeMessage(x)
	}
	return out, next, nil
}

func decodeMessage(x redis.XMessage) Message {
	text := func(name string) string { s, _ := x.Values[name].(string); return s }
	m := Message{
		ID: x.ID, Time: fromMS(text("timestamp")), Level: Level(text("level")),
		Logger: text("logger"), Event: text("event"), Attributes: map[string]any{},
	}
	_ = json.Unmarshal([]byte(text("attributes")), &m.Attributes) // written by us; an unreadable one shows as empty
	if m.Attributes == nil {
		m.Attributes = map[string]any{}
	}
	return m
}
