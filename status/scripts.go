package status

import (
	"embed"

	"github.com/redis/go-redis/v9"
)

//go:embed lua/*.lua
var luaFiles embed.FS

// The scripts on one container. Each includes the helpers of prelude.lua. KEYS[1] is the key prefix of the container.
var (
	startScript    = containerScript("start")
	acquireScript  = containerScript("acquire")
	renewScript    = containerScript("renew")
	releaseScript  = containerScript("release")
	cancelScript   = containerScript("cancel")
	bumpScript     = containerScript("bump")
	reapScript     = containerScript("reap")
	flushScript    = containerScript("flush")
	plannedScript  = containerScript("planned")
	savePlanScript = containerScript("save_plan")
	leaverScript   = containerScript("leaver")
	lockScript     = containerScript("lock")
	unlockScript   = containerScript("unlock")
	jobAddScript   = containerScript("job_add")
	jobSetScript   = containerScript("job_set")
	enterScript    = containerScript("enter")
	leaveScript    = containerScript("leave")
	markScript     = containerScript("mark")

	beatScript = redis.NewScript(lua("beat"))
)

func containerScript(name string) *redis.Script {
	return redis.NewScript(lua("prelude") + lua(name))
}

// lua returns an embedded file. A missing one is a defect of the build, found by the first test.
func lua(name string) string {
	text, err := luaFiles.ReadFile("lua/" + name + ".lua")
	if err != nil {
		panic(err)
	}
	return string(text)
}
