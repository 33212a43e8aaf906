// Package decisions stores on Redis what outlives a run of a container. This is the decisions of persons about held
// changes, the changes that wait for one, and the pins of undone runs. It is also the budget of destructive changes,
// the last attempts for each entry, and the receipts of leavers.
//
// Every key of a container has the container's hash tag, and no script uses two tags. The package therefore works on
// Redis Cluster. Data carries the time of [Config].Now, and Redis applies expiries by its own clock.
package decisions

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/internal/stored"
	"rollcall/plan"
)

const day = 24 * time.Hour

// Config sets the clock and the window of a Store. The zero Config has the defaults.
type Config struct {
	// Now is the clock of all stored times. Default time.Now.
	Now func() time.Time
	// BudgetWindow is the rolling window of the destructive budget. Default 24 hours.
	BudgetWindow time.Duration
	// Keys returns the keys that sign decisions, pins and held sets. Nil, and no keys, sign nothing.
	Keys func() ([]Key, error)
	// Aside says why this process must write no decision, pin or order; empty while it may. Nil means that it may.
	Aside func() string
}

// Store reads and writes the state of all containers. It is safe for concurrent use.
type Store struct {
	rdb redis.UniversalClient
	cfg Config
	// wholes are the held sets that are being read as a whole.
	wholes singleflight.Group

	mu sync.Mutex
	// sequences has the highest sequence of each container that was seen.
	sequences map[container.ID]int64
	// free is when each container was last seen without a pause.
	free map[container.ID]time.Time
}

// New returns a Store on rdb. It does not connect.
func New(rdb redis.UniversalClient, cfg Config) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Aside == nil {
		cfg.Aside = func() string { return "" }
	}
	cfg.BudgetWindow = cmp.Or(cfg.BudgetWindow, day)
	return &Store{rdb: rdb, cfg: cfg, sequences: map[container.ID]int64{}, free: map[container.ID]time.Time{}}
}

func prefix(c container.ID) string { return stored.Prefix(string(c)) }

func redisFault(op string, err error) error { return redisfault.Of("decisions: "+op, err) }

//go:embed lua/*.lua
var luaFiles embed.FS

// The scripts on one container. KEYS[1] is the prefix of its keys.
var (
	spendScript  = redisfault.Script(luaFiles, "spend")
	changeScript = redisfault.Script(luaFiles, "change")
	readScript   = redisfault.Script(luaFiles, "read")
	trimScript   = redisfault.Script(luaFiles, "trim")
	// KEYS[1] is the hash of orders.
	orderScript = redisfault.Script(luaFiles, "order")
)

// eval runs a script on one container. The first element of its reply is a word, and data follows.
func (s *Store) eval(ctx context.Context, op string, sc *redis.Script, c container.ID, args ...any) (string, []string,
	error) {
	if err := c.Validate(); err != nil {
		return "", nil, err
	}
	return redisfault.Run(ctx, s.rdb, "decisions: "+op, sc, prefix(c), args...)
}

// DecisionTTL is how long a decision is valid.
const DecisionTTL = 72 * time.Hour

// maxName is the longest name of a token that is stored, in characters.
const maxName = 200

// Decision is the decision of a person about one held change. It is valid for DecisionTTL while the entry is
// unchanged.
type Decision struct {
	Fingerprint string `json:"fingerprint"`
	// Verdict is approved or rejected.
	Verdict string `json:"verdict"`
	// By is the name of the API token, At the time of the decision.
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Expires time.Time `json:"expires"`
	// Op, ID and Label describe the change.
	Op    string `json:"op"`
	ID    string `json:"id"`
	Label string `json:"label,omitempty"`
}

// Decide records a verdict about changes. It replaces earlier decisions.
func (s *Store) Decide(ctx context.Context, c container.ID, verdict, by string, changes []HeldChange) ([]Decision,
	error) {
	now := s.cfg.Now()
	out := make([]Decision, 0, len(changes))
	writes := make([]write, 0, len(changes))
	for _, ch := range changes {
		d := Decision{
			Fingerprint: ch.Fingerprint, Verdict: verdict, By: stored.Cut(by, maxName), At: now, Expires: now.Add(DecisionTTL),
			Op: ch.Op, ID: ch.ID, Label: ch.Label,
		}
		text, err := json.Marshal(d)
		if err != nil {
			return nil, fault.New(fault.Internal, "decide", err)
		}
		out = append(out, d)
		writes = append(writes, write{name: hashDecisions + "/" + d.Fingerprint, value: string(text),
			expires: d.Expires, verdict: verdict})
	}
	return out, s.change(ctx, "decide", c, func(map[string]string) []write { return writes })
}

// Decisions returns the valid decisions by fingerprint; see Kept.
func (s *Store) Decisions(ctx context.Context, c container.ID) (map[string]Decision, error) {
	k, err := s.Kept(ctx, c)
	return k.Decisions, err
}

// Undecide deletes the decisions about changes, by their fingerprints.
func (s *Store) Undecide(ctx context.Context, c container.ID, fingerprints []string) error {
	writes := make([]write, len(fingerprints))
	for i, print := range fingerprints {
		writes[i].name = hashDecisions + "/" + print
	}
	return s.change(ctx, "undecide", c, func(map[string]string) []write { return writes })
}

// HeldChange is one change that waits for a person.
type HeldChange struct {
	// Fingerprint identifies the entry, the action and the previous state; see plan.Change.Fingerprint.
	Fingerprint string `json:"fingerprint"`
	Op          string `json:"op"`
	Kind        string `json:"kind"`
	ID          string `json:"id"`
	Label       string `json:"label,omitempty"`
	Address     string `json:"address,omitempty"`
	RemoteID    string `json:"remote_id,omitempty"`
	Member      string `json:"member,omitempty"`
	MemberLabel string `json:"member_label,omitempty"`
	Why         string `json:"why,omitempty"`    // absent, disabled, out_of_scope
	Guard       string `json:"guard"`            // the rule that holds it
	Reason      string `json:"reason"`           // the rule in words and numbers
	From        string `json:"from,omitempty"`   // the id that a reanchor replaces
	Fields      any    `json:"fields,omitempty"` // before and after
}

// Ref is the user or the group of the change. For a membership it is the group.
func (h *HeldChange) Ref() directory.Ref {
	ref, _ := plan.ParseRef(h.Kind + "/" + h.ID)
	return ref
}

// Changed returns the fields before and after, which are kept as JSON. A change of another version has none.
func (h *HeldChange) Changed() (fields []plan.FieldChange) {
	if text, err := json.Marshal(h.Fields); err != nil || json.Unmarshal(text, &fields) != nil {
		return nil
	}
	return fields
}

// HeldSet is the set of held changes of one plan.
type HeldSet struct {
	// Digest identifies the changes of the set.
	Digest  string       `json:"digest"`
	RunID   string       `json:"run_id"`
	At      time.Time    `json:"at"`
	Changes []HeldChange `json:"changes"`
	// Conflicts are entries about which nothing can be decided: they wait until the directory, the tenant or the
	// configuration is corrected. At most MostConflicts are kept, and ConflictCount says how many there are.
	Conflicts     []Conflict `json:"conflicts,omitempty"`
	ConflictCount int        `json:"conflict_count,omitempty"`
	// Unsigned is set for a set of an earlier build, and for one without its signature. It must not be decided.
	Unsigned bool `json:"-"`
}

// MostConflicts is how many conflicts of a plan are kept.
const MostConflicts = 1000

// Conflict is an entry about which nothing can be done until its cause is gone.
type Conflict struct {
	Kind   string `json:"kind"`
	ID     string `json:"id"`
	Label  string `json:"label,omitempty"`
	Reason string `json:"reason"`
	// Detail names what is wrong, with the entry's DN or address.
	Detail string `json:"detail"`
}

// maxHeld is the largest size of a set, in bytes. A set of 500,000 changes has about 200 MB.
const maxHeld = 512 << 20

// keepHeld is how long a decision can still name a superseded set.
const keepHeld = 7 * day

func heldKey(c container.ID, digest string) string { return prefix(c) + "held:" + digest }

func heldCountsKey(c container.ID) string { return prefix(c) + "held:counts" }

// HeldCounts counts held changes. It is stored beside the set, because the set itself can have megabytes.
type HeldCounts struct {
	Digest string `json:"digest"`
	// RunID is the run that planned them. Counts of an earlier version lack it.
	RunID string `json:"run_id,omitempty"`
	// Guards counts the changes by the rule that holds them.
	Guards map[string]int64 `json:"guards"`
	// Does counts them by action and kind, such as "delete user". Counts of an earlier version lack it.
	Does map[string]int64 `json:"does,omitempty"`
}

// countHeld counts held changes.
func countHeld(changes []HeldChange) HeldCounts {
	out := HeldCounts{Guards: map[string]int64{}, Does: map[string]int64{}}
	for i := range changes {
		out.Guards[changes[i].Guard]++
		out.Does[changes[i].Op+" "+changes[i].Kind]++
	}
	return out
}

// SetHeld records the held changes of the newest plan of a container. An empty set means that no change waits.
func (s *Store) SetHeld(ctx context.Context, c container.ID, set HeldSet) error {
	current := prefix(c) + "held"
	if len(set.Changes)+len(set.Conflicts) == 0 {
		return redisFault("set held", s.rdb.Del(ctx, current, heldCountsKey(c), heldPartsKey(c)).Err())
	}
	keys, err := s.keys()
	if err != nil {
		return err
	}
	data, err := stored.Pack(set)
	if err != nil {
		return fault.New(fault.Internal, "set held", err)
	}
	if len(keys) > 0 {
		data = signed(keys[0], c, set.Digest, data)
	}
	numbers := countHeld(set.Changes)
	numbers.Digest, numbers.RunID = set.Digest, set.RunID
	counts, err := json.Marshal(numbers)
	if err != nil {
		return fault.New(fault.Internal, "set held", err)
	}
	parts, err := s.setParts(ctx, c, keys, set)
	if err != nil {
		parts = "" // The set itself is read instead, more slowly.
	}
	done, _ := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, heldKey(c, set.Digest), data, keepHeld)
		p.Set(ctx, heldCountsKey(c), counts, keepHeld)
		if p.Del(ctx, heldPartsKey(c)); parts != "" {
			p.Rename(ctx, parts, heldPartsKey(c))
			p.PExpire(ctx, heldPartsKey(c), keepHeld)
		}
		p.Set(ctx, current, set.Digest, 0)
		return nil
	})
	for _, cmd := range done { // The parts may have expired since, or been evicted.
		if err := cmd.Err(); err != nil && cmd.Name() != "rename" {
			return redisFault("set held", err)
		}
	}
	return nil
}

// Held returns the held changes of the newest plan of a container. The Digest of an empty set is empty.
func (s *Store) Held(ctx context.Context, c container.ID) (HeldSet, error) {
	digest, err := s.rdb.Get(ctx, prefix(c)+"held").Result()
	if errors.Is(err, redis.Nil) {
		return HeldSet{Changes: []HeldChange{}}, nil
	}
	if err != nil {
		return HeldSet{}, redisFault("held", err)
	}
	set, err := s.HeldBy(ctx, c, digest)
	if fault.KindOf(err) == fault.NotFound && err != nil { // No plan was made for a week, and the set has expired.
		return HeldSet{Changes: []HeldChange{}}, nil
	}
	return set, err
}

// HeldBy returns a set by its digest, also if it was superseded within a week. The error for an unknown one is
// fault.NotFound.
func (s *Store) HeldBy(ctx context.Context, c container.ID, digest string) (HeldSet, error) {
	data, err := s.rdb.Get(ctx, heldKey(c, digest)).Bytes()
	if errors.Is(err, redis.Nil) {
		return HeldSet{}, fault.Errorf(fault.NotFound, "held set %q: not found", digest)
	}
	if err != nil {
		return HeldSet{}, redisFault("held", err)
	}
	keys, err := s.keys()
	if err != nil {
		return HeldSet{}, err
	}
	text, had, err := unsigned(keys, c, digest, data)
	if err != nil && len(keys) > 0 {
		return HeldSet{}, fault.Errorf(fault.Conflict, "the held changes of %s: the set %.16s %w; `rollcall sync %s` stores "+
			"them anew", c, digest, err, c)
	}
	set := HeldSet{Unsigned: !had && len(keys) > 0}
	if err := stored.Unpack(text, &set, maxHeld); err != nil {
		return HeldSet{}, fault.New(fault.Internal, "held", err)
	}
	return set, nil
}

// HeldCounts counts the changes that wait for a person. It reads the whole set if the stored counts do not belong to
// the newest set, as for a set from an earlier version.
func (s *Store) HeldCounts(ctx context.Context, c container.ID) (counts HeldCounts, err error) {
	got, err := s.rdb.MGet(ctx, prefix(c)+"held", heldCountsKey(c)).Result()
	if err != nil {
		return counts, redisFault("held", err)
	}
	digest, _ := got[0].(string)
	text, _ := got[1].(string)
	if digest == "" || json.Unmarshal([]byte(text), &counts) == nil && counts.Digest == digest {
		return counts, nil
	}
	set, err := s.HeldBy(ctx, c, digest)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return HeldCounts{}, nil
	}
	return countHeld(set.Changes), err
}
