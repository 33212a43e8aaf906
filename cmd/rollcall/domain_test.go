//go:build samba

package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"flag"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/redistest"
	"rollcall/internal/sambatest"
	"rollcall/provider/all"
	"rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
)

var domainPeople = flag.Int("domain.people", 240, "the people of the domain that a stranger has, at least 200")

// stranger is a person with a directory and two tenants, at a terminal.
type stranger struct {
	*testing.T
	domain *domain
	google *googleworkspace.Tenant
	entra  *graph.Tenant
	dir    string
	api    string
	// said is what the last command printed.
	said string
}

// run carries out a command and returns its exit code.
func (s *stranger) run(answers string, args ...string) int {
	s.Helper()
	var out heard
	vars := map[string]string{varAPI: s.api}
	e := &env{types: all.Types(), getenv: func(k string) string { return vars[k] }, stdin: strings.NewReader(answers),
		stdout: &out, stderr: &out, asks: answers != "", now: time.Now, every: 10 * time.Millisecond}
	code := run(s.Context(), e, args)
	s.said = out.String()
	return code
}

// good fails the test unless a command ends with the code.
func (s *stranger) good(code int, args ...string) {
	s.Helper()
	if got := s.run("", args...); got != code {
		s.Fatalf("rollcall %s: exit code %d, want %d\n%s", strings.Join(args, " "), got, code, s.said)
	}
}

// TestAStrangersDomain: a person who knows nothing of Rollcall has a domain of odd people. With four answers, init
// writes a file that checks. What the tenants have after the first sync, and after each day of a week, is what a small
// model of people and groups comes to. A second sync of a day has nothing to do.
func TestAStrangersDomain(t *testing.T) {
	t.Parallel()
	s := &stranger{T: t, domain: newDomain(t, *domainPeople), dir: t.TempDir()}
	s.tenants()
	file := s.configure()
	s.good(0, "check", "--no-redis", "--config", file)
	for _, want := range s.domain.foreseen() {
		if !strings.Contains(s.said, want) {
			t.Errorf("check does not say %q:\n%s", want, s.said)
		}
	}
	if n := strings.Count(s.said, "warning: "); n != 5 {
		t.Errorf("check has %d warnings, want three about Google and two about Entra:\n%s", n, s.said)
	}
	s.start(file)
	s.good(0, "plan", "google_workspace:1", "--config", file)
	s.good(0, "sync", "ldap:corp", "--watch")
	for _, name := range tenants {
		s.good(codeHeld, "sync", name, "--watch")
		s.approve(name)
	}
	s.compare("the first day")
	for _, day := range week() {
		day.do(s.domain)
		s.sync(day)
		day.again, day.asks = true, false
		s.sync(day)
	}
}

var tenants = []string{"google_workspace:1", "microsoft_entra:1"}

// sync carries out the runs of a day, over everything or over the changes. A second time there is nothing to do.
func (s *stranger) sync(today day) {
	s.Helper()
	for i, name := range append([]string{"ldap:corp"}, tenants...) {
		args := []string{"sync", name, "--watch"}
		if today.delta {
			args = append(args, "--delta")
		}
		// Some people are held at the tenants on every day.
		if code := s.run("", args...); code != []int{0, codeHeld, codeHeld}[i] {
			s.Fatalf("%s: rollcall %s: exit code %d\n%s", today.name, strings.Join(args, " "), code, s.said)
		}
		if today.again && !strings.Contains(s.said, "0 of 0 changes") {
			s.Errorf("%s, again: rollcall %s:\n%s", today.name, strings.Join(args, " "), s.said)
		}
		if today.asks && i > 0 {
			s.approve(name)
		}
	}
	s.compare(today.name)
}

// approve has a person look at what a guard holds, and approve it.
func (s *stranger) approve(name string) {
	s.Helper()
	s.good(codeHeld, "held", name)
	if code := s.run("y\n", "approve", name); code != 0 {
		s.Fatalf("rollcall approve %s: exit code %d\n%s", name, code, s.said)
	}
	s.good(codeHeld, "watch", name)
}

// compare fails the test unless both tenants have what the people and teams of the model come to.
func (s *stranger) compare(day string) {
	s.Helper()
	googleHas, googleIDs := ofGoogle(s.google)
	entraHas, entraIDs := ofEntra(s.entra)
	for tenant, has := range []state{googleHas, entraHas} {
		ids := []map[string]string{googleIDs, entraIDs}[tenant]
		want := s.domain.expected(tenant)
		if diff := cmp.Diff(want.accounts, has.accounts); diff != "" {
			s.Errorf("%s: accounts of %s (-want +got):\n%s", day, tenants[tenant], diff)
		}
		if diff := cmp.Diff(want.groups, has.groups); diff != "" {
			s.Errorf("%s: groups of %s (-want +got):\n%s", day, tenants[tenant], diff)
		}
		for _, h := range s.domain.who {
			if !s.domain.has(h, tenant) {
				continue
			}
			id := ids[strings.ToLower(h.mail)]
			if h.remote[tenant] != "" && h.remote[tenant] != id {
				s.Errorf("%s: the account of %s at %s is another one", day, h.cn, tenants[tenant])
			}
			h.remote[tenant] = id
		}
	}
	if s.Failed() {
		s.FailNow()
	}
}

// tenants starts both tenants.
func (s *stranger) tenants() {
	s.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		s.Fatal(err)
	}
	s.google = googleworkspace.New(googleworkspace.Config{Key: key, Domains: []string{ours, second}})
	s.entra = graph.New(graph.Config{Domains: []string{ours, second}})
	if _, err := s.entra.AddUser(graph.User{UserPrincipalName: "boss@" + ours}); err != nil {
		s.Fatal(err)
	}
	if err := s.entra.SetAdmin("boss@"+ours, graph.GlobalAdministrator); err != nil {
		s.Fatal(err)
	}
}

// configure has init write a file for each tenant, and makes one of both.
func (s *stranger) configure() string {
	s.Helper()
	authority, err := graph.NewAuthority("127.0.0.1")
	if err != nil {
		s.Fatal(err)
	}
	googleServer, entraServer := httptest.NewServer(s.google.Handler()), authority.Start(s.entra.Handler())
	s.Cleanup(googleServer.Close)
	s.Cleanup(entraServer.Close)
	key, err := s.google.CredentialsJSON(googleServer.URL)
	if err != nil {
		s.Fatal(err)
	}
	for name, content := range map[string]string{"google.json": string(key), "entra-secret": s.entra.ClientSecret(),
		"ca.pem": string(authority.CA)} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	secure := strings.Replace(s.domain.dc.URL, "ldap:", "ldaps:", 1)
	answers := func(kind string) string {
		return strings.Join([]string{sambatest.Administrator, s.domain.dc.PasswordFile, kind, ours, ""}, "\n")
	}
	code := s.run(answers("google_workspace"), "init", secure, "--output", filepath.Join(s.dir, "none.yaml"))
	if code != 1 {
		s.Fatalf("init with the controller's own certificate: exit code %d %s", code, s.said)
	}
	// A few of Samba's own certificates have a serial number that is not encoded as DER asks for.
	if !strings.Contains(s.said, "tls_pin_sha256") && !strings.Contains(s.said, "is malformed: give the server another") {
		s.Errorf("init says of the certificate: %s", s.said)
	}
	var text [2]string
	for i, kind := range []string{"google_workspace", "microsoft_entra"} {
		file := filepath.Join(s.dir, kind+".yaml")
		if code := s.run(answers(kind), "init", s.domain.dc.URL, "--output", file); code != 0 {
			s.Fatalf("init: %d %s", code, s.said)
		}
		raw, err := os.ReadFile(file)
		if err != nil {
			s.Fatal(err)
		}
		text[i] = string(raw)
	}
	head, providers, _ := strings.Cut(text[0], "# providers:\n")
	_, more, _ := strings.Cut(text[1], "# providers:\n")
	head, _, _ = strings.Cut(head, "\n# Complete")
	whole := head + "\nproviders:\n" + strings.ReplaceAll("\n"+providers+more, "\n# ", "\n")
	for old, other := range map[string]string{
		"schedule: \"*/15 * * * *\"": "delta_every: 24h",
		"schedule: after_source":     "max_requests_per_second: 100000",
		"credentials_file: google.json": "credentials_file: google.json\n      endpoint: " +
			googleServer.URL + "/",
		"tenant_id: 00000000-0000-0000-0000-000000000000": "tenant_id: " + s.entra.TenantID(),
		"client_id: 00000000-0000-0000-0000-000000000000": "client_id: " + s.entra.ClientID(),
		"client_secret_file: entra-secret": fmt.Sprintf("client_secret_file: entra-secret\n      authority: %[1]s/\n"+
			"      endpoint: %[1]s/v1.0\n      ca_file: ca.pem\n      max_writes_per_second: 100000", entraServer.URL),
	} {
		if !strings.Contains(whole, old) {
			s.Fatalf("the file has no %q:\n%s", old, whole)
		}
		whole = strings.ReplaceAll(whole, old, other)
	}
	file := filepath.Join(s.dir, "rollcall.yaml")
	if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
		s.Fatal(err)
	}
	return file
}

// start runs a worker and the API.
func (s *stranger) start(file string) {
	s.Helper()
	none := func(string) string { return "" }
	cfg, _, err := config.Load(file, config.Options{Types: all.Types(), Getenv: none})
	if err != nil {
		s.Fatal(err)
	}
	app, err := boot.With(s.Context(), config.Process{RedisURL: redistest.URL(s), ObjectWait: 20 * time.Second}, cfg, none,
		slog.New(slog.DiscardHandler))
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(app.Close)
	worker, err := app.Worker("worker")
	if err != nil {
		s.Fatal(err)
	}
	if err := worker.Start(context.WithoutCancel(s.Context())); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(worker.Shutdown)
	srv, err := app.API(s.Context(), nil)
	if err != nil {
		s.Fatal(err)
	}
	server := httptest.NewServer(srv.Handler)
	s.Cleanup(server.Close)
	s.api = server.URL
}
