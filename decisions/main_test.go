package decisions_test

import (
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/internal/testclock"
)

const (
	corp   = container.ID("ldap:corp")
	google = container.ID("google_workspace:1")
)

// fixture is a store with a clock of its own.
type fixture struct {
	*decisions.Store
	*testclock.Clock
	t   *testing.T
	rdb redis.UniversalClient
}

func open(t *testing.T, rdb redis.UniversalClient) *fixture {
	t.Helper()
	clock := testclock.New()
	return &fixture{decisions.New(rdb, decisions.Config{Now: clock.Now}), clock, t, rdb}
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}
