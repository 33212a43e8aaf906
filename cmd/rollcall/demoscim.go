package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"rollcall/container"
	"rollcall/internal/demo"
	"rollcall/simulator/scim"
)

const demoSCIM = container.ID("scim:1")

// newDemoSCIM has the same foreign accounts as the other tenants.
func newDemoSCIM() *scim.Tenant {
	t := scim.New(scim.Config{})
	for _, u := range demo.Foreign {
		if _, err := t.AddUser(map[string]any{"userName": u.Address, "displayName": u.GivenName + " " +
			u.FamilyName}); err != nil {
			panic(err) // The list is ours.
		}
	}
	return t
}

// serveSCIM serves the tenant until ctx ends, and writes its token.
func (s *stage) serveSCIM(ctx context.Context) (base string, err error) {
	if err := os.WriteFile(filepath.Join(s.dir, "scim"), []byte(s.scim.Token()), 0o600); err != nil {
		return "", err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: s.scim.Handler(), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() { _ = srv.Serve(listener) }() // It ends with the context; until then the syncs would say so.
	return "http://" + listener.Addr().String(), nil
}

// demoSCIMConfig is appended to demoConfig. The simulated tenant has no quota.
const demoSCIMConfig = `  scim:
    - id: 1
      name: Simulated server
      sources: [corp]
      endpoint: %s/scim/v2
      token_file: scim
      domains: [example.com]
      max_requests_per_second: 400
      max_writes_per_second: 400
      max_user_writes_per_second: 400
      max_user_creates_per_second: 400
`
