package deploy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"gopkg.in/yaml.v3"

	"rollcall/internal/testprocess"
)

// service is the tested part of a service of docker-compose.yml, its commands.
type service struct {
	Command     []string
	Environment map[string]string
	Healthcheck struct{ Test []string }
}

// variable is a variable of a compose file, with its default.
var variable = regexp.MustCompile(`\$\{[A-Z_]+:-([^}]*)\}`)

// compose reads docker-compose.yml with no variable set.
func compose(t *testing.T) map[string]service {
	t.Helper()
	text, err := os.ReadFile("../docker-compose.yml")
	if err != nil {
		t.Fatal(err)
	}
	text = variable.ReplaceAll(text, []byte("$1"))
	text = bytes.ReplaceAll(text, []byte("$$"), []byte("$"))
	var file struct{ Services map[string]service }
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Services
}

// built is where programs put them.
var built string

// programs builds the three programs once.
var programs = sync.OnceValues(func() (dir string, err error) {
	if dir, err = os.MkdirTemp("", "rollcall-deploy-"); err != nil {
		return "", err
	}
	built = dir
	out, err := exec.Command("go", "build", "-o", dir+"/", "rollcall/cmd/...").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return dir, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if built != "" {
		_ = os.RemoveAll(built)
	}
	os.Exit(code)
}

// host is a machine without containers. Every service is a process, every address is on loopback, and the directories
// of a container are replaced.
type host struct {
	*testing.T
	services map[string]service
	bin      string
	own      string // what /etc/rollcall is
	secrets  string // what /etc/secrets is
	paths    *strings.Replacer
	mu       sync.Mutex
	ports    map[string]string
}

func newHost(t *testing.T) *host {
	t.Helper()
	bin, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	h := &host{T: t, services: compose(t), bin: bin, own: filepath.Join(dir, "own"), ports: map[string]string{}}
	demo, data, run, conf := filepath.Join(dir, "demo"), filepath.Join(dir, "data"), filepath.Join(dir, "run"),
		filepath.Join(dir, "redis.conf")
	h.secrets = filepath.Join(dir, "secrets")
	for _, d := range []string{h.own, h.secrets, demo, data, run} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	secret, err := filepath.Abs("redis/password.default")
	if err != nil {
		t.Fatal(err)
	}
	h.paths = strings.NewReplacer("/etc/rollcall", h.own, "/run/rollcall-demo", demo, "/run/secrets/redis_password",
		secret,
		"/run/redis", run, "/etc/redis/redis.conf", conf, "dir /data", "dir "+data)
	text, err := os.ReadFile("redis/redis.conf")
	if err != nil {
		t.Fatal(err)
	}
	h.write(conf, h.paths.Replace(string(text))+"\nbind 127.0.0.1\nport "+h.port("6379", 0)+"\n")
	return h
}

func (h *host) write(file, text string) {
	h.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		h.Fatal(err)
	}
}

var address = regexp.MustCompile(`[a-z0-9.]*:(\d{4,5})\b`)

// port returns the free port that stands for one; only the worker is there several times.
func (h *host) port(of string, replica int) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := of
	if of == "9465" {
		key += "/" + strconv.Itoa(replica)
	}
	if h.ports[key] == "" {
		h.ports[key] = testprocess.Port(h)
	}
	return h.ports[key]
}

// here is an argument or a value as it is on this machine.
func (h *host) here(text string, replica int) string {
	if text == "tenants" {
		return "127.0.0.1"
	}
	text = address.ReplaceAllStringFunc(text, func(found string) string {
		return "127.0.0.1:" + h.port(address.FindStringSubmatch(found)[1], replica)
	})
	if strings.Contains(text, "redis-cli") {
		text = strings.Replace(text, "redis-cli -h 127.0.0.1", "redis-cli -h 127.0.0.1 -p "+h.port("6379", 0), 1)
	}
	return h.paths.Replace(text)
}

// command returns a command in the environment of a service, or the service's own.
func (h *host) command(ctx context.Context, name string, replica int, args ...string) *exec.Cmd {
	h.Helper()
	s, there := h.services[name]
	if !there {
		h.Fatalf("docker-compose.yml has no service %s", name)
	}
	if len(args) == 0 {
		args = s.Command
	}
	args = slices.Clone(args)
	for i := range args {
		args[i] = h.here(args[i], replica)
	}
	env := []string{"PATH=" + h.bin + ":" + os.Getenv("PATH")}
	for k, v := range s.Environment {
		env = append(env, k+"="+h.here(v, replica))
	}
	cmd := exec.CommandContext(ctx, "env", append([]string{"-i"}, append(env, args...)...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs a command in the environment of a service to its end.
func (h *host) run(name string, args ...string) (code int, said string) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 5*time.Minute)
	defer cancel()
	out, err := h.command(ctx, name, 0, args...).CombinedOutput()
	if x, is := errors.AsType[*exec.ExitError](err); is {
		return x.ExitCode(), string(out)
	}
	if err != nil {
		h.Fatal(err)
	}
	return 0, string(out)
}

// start starts a service and returns when its health check is content. The end of the test stops it, in time and well.
func (h *host) start(name string, replica int) {
	h.Helper()
	var log buffer
	cmd := h.command(context.Background(), name, replica)
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	h.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case err := <-done:
			if err != nil {
				h.Errorf("%s ended with %v", name, err)
			}
		case <-time.After(2 * time.Minute):
			_ = cmd.Process.Kill()
			h.Errorf("%s did not stop", name)
		}
		if h.Failed() {
			h.Logf("%s said:\n%s", name, log.String())
		}
	})
	h.healthy(name, replica, &log)
}

// healthy waits until the service's health check ends with 0.
func (h *host) healthy(name string, replica int, log *buffer) {
	h.Helper()
	test := h.services[name].Healthcheck.Test
	switch {
	case len(test) > 1 && test[0] == "CMD":
		test = test[1:]
	case len(test) == 2 && test[0] == "CMD-SHELL":
		test = []string{"sh", "-c", test[1]}
	default:
		h.Fatalf("%s has no health check", name)
	}
	ctx, cancel := context.WithTimeout(h.Context(), 3*time.Minute)
	defer cancel()
	for {
		out, err := h.command(ctx, name, replica, test...).CombinedOutput()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			h.Fatalf("%s does not become healthy: %v: %s\n%s", name, err, out, log.String())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// buffer is one that several goroutines may use.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
