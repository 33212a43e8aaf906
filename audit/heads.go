package audit

import (
	"context"
	"encoding/json"
	"errors"
	"os"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redisfault"
)

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
