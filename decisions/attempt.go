package decisions

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/semaphore"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/stored"
)

// Attempt is one attempted change of one entry at a remote side, with its outcome. It has the names of fields, and no
// values.
type Attempt struct {
	At time.Time `json:"at"`
	// RunID is the id of the run, or of the object job if Job is set.
	RunID string `json:"run_id"`
	Job   bool   `json:"job,omitempty"`
	// Op is the operation of the change; see plan.Op.
	Op string `json:"op"`
	// Fields are the names of the changed fields.
	Fields []string `json:"fields,omitempty"`
	// Group is the id of the group in a membership change. The entry is the member.
	Group string `json:"group,omitempty"`
	// RemoteID is the id of the remote object. It is empty if Group is set, because the ledger has the ids of groups.
	// RequestID is the remote side's id of the request.
	RemoteID  string `json:"remote_id,omitempty"`
	RequestID string `json:"request_id,omitempty"`
	// FailKind is a fault.Kind and FailText the beginning of the error text. Both are empty after a success.
	FailKind string `json:"fail_kind,omitempty"`
	FailText string `json:"fail_text,omitempty"`
}

// The newest attempts of each entry are stored for a limited time. maxAttemptFields and maxAttemptText limit the size
// of one attempt.
const (
	MaxAttempts      = 8
	keepAttempts     = 30 * day
	maxAttemptFields = 32
	maxAttemptText   = 200
	// mostPending is the largest number of attempts that wait while Redis is unavailable. The oldest are dropped.
	// attemptsAtOnce is the number of attempts in one pipeline.
	mostPending    = 10_000
	attemptsAtOnce = 500
)

// The attempts of all entries are in a fixed number of lists, the newest first. A list for each entry would take more
// memory for its key than for its attempts. A line begins with the tag of its entry. attemptTrim is the number of lines
// after which a list is trimmed.
const (
	attemptLists = 2048
	attemptTrim  = 32
)

// attemptKey returns the key of the list with the attempts of an entry, which is "user/<id>".
func attemptKey(c container.ID, entry string) string {
	return fmt.Sprintf("%stried:%03x", prefix(c), crc32.ChecksumIEEE([]byte(entry))%attemptLists)
}

// oldAttemptKey returns the key of a list that an earlier version wrote for one entry. Its lines have no tag.
func oldAttemptKey(c container.ID, entry string) string { return prefix(c) + "tried:" + entry }

var noTab = strings.NewReplacer("%", "%25", "\t", "%09")

// attemptTag returns the beginning of the lines of an entry.
func attemptTag(entry string) string {
	kind, id, _ := strings.Cut(entry, "/")
	return kind[:min(1, len(kind))] + noTab.Replace(shortID(id)) + "\t"
}

// Attempts returns the last attempts for an entry, the newest first. entry is "user/<id>", as directory.Ref prints
// it.
func (s *Store) Attempts(ctx context.Context, c container.ID, entry string) ([]Attempt, error) {
	var lists [2]*redis.StringSliceCmd
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		lists[0] = p.LRange(ctx, attemptKey(c, entry), 0, -1)
		lists[1] = p.LRange(ctx, oldAttemptKey(c, entry), 0, -1)
		return nil
	})
	if err != nil {
		return nil, redisFault("attempts", err)
	}
	tag := attemptTag(entry)
	var lines []string
	for _, line := range lists[0].Val() {
		if own, is := strings.CutPrefix(line, tag); is {
			lines = append(lines, own)
		}
	}
	lines = append(lines, lists[1].Val()...)
	out := make([]Attempt, 0, len(lines))
	for i, line := range lines {
		if i > 0 && line == lines[i-1] {
			continue // written twice, because the first answer was lost
		}
		a, err := unpackAttempt(line)
		if err != nil {
			return nil, fault.New(fault.Internal, "decisions: attempts", err)
		}
		out = append(out, a)
	}
	// Two builds can write at the same time, each to a list of its own.
	slices.SortStableFunc(out, func(a, b Attempt) int { return b.At.Compare(a.At) })
	return out[:min(len(out), MaxAttempts)], nil
}

// Trail writes attempts of one container in batches. It needs no lease, because an attempt remains true after its
// worker lost the run. Add may be called concurrently.
type Trail struct {
	store     *Store
	container container.ID

	mu      sync.Mutex
	pending []tried

	turn *semaphore.Weighted // held while attempts are on their way
}

// tried is an attempt. With receipt it is a receipt, or the end of one if line is empty.
type tried struct {
	entry, line string
	receipt     bool
}

// Trail returns the trail of a container.
func (s *Store) Trail(c container.ID) *Trail {
	return &Trail{store: s, container: c, turn: semaphore.NewWeighted(1)}
}

// Add stores an attempt at the next Flush. An attempt without a time gets the present time.
func (t *Trail) Add(entry string, a Attempt) {
	if a.At.IsZero() {
		a.At = t.store.cfg.Now()
	}
	t.add(tried{entry: entry, line: a.pack()})
}

func (t *Trail) add(a tried) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pending = append(t.pending, a)
	if over := len(t.pending) - mostPending; over > 0 {
		t.pending = slices.Delete(t.pending, 0, over)
	}
}

// Flush writes the added attempts. Attempts that cannot be written are kept for the next Flush.
func (t *Trail) Flush(ctx context.Context) error {
	if err := t.turn.Acquire(ctx, 1); err != nil {
		return redisFault("attempts", err)
	}
	defer t.turn.Release(1)
	for {
		t.mu.Lock()
		some := slices.Clone(t.pending[:min(len(t.pending), attemptsAtOnce)])
		t.pending = slices.Delete(t.pending, 0, len(some))
		t.mu.Unlock()
		if len(some) == 0 {
			return nil
		}
		if err := t.write(ctx, some); err != nil {
			t.mu.Lock()
			t.pending = append(some, t.pending...)
			t.mu.Unlock()
			return err
		}
	}
}

func (t *Trail) write(ctx context.Context, some []tried) error {
	lines, receipts := map[string][]any{}, map[string]string{}
	for _, a := range some {
		if a.receipt {
			receipts[a.entry] = a.line
			continue
		}
		key := attemptKey(t.container, a.entry)
		lines[key] = append(lines[key], attemptTag(a.entry)+a.line)
	}
	lengths := make(map[string]*redis.IntCmd, len(lines))
	_, err := t.store.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for key, list := range lines {
			lengths[key] = p.LPush(ctx, key, list...)
			p.PExpire(ctx, key, keepAttempts)
		}
		for entry, text := range receipts {
			if key := receiptKey(t.container, entry); text == "" {
				p.Del(ctx, key)
			} else {
				p.Set(ctx, key, text, keepReceipts)
			}
		}
		return nil
	})
	if err != nil {
		return redisFault("write attempts", err)
	}
	for key, length := range lengths {
		if n := int(length.Val()); n/attemptTrim > (n-len(lines[key]))/attemptTrim {
			// The attempts are written, and the next ones trim the list again.
			_ = trimScript.Run(ctx, t.store.rdb, []string{key}, MaxAttempts, keepAttempts.Milliseconds(),
				t.store.cfg.Now().Add(-keepAttempts).UnixMilli()).Err()
		}
	}
	return nil
}

// An attempt is stored as one line of fields separated by tabs. JSON would take twice the memory, and every entry has
// several attempts. An id that is a UUID takes 23 bytes in place of 36.
const (
	packedFields = 10
	packedJob    = "j"
)

// pack encodes the attempt as one line of limited length.
func (a Attempt) pack() string {
	job := ""
	if a.Job {
		job = packedJob
	}
	fields := a.Fields[:min(len(a.Fields), maxAttemptFields)]
	parts := [packedFields]string{
		strconv.FormatInt(a.At.UnixMilli(), 36), shortID(a.RunID), job, a.Op, strings.Join(fields, ","), shortID(a.Group),
		shortID(a.RemoteID), shortID(a.RequestID), a.FailKind, stored.Cut(a.FailText, maxAttemptText),
	}
	for i := range parts {
		parts[i] = strings.Map(oneLine, parts[i])
	}
	return strings.TrimRight(strings.Join(parts[:], "\t"), "\t")
}

func oneLine(r rune) rune {
	if r == '\t' || r == '\n' || r == '\r' {
		return ' '
	}
	return r
}

func unpackAttempt(line string) (Attempt, error) {
	var parts [packedFields]string
	n := 0
	for part := range strings.SplitSeq(line, "\t") {
		if n == packedFields {
			return Attempt{}, fmt.Errorf("an attempt has more than %d fields", packedFields)
		}
		parts[n], n = part, n+1
	}
	at, err := strconv.ParseInt(parts[0], 36, 64)
	if err != nil {
		return Attempt{}, fmt.Errorf("the time of an attempt: %w", err)
	}
	a := Attempt{
		At: time.UnixMilli(at).UTC(), RunID: longID(parts[1]), Job: parts[2] == packedJob, Op: parts[3],
		Group:    longID(parts[5]),
		RemoteID: longID(parts[6]), RequestID: longID(parts[7]), FailKind: parts[8], FailText: parts[9],
	}
	if parts[4] != "" {
		a.Fields = strings.Split(parts[4], ",")
	}
	return a, nil
}

// uuidMark begins a shortened id. Any other id that begins with the mark gets a second one.
const uuidMark = "~"

// shortID shortens a UUID in its canonical form.
func shortID(id string) string {
	if u, err := uuid.Parse(id); err == nil && u.String() == id {
		return uuidMark + base64.RawURLEncoding.EncodeToString(u[:])
	}
	if strings.HasPrefix(id, uuidMark) {
		return uuidMark + id
	}
	return id
}

func longID(short string) string {
	rest, marked := strings.CutPrefix(short, uuidMark)
	if !marked || strings.HasPrefix(rest, uuidMark) {
		return rest
	}
	if raw, err := base64.RawURLEncoding.DecodeString(rest); err == nil && len(raw) == len(uuid.UUID{}) {
		return uuid.UUID(raw).String()
	}
	return rest
}

// Receipt says when the departure of one person was noticed, decided and confirmed by one tenant.
type Receipt struct {
	// Op is what the tenant confirmed, suspend or delete, and Why the reason; see plan.Op and plan.Reason.
	Op  string `json:"op"`
	Why string `json:"why,omitempty"`
	// Seen is when the local directory had the departure. Decided is when a plan with the change had passed the guards.
	// Confirmed is when the tenant had confirmed it.
	Seen      time.Time `json:"seen"`
	Decided   time.Time `json:"decided"`
	Confirmed time.Time `json:"confirmed"`
	// Sessions says whether the sessions of the account ended, too: ended, failed, or empty where they were not to end.
	Sessions string `json:"sessions,omitempty"`
	// Foreign is set where the account had been suspended by another party.
	Foreign bool `json:"foreign,omitempty"`
	// RunID is the id of the run, or of the object job if Job is set.
	RunID string `json:"run_id"`
	Job   bool   `json:"job,omitempty"`
}

// What became of sessions.
const (
	SessionsEnded  = "ended"
	SessionsFailed = "failed"
)

// Took returns the time from the departure to its confirmation. It is zero where the clocks disagree.
func (r *Receipt) Took() time.Duration { return max(0, r.Confirmed.Sub(r.Seen)) }

// keepReceipts is how long a receipt is kept.
const keepReceipts = 90 * day

func receiptKey(c container.ID, entry string) string { return prefix(c) + "receipt:" + entry }

// Confirm stores the receipt of an entry's departure at the next Flush.
func (t *Trail) Confirm(entry string, r Receipt) {
	text, err := json.Marshal(r)
	if err == nil { // Texts and times only: it cannot fail.
		t.add(tried{entry: entry, line: string(text), receipt: true})
	}
}

// Return deletes the receipt of an entry that came back, at the next Flush.
func (t *Trail) Return(entry string) { t.add(tried{entry: entry, receipt: true}) }

// Receipts returns the receipts of these entries, as far as there are any. entry is "user/<id>".
func (s *Store) Receipts(ctx context.Context, c container.ID, entries ...string) (map[string]Receipt, error) {
	out := make(map[string]Receipt, len(entries))
	if len(entries) == 0 {
		return out, nil
	}
	keys := make([]string, len(entries))
	for i, entry := range entries {
		keys[i] = receiptKey(c, entry)
	}
	all, err := s.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, redisFault("receipts", err)
	}
	for i, v := range all {
		text, ok := v.(string)
		if !ok {
			continue
		}
		var r Receipt
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return nil, fault.Errorf(fault.Internal, "decisions: receipt of %s: %w", entries[i], err)
		}
		out[entries[i]] = r
	}
	return out, nil
}
