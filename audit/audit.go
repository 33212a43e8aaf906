// Package audit records who did what in a file outside Redis.
//
// The file has one JSON object per line. Each line has the SHA-256 hash of the line before it, so that a removed or
// changed line breaks the chain. The hash of the last line is also kept elsewhere (Heads), because no later line
// protects it. A caller that cannot record a decision does not carry it out.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redisfault"
)

// Record is one line of the file. It never has a secret or a mapped value.
type Record struct {
	// Sequence counts the lines of a chain from 1. Chain is the id of the chain.
	Sequence int64     `json:"seq"`
	Chain    string    `json:"chain"`
	Time     time.Time `json:"time"`
	// Event says what was done, such as "sync/cancel", "sign-in" or "token refused".
	Event string `json:"event"`
	// Actor is the name of the token or of the signed-in person. From is the address of the client.
	Actor string `json:"actor,omitempty"`
	From  string `json:"from,omitempty"`
	// Container is the source or provider that the event concerns.
	Container string `json:"container,omitempty"`
	// Outcome is Begun before an action, and Done, Refused or Failed after it. Of is then the sequence of the line
	// with Begun.
	Outcome Outcome `json:"outcome"`
	Of      int64   `json:"of,omitempty"`
	// Details are further facts, such as the id of a run, the digest of a plan, counts and the status of the response.
	Details map[string]string `json:"details,omitempty"`
	// Previous is the SHA-256 hash of the previous line without its line feed, in hex. It is empty in the first line.
	Previous string `json:"previous"`
}

// Outcome tells how far an action has come.
type Outcome string

// The outcomes.
const (
	Begun   Outcome = "begun"
	Done    Outcome = "done"
	Refused Outcome = "refused"
	Failed  Outcome = "failed"
)

// DecisionsSequence is the detail with the sequence of the stored decisions of the container after an action, so that
// a later loss of decisions is noticed.
const DecisionsSequence = "decisions_seq"

// The events of the log itself.
const (
	// Removed is written when a file is deleted because it is older than Config.Keep.
	Removed = "audit file removed"
	// Lost is written when the file does not end with the line that was written last.
	Lost = "audit lines lost"
)

// Head is the end of a chain.
type Head struct {
	Chain    string `json:"chain"`
	Sequence int64  `json:"seq"`
	// Hash is the hash of the last line, in hex.
	Hash string `json:"hash"`
}

// Sink writes a record, as Log.Write does. The nil Sink discards it.
type Sink func(ctx context.Context, r Record, durable bool) (sequence int64, err error)

// Write writes a record.
func (s Sink) Write(ctx context.Context, r Record, durable bool) (sequence int64, err error) {
	if s == nil {
		return 0, nil
	}
	return s(ctx, r, durable)
}

// line returns the record as a line without a line feed, and the head of a chain that ends with it.
func (r Record) line() ([]byte, Head, error) {
	text, err := json.Marshal(r)
	return text, Head{Chain: r.Chain, Sequence: r.Sequence, Hash: digest(text)}, err
}

func digest(line []byte) string {
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// RedisHeads keeps heads on Redis, by host and file.
type RedisHeads struct{ Redis redis.UniversalClient }

var _ Heads = RedisHeads{}

const headsKey = "rollcall:{audit}:heads"

// Load implements Heads.
func (h RedisHeads) Load(ctx context.Context, file string) (Head, bool, error) {
	text, err := h.Redis.HGet(ctx, headsKey, field(file)).Bytes()
	if errors.Is(err, redis.Nil) {
		return Head{}, false, nil
	}
	if err != nil {
		return Head{}, false, redisfault.Of("audit: load a head", err)
	}
	var head Head
	return head, true, json.Unmarshal(text, &head)
}

// Save implements Heads.
func (h RedisHeads) Save(ctx context.Context, file string, head Head) error {
	text, err := json.Marshal(head)
	if err != nil {
		return err
	}
	return redisfault.Of("audit: save a head", h.Redis.HSet(ctx, headsKey, field(file), text).Err())
}

// field names a file. Hosts may use the same path.
func field(file string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return host + ":" + file
}
