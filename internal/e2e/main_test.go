// Package e2e tests the service from outside. The two programs run as processes beside a real redis-server and a real
// slapd. The simulated tenant runs in the test's own process, with every request and answer checked against Google's
// discovery document.
//
// A test learns the state of the service from the HTTP API and the state of the tenant from the tenant. The expected
// state is computed here from an LDAP search of its own, so that no code of the service is its own witness.
package e2e

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"

	_ "rollcall/internal/boot" // All that the programs are made of: else a result would be cached although they changed.
)

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of these tests wait most of the time, for a lease to run out say, and keep no core busy meanwhile.
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		if err := f.Value.Set("6"); err != nil {
			panic(err)
		}
	}
	redis.SetLogger(quiet{})
	code := m.Run()
	if programs != "" {
		_ = os.RemoveAll(programs)
	}
	os.Exit(code)
}

// quiet takes what go-redis would say of a Redis that is gone on purpose.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

// programs is where build put them.
var programs string

// build makes the programs once for all tests, with the race detector where the tests run under it.
var build = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "rollcall-e2e-")
	if err != nil {
		return err
	}
	programs = dir
	args := []string{"build", "-o", dir + string(filepath.Separator)}
	if underRace {
		args = append(args, "-race")
	}
	// For the same reason: the cache knows which files were read.
	for _, name := range []string{"api", "worker", "rollcall"} {
		if _, err := os.ReadFile(filepath.Join("..", "..", "cmd", name, "main.go")); err != nil {
			return err
		}
	}
	args = append(args, "rollcall/cmd/api", "rollcall/cmd/worker", "rollcall/cmd/rollcall")
	out, err := exec.Command("go", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
})

// program returns the path of one of the three.
func program(t testing.TB, name string) string {
	t.Helper()
	if err := build(); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(programs, name)
}

// installed returns the path of a program that has one of these names, as tools/setup looks for it.
func installed(t testing.TB, names ...string) string {
	t.Helper()
	for _, name := range names {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	t.Fatalf("%s is missing: run tools/setup test", names[0])
	return ""
}
