package status

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
)

// Level is the weight of a message.
type Level string

// The levels of messages.
const (
	Info    Level = "info"
	Warning Level = "warning"
	Error   Level = "error"
)

// Bounds of one message: longer ones are cut.
const (
	MaxEvent      = 1024 // characters of Event
	MaxAttributes = 4096 // bytes of Attributes as JSON
)

// Message is one line of a run's or job's log, shown by the status endpoints to whoever may read them: it names
// entries by id, never by name or address.
type Message struct {
	// ID orders the messages of a run; empty for a message that is not stored yet.
	ID         string         `json:"id,omitempty"`
	Time       time.Time      `json:"timestamp"` // default: when it is recorded
	Level      Level          `json:"level"`     // default Info
	Logger     string         `json:"logger"`
	Event      string         `json:"event"`
	Attributes map[string]any `json:"attributes"`
}

// bounded fills the defaults in and cuts what is too long.
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

// attributes returns the attributes as JSON, or a note that they were too long or no JSON.
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

// Messages returns at most limit messages of a run, newest first, that precede the message with id before (empty: from
// the newest), and the id to go on before, empty at the end. The place stays valid while new messages arrive.
func (s *Store) Messages(ctx context.Context, c container.ID, runID, before string, limit int) ([]Message, string, error) {
	from := "+"
	if before != "" {
		from = "(" + before
	}
	limit = min(max(limit, 1), MaxList)
	found, err := s.rdb.XRevRangeN(ctx, prefix(c)+"run:"+runID+":log", from, "-", int64(limit)+1).Result()
	return messagePage(found, limit, err)
}

// MessagesAfter returns at most limit messages, oldest first, that follow the message with id after (empty: from the
// oldest kept), and the id to go on after, empty when there are no more yet.
func (s *Store) MessagesAfter(ctx context.Context, c container.ID, runID, after string, limit int) ([]Message, string, error) {
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
