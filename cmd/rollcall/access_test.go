package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/audit"
	"rollcall/internal/redistest"
)

// command runs rollcall and returns its exit code and output.
func command(t *testing.T, redisURL string, args ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	e := &env{stdin: &out, stdout: &out, stderr: &out, now: time.Now, getenv: func(name string) string {
		if name == "ROLLCALL_REDIS_URL" {
			return redisURL
		}
		return ""
	}}
	return run(t.Context(), e, args), out.String()
}

func TestAuditVerify(t *testing.T) {
	t.Parallel()
	url := redistest.URL(t)
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	rdb := redis.NewClient(opts)
	defer rdb.Close()
	path := filepath.Join(t.TempDir(), "audit.jsonl")
	l, err := audit.Open(t.Context(), audit.Config{Path: path, Heads: audit.RedisHeads{Redis: rdb}})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	for range 3 {
		if _, err := l.Write(t.Context(), audit.Record{Event: "sync", Outcome: audit.Done}, false); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for name, test := range map[string]struct {
		text []byte
		url  string
		code int
		says string
	}{
		"whole":            {whole, url, 0, "record 3 is the last one"},
		"without Redis":    {whole, "redis://127.0.0.1:1", 0, "lines that are missing at the end cannot be noticed"},
		"first line gone":  {bytes.Join(lines[1:], nil), url, 1, "audit.jsonl:1: the chain begins with record 2"},
		"second line gone": {bytes.Join([][]byte{lines[0], lines[2]}, nil), url, 1, "audit.jsonl:2: record 3"},
		"last line gone":   {bytes.Join(lines[:2], nil), url, 1, "ends with record 2, and Redis says record 3"},
	} {
		if err := os.WriteFile(path, test.text, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out := command(t, test.url, "audit", "verify", path)
		if code != test.code || !strings.Contains(out, test.says) {
			t.Errorf("%s: exit code %d, want %d with %q:\n%s", name, code, test.code, test.says, out)
		}
	}
}

func TestTokenOptions(t *testing.T) {
	t.Parallel()
	code, out := command(t, "", "token", "auditor", "read", "--expires", "2030-12-31", "--only", "ldap:corp")
	if code != 0 || !strings.Contains(out, " expires=2030-12-31 only=ldap:corp\n") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
	for _, wrong := range [][]string{{"--expires", "soon"}, {"--only", "corp"}} {
		if code, out := command(t, "", append([]string{"token", "auditor", "read"}, wrong...)...); code != codeUsage {
			t.Errorf("%v: exit code %d:\n%s", wrong, code, out)
		}
	}
}
