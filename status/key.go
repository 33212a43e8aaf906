package status

import (
	"context"
	"crypto/rand"
	"errors"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

// keySize is the size of a key, in bytes.
const keySize = 32

// Key returns the random key of a name, which all processes on one Redis share. The first that asks makes it. It signs
// what is handed out to be handed back, such as page tokens: should Redis lose it, those are refused and nothing else happens.
func (s *Store) Key(ctx context.Context, name string) ([]byte, error) {
	where := "rollcall:{keys}:" + name
	key, err := s.rdb.Get(ctx, where).Bytes()
	if errors.Is(err, redis.Nil) {
		fresh := make([]byte, keySize)
		_, _ = rand.Read(fresh) // never fails
		if err := s.rdb.SetNX(ctx, where, fresh, 0).Err(); err != nil {
			return nil, redisFault("key", err)
		}
		key, err = s.rdb.Get(ctx, where).Bytes() // ours, or that of who was faster
	}
	if err != nil {
		return nil, redisFault("key", err)
	}
	if len(key) != keySize {
		return nil, fault.Errorf(fault.Internal, "status: key %s has %d bytes", name, len(key))
	}
	return key, nil
}
