package status

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"rollcall/container"
)

// Recorder counts and logs for a run. It collects counts and messages and writes them every Config.FlushEvery, or
// sooner if there are many. Counting a change therefore costs no round trip. Counts remain exact if a reply of Redis
// is lost. Counts that a killed worker had not written are lost.
//
// After a cancel or the loss of its lease, a worker may still report its last changes until another worker takes the
// run. The methods may be called concurrently.
type Recorder struct {
	lease *Lease

	mu      sync.Mutex
	pending batch // gathers
	full    chan struct{}
	beside  func(context.Context) error // what else each flush writes

	turn   *semaphore.Weighted // held while a batch is on its way
	sent   batch               // on its way, or to be sent again under the same number
	number int64

	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
}

// batch is the content of one write.
type batch struct {
	counts   map[string]int64
	messages []Message
}

func (b batch) empty() bool { return len(b.counts) == 0 && len(b.messages) == 0 }

// flushMessages is the number of collected messages that triggers a write.
const flushMessages = 100

func newRecorder(l *Lease) *Recorder {
	r := &Recorder{
		lease: l, turn: semaphore.NewWeighted(1),
		full: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go r.loop()
	return r
}

// Succeeded counts n successful changes.
func (r *Recorder) Succeeded(o ObjectType, c ChangeType, n int) {
	r.count(n, counter("s", o, c), "done")
}

// Failed counts n failed changes.
func (r *Recorder) Failed(o ObjectType, c ChangeType, n int) {
	r.count(n, counter("f", o, c), "done", "failed")
}

// FailedBy counts n failed changes by the kind of error.
func (r *Recorder) FailedBy(kind string, n int) { r.count(n, "k:"+kind) }

// Held counts n changes that were held for a person after planning.
func (r *Recorder) Held(n int) { r.count(n, "held") }

// Read counts n entries that the present worker read.
func (r *Recorder) Read(o ObjectType, n int) { r.count(n, "r:"+string(o)) }

// Beside makes every flush call f first. f writes data of the run to another place. Unlike counts, this data is
// written even if another worker has the run.
func (r *Recorder) Beside(f func(context.Context) error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.beside = f
}

// Calls counts n requests to the remote side.
func (r *Recorder) Calls(n int) { r.count(n, "calls") }

// Log records a message. The oldest messages are dropped if Redis is unavailable for long.
func (r *Recorder) Log(m Message) {
	m = m.bounded(r.lease.store.cfg.Now())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pending.messages = append(r.pending.messages, m)
	if over := len(r.pending.messages) - r.lease.store.cfg.MaxMessages; over > 0 {
		r.pending.messages = r.pending.messages[over:]
	}
	if len(r.pending.messages) >= flushMessages {
		select {
		case r.full <- struct{}{}:
		default:
		}
	}
}

func (r *Recorder) count(n int, names ...string) {
	if n == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending.counts == nil {
		r.pending.counts = map[string]int64{}
	}
	for _, name := range names {
		r.pending.counts[name] += int64(n)
	}
}

// Planned records the plan before it is applied. The expected changes are those of the plan, plus all that this
// worker or an earlier one has already attempted.
func (r *Recorder) Planned(ctx context.Context, p Planned) error {
	if err := r.Flush(ctx); err != nil {
		return err
	}
	counts := map[string]int64{}
	for _, e := range p.Expected {
		counts[string(e.Object)+":"+string(e.Change)] += e.Count
	}
	args := []any{ms(r.lease.store.cfg.Now()), p.Digest, p.Held, ms(p.ReadAt), ms(p.LeaverSince), len(p.HeldEntries),
		flag(p.Follow), p.Takes.Milliseconds()}
	for reason, n := range p.HeldEntries {
		args = append(args, reason, n)
	}
	for _, o := range ObjectTypes() {
		for _, c := range ChangeTypes() {
			name := string(o) + ":" + string(c)
			args = append(args, name, counts[name])
		}
	}
	return r.lease.eval(ctx, "planned", plannedScript, args...)
}

// Flush writes the collected data. Data that cannot be written is kept for the next flush. If another worker has the
// run, the data is dropped and the error wraps ErrStale.
func (r *Recorder) Flush(ctx context.Context) error {
	if err := r.turn.Acquire(ctx, 1); err != nil {
		return redisFault("flush", err)
	}
	defer r.turn.Release(1)
	r.mu.Lock()
	beside := r.beside
	r.mu.Unlock()
	if beside != nil {
		if err := beside(ctx); err != nil {
			return err
		}
	}
	for {
		if r.sent.empty() && !r.take() {
			return nil
		}
		err := r.lease.eval(ctx, "flush", flushScript, r.arguments()...)
		if err != nil && !errors.Is(err, ErrStale) {
			return err
		}
		if r.sent = (batch{}); err != nil {
			return err
		}
	}
}

// take moves the collected data into the next numbered batch.
func (r *Recorder) take() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.pending.empty() {
		return false
	}
	r.sent, r.pending = r.pending, batch{}
	r.number++
	return true
}

func (r *Recorder) arguments() []any {
	cfg := r.lease.store.cfg
	args := []any{ms(cfg.Now()), r.number, cfg.MaxMessages, len(r.sent.counts)}
	for name, n := range r.sent.counts {
		args = append(args, name, n)
	}
	for _, m := range r.sent.messages {
		args = append(args, ms(m.Time), string(m.Level), m.Logger, m.Event, m.attributes())
	}
	return args
}

// loop flushes until the recorder is closed. A failed flush is repeated at the next tick.
func (r *Recorder) loop() {
	defer close(r.stopped)
	tick := time.NewTicker(r.lease.store.cfg.FlushEvery)
	defer tick.Stop()
	for {
		select {
		case <-r.stop:
			r.try(lastFlush)
			return
		case <-tick.C:
		case <-r.full:
		}
		r.try(releaseTimeout)
	}
}

// lastFlush is the time limit for the flush of a closed recorder.
const lastFlush = 2 * time.Second

func (r *Recorder) try(within time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	_ = r.Flush(ctx) // what fails is kept for the next time
}

func (r *Recorder) close() {
	r.once.Do(func() { close(r.stop) })
	<-r.stopped
}

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
	m.Level = cmp.Or(m.Level, Info)
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
	return s.messages(ctx, s.rdb.XRevRangeN, c, runID, "+", before, "-", limit)
}

// MessagePage is the newest messages of a run, the newest first. More is set if it has older ones.
type MessagePage struct {
	Messages []Message
	More     bool
}

// MessagesAfter returns at most limit messages that follow the message with id after, the oldest first. An empty id
// means from the oldest stored message. It also returns the id for the next call, empty if there are no more messages
// yet.
func (s *Store) MessagesAfter(ctx context.Context, c container.ID, runID, after string, limit int) ([]Message, string,
	error) {
	return s.messages(ctx, s.rdb.XRangeN, c, runID, "-", after, "+", limit)
}

// messages reads from one end of a log, or from behind a message, to the other end.
func (s *Store) messages(ctx context.Context, read func(context.Context, string, string, string,
	int64) *redis.XMessageSliceCmd, c container.ID, runID, from, behind, to string, limit int) ([]Message, string, error) {
	if behind != "" {
		from = "(" + behind
	}
	limit = min(max(limit, 1), MaxList)
	found, err := read(ctx, prefix(c)+"run:"+runID+":log", from, to, int64(limit)+1).Result()
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
