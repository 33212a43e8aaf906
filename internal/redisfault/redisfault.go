// Package redisfault classifies what Redis, or the way to it, said: once, for everything that keeps something there.
package redisfault

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

// ours are the first words of answers to a command that Redis does not take from us: bugs.
var ours = []string{"ERR", "WRONGTYPE", "CROSSSLOT"}

// Of returns err with its kind, nil for none: Denied for refused credentials or rights, Internal for a command that
// Redis does not take from us, Canceled where we were told to stop, else Unavailable.
func Of(op string, err error) error {
	if err == nil {
		return nil
	}
	kind := fault.Unavailable
	switch {
	case errors.Is(err, context.Canceled):
		kind = fault.Canceled
	case redis.IsAuthError(err), redis.IsPermissionError(err):
		kind = fault.Denied
	case slices.Contains(ours, firstWord(err)):
		kind = fault.Internal
	}
	return fault.New(kind, op, err)
}

// firstWord returns the error code of an answer. (redis.HasErrorPrefix cuts ERR off before it compares.)
func firstWord(err error) string {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return ""
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	return word
}
