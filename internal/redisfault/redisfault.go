// Package redisfault classifies the errors of Redis and of the connection to it, once for all packages that store
// data there.
package redisfault

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

// ours are the first words of the answers to a command that Redis refuses because the command is wrong, which is a
// bug.
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
