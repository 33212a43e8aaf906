// Package redisfault classifies the errors of Redis and of the connection to it, and runs scripts there, once for all
// packages that store data on Redis.
package redisfault

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

// ours are the first words of the answers to a command that Redis refuses because the command is wrong, which is a
// bug.
var ours = []string{"ERR", "WRONGTYPE", "CROSSSLOT"}

// Of returns err with its kind, and nil for nil. The kind is Denied for refused credentials or rights, and Internal for
// a command that Redis does not take from us. It is Canceled where we were told to stop, else Unavailable.
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
	return fault.New(kind, op, &failure{err})
}

// failure marks an error as one of Redis.
type failure struct{ error }

// Unwrap returns the error.
func (f *failure) Unwrap() error { return f.error }

// Is reports whether an error came from Of.
func Is(err error) bool {
	_, is := errors.AsType[*failure](err)
	return is
}

// refusals are the first words of the answers of a Redis that runs and refuses, and what each means.
var refusals = map[string]string{
	"OOM":        "out of memory",
	"READONLY":   "read-only replica",
	"NOREPLICAS": "too few replicas",
	"MISCONF":    "cannot save to its disk",
	"NOPERM":     "the user has no right to write",
	"LOADING":    "it loads its data",
	"MASTERDOWN": "the replica has lost its master",
}

// Refusal returns why Redis refuses, in words that name no host, and nothing where it did not answer or failed
// otherwise.
func Refusal(err error) string { return refusals[firstWord(err)] }

// firstWord returns the error code of an answer. (redis.HasErrorPrefix cuts ERR off before it compares.)
func firstWord(err error) string {
	var reply redis.Error
	if !errors.As(err, &reply) {
		return ""
	}
	word, _, _ := strings.Cut(reply.Error(), " ")
	return word
}

// Script returns a script made of embedded files of the folder lua, one after the other. A missing file is a defect of
// the build, which the first test finds.
func Script(files fs.FS, names ...string) *redis.Script {
	var text strings.Builder
	for _, name := range names {
		part, err := fs.ReadFile(files, "lua/"+name+".lua")
		if err != nil {
			panic(err)
		}
		text.Write(part)
	}
	return redis.NewScript(text.String())
}

// Run runs a script on the keys with a prefix. The first element of its reply is a word, and data follows. The error
// has the kind that Of gives it.
func Run(ctx context.Context, rdb redis.Scripter, op string, script *redis.Script, prefix string, args ...any) (
	word string, data []string, err error,
) {
	out, err := script.Run(ctx, rdb, []string{prefix}, args...).StringSlice()
	if err != nil {
		return "", nil, Of(op, err)
	}
	if len(out) == 0 {
		return "", nil, fault.Errorf(fault.Internal, "%s: empty answer", op)
	}
	return out[0], out[1:], nil
}
