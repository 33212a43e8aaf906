package redisfault

import (
	"context"
	"io/fs"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
)

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
