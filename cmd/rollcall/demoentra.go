package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"rollcall/internal/demo"
	"rollcall/simulator/graph"
)

// newDemoEntra has the same foreign accounts as the other tenant.
func newDemoEntra() *graph.Tenant {
	t := graph.New(graph.Config{Domains: []string{demo.Domain}})
	for _, u := range demo.Foreign {
		if _, err := t.AddUser(graph.User{UserPrincipalName: u.Address, DisplayName: u.GivenName + " " +
			u.FamilyName}); err != nil {
			panic(err) // The list is ours.
		}
	}
	return t
}

// serveEntra serves the tenant until ctx ends, and writes the files that a client needs. Microsoft's sign-in library
// requires the certificate.
func (s *stage) serveEntra(ctx context.Context) (base string, err error) {
	authority, err := graph.NewAuthority("127.0.0.1")
	if err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{"entra-ca.pem": authority.CA, "entra": []byte(s.entra.ClientSecret())} {
		if err := os.WriteFile(filepath.Join(s.dir, name), data, 0o600); err != nil {
			return "", err
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	srv := &http.Server{Handler: s.entra.Handler(), TLSConfig: authority.TLSConfig(), ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	go func() { _ = srv.ServeTLS(listener, "", "") }() // It ends with the context; until then the syncs would say so.
	return "https://" + listener.Addr().String(), nil
}

// demoEntraConfig is appended to demoConfig.
const demoEntraConfig = `  microsoft_entra:
    - id: 1
      name: Simulated tenant
      sources: [corp]
      tenant_id: %s
      client_id: %s
      client_secret_file: entra
      authority: %[3]s/
      endpoint: %[3]s/v1.0
      ca_file: entra-ca.pem
      max_writes_per_second: 400
`
