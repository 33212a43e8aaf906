package main

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func probed(t *testing.T, ready bool) (addr string) {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !ready {
			http.Error(w, `{"status":"unavailable"}`, http.StatusServiceUnavailable)
		}
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

func TestHealth(t *testing.T) {
	t.Parallel()
	well, ill := probed(t, true), probed(t, false)
	for _, test := range []struct {
		name   string
		listen string
		args   []string
		code   int
		says   string
	}{
		{"ready", well, []string{"api"}, 0, ""},
		{"everywhere", everywhere(t, well), []string{"worker"}, 0, ""},
		{"not ready", ill, []string{"worker"}, 1, `503 Service Unavailable: {"status":"unavailable"}`},
		{"alive all the same", ill, []string{"worker", "--live"}, 0, ""},
		{"an address", "", []string{well}, 0, ""},
		{"another program", "", []string{"redis"}, 2, "want api, worker or host:port"},
		{"nothing to ask", "off", []string{"api"}, 2, "ROLLCALL_METRICS_LISTEN is off"},
		{"two", well, []string{"api", "worker"}, 2, "accepts 1 arg"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, _, stderr := alone(t, map[string]string{"ROLLCALL_METRICS_LISTEN": test.listen},
				append([]string{"health"}, test.args...)...)
			if code != test.code || !strings.Contains(stderr, test.says) {
				t.Errorf("health %v ended with %d and said %q, want %d and %q", test.args, code, stderr, test.code, test.says)
			}
		})
	}
	t.Run("nobody answers", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		if code, _, stderr := alone(t, nil, "health", l.Addr().String()); code != 1 || !strings.Contains(stderr, "refused") {
			t.Errorf("health ended with %d and said %q, want 1 and the refusal", code, stderr)
		}
	})
}

// everywhere is the address of a listener as it is written to listen on all interfaces.
func everywhere(t *testing.T, addr string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return ":" + port
}

// alone runs a command that needs no API, and returns how it ended and what it said.
func alone(t *testing.T, vars map[string]string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	e := &env{stdout: &out, stderr: &errs, getenv: func(name string) string { return vars[name] }}
	code = run(t.Context(), e, args)
	return code, out.String(), errs.String()
}

func TestVersion(t *testing.T) {
	t.Parallel()
	code, stdout, _ := alone(t, nil, "version")
	if code != 0 || !strings.HasPrefix(stdout, "rollcall devel, revision ") || !strings.Contains(stdout, ", go1.") {
		t.Errorf("version ended with %d and said %q", code, stdout)
	}
}
