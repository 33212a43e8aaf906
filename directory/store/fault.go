package store

import (
	"context"
	"errors"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

// redisFault classifies what Redis, or the way to it, said.
func redisFault(op string, err error) error {
	if err == nil {
		return nil
	}
	kind := fault.Unavailable
	switch {
	case errors.Is(err, context.Canceled):
		kind = fault.Canceled
	case redis.IsAuthError(err), redis.IsPermissionError(err):
		kind = fault.Denied
	case redis.HasErrorPrefix(err, "WRONGTYPE"), redis.HasErrorPrefix(err, "ERR"):
		kind = fault.Internal
	}
	return fault.New(kind, "local directory: "+op, err)
}
