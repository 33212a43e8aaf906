package store

import (
	"embed"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// The scripts. Each touches the keys of one part.
var (
	beginScript  = script("begin")
	commitScript = script("commit")
	clockScript  = script("clock")
	trimScript   = script("trim")
	writeScript  = script("write")
)

// script returns an embedded file. A missing one is a defect of the build, found by the first test.
func script(name string) *redis.Script {
	text, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return redis.NewScript(string(text))
}
