package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"rollcall/container"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
	"rollcall/status"
)

const entra = container.ID("microsoft_entra:1")

const entraSettings = `  microsoft_entra:
    - id: 1
      name: Bench
      sources: [corp]
      tenant_id: %s
      client_id: %s
      client_secret_file: secret
      authority: %[3]s/
      endpoint: %[3]s/v1.0
      ca_file: ca.pem
      max_writes_per_second: %g
`

// withEntra adds a simulated Entra tenant to the configuration of workers that start later.
func (l *lab) withEntra(writes float64, quota graph.Quota) *graph.Tenant {
	l.Helper()
	tenant := graph.New(graph.Config{Domains: []string{"example.org"}, Quota: quota})
	const boss = "boss@example.org" // Every tenant has an administrator.
	_, err := tenant.AddUser(graph.User{UserPrincipalName: boss})
	l.must(err)
	l.must(tenant.SetAdmin(boss, graph.GlobalAdministrator))
	authority, err := graph.NewAuthority("127.0.0.1")
	l.must(err)
	server := authority.Start(tenant.Handler())
	l.Cleanup(server.Close)
	dir := filepath.Dir(l.file)
	l.must(os.WriteFile(filepath.Join(dir, "ca.pem"), authority.CA, 0o600))
	l.must(os.WriteFile(filepath.Join(dir, "secret"), []byte(tenant.ClientSecret()), 0o600))
	text, err := os.ReadFile(l.file)
	l.must(err)
	text = fmt.Appendf(text, entraSettings, tenant.TenantID(), tenant.ClientID(), server.URL, writes)
	l.must(os.WriteFile(l.file, text, 0o600))
	return tenant
}

// entra measures a run of a tenant without a limit in which nothing changed.
func (l *lab) entra() row {
	tenant := l.withEntra(100_000, graph.Quota{})
	_, stop := l.worker()
	defer stop()
	for range 2 { // The second run lists the groups that the first one filled.
		l.sync(entra, status.Full)
	}
	tenant.ResetCalls()
	l.sync(entra, status.Full)
	c := tenant.Calls()
	if c.Writes > 0 {
		l.Fatalf("%d writes in a run in which nothing changed", c.Writes)
	}
	if c.Requests > 2 {
		l.Errorf("%d requests in a run in which nothing changed, want 2", c.Requests)
	}
	return row{"Entra, nothing changed: calls", fmt.Sprint(c.Requests), "2 delta calls", "2"}
}

// entraWrites is the default of max_writes_per_second, of the 20 writes a second that Microsoft publishes.
const entraWrites = 19.6

// provisioningEntra measures a first provisioning while the tenant enforces Microsoft's published limits.
func provisioningEntra(t *testing.T) row {
	users := min(*people/4, 600)
	l := newLab(t, users, max(1, users/10), 15, 100_000, simulator.Quota{})
	tenant := l.withEntra(entraWrites, graph.DocumentedQuota(users))
	_, stop := l.worker()
	defer stop()
	l.sync(corp, status.Full)
	tenant.ResetCalls()
	_, took := l.sync(entra, status.Full)
	c := tenant.Calls()
	const atOnce = 20 // the burst; see pace
	least := float64(c.Writes-atOnce) / 20
	return row{"first provisioning of Entra at Microsoft's published limits",
		fmt.Sprintf("%.0f %% used, %.1f %% refused, %.1f writes a request", 100*least/took.Seconds(),
			100*float64(c.Refused)/float64(c.Writes+c.Reads), float64(c.Writes)/float64(c.Requests)),
		fmt.Sprintf("%d writes at 20/s, members of %d groups", c.Writes, max(1, users/10)), "97 %, 0.5 %, 15"}
}
