package entra_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/problem"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/entra"
	"rollcall/provider/pace"
)

const (
	someTenant = "5f3a1c9e-7b42-4d60-9e11-000000000001"
	someClient = "5f3a1c9e-7b42-4d60-9e11-000000000002"
)

func valid() entra.Config {
	return entra.Config{Settings: provider.Settings{ID: 1, Name: "Example"}, TenantID: someTenant,
		ClientID: someClient, ClientSecretFile: "secret"}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	c := valid()
	c.SetDefaults()
	if c.Authority != entra.DefaultAuthority || c.Endpoint != "https://graph.microsoft.com/v1.0" ||
		c.RequestTimeout != time.Minute {
		t.Errorf("SetDefaults() = %+v", c)
	}
	if r := c.Rates(); r[pace.ResourceUnits] != 784 || r[pace.Writes] != 19.6 {
		t.Errorf("Rates() = %v", r)
	}
	if err := valid().Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*entra.Config){
		"id":                        func(c *entra.Config) { c.ID = 0 },
		"tenant_id":                 func(c *entra.Config) { c.TenantID = "../x" },
		"client_id":                 func(c *entra.Config) { c.ClientID = "app" },
		"client_secret_file":        func(c *entra.Config) { c.ClientSecretFile = "" },
		"certificate_password_file": func(c *entra.Config) { c.CertificatePasswordFile = "x" },
		"endpoint":                  func(c *entra.Config) { c.Endpoint = "http://graph.microsoft.com/v1.0" },
		"authority":                 func(c *entra.Config) { c.Authority = "http://127.0.0.1/" },
		"max_requests_per_second":   func(c *entra.Config) { c.MaxRequestsPerSecond = -1 },
		"max_writes_per_second":     func(c *entra.Config) { c.MaxWritesPerSecond = -1 },
		"group_property_mappings.address": func(c *entra.Config) {
			c.GroupPropertyMappings = map[string]string{plan.AddressField: "cn"}
		},
		"user_property_mappings.jobtitle": func(c *entra.Config) {
			c.UserPropertyMappings = map[string]string{"jobtitle": "cn"}
		},
	} {
		c := valid()
		change(&c)
		found := problem.All(c.Validate())
		if len(found) == 0 || !slices.ContainsFunc(found, func(p *problem.Error) bool { return p.Field == field }) {
			t.Errorf("%s: Validate() = %v", field, found)
		}
	}
	c := valid()
	c.CertificateFile = "x"
	if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "2 ways") {
		t.Errorf("Validate() of two ways to sign in = %v", err)
	}
	c = valid()
	c.TenantID, c.ClientSecretFile, c.CertificateFile, c.CertificatePasswordFile = "Contoso.onmicrosoft.com", "",
		"cert", "password"
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() = %v", err)
	}
}

// TestBatch checks that twenty additions fit into one request, and twenty such requests into a batch.
func TestBatch(t *testing.T) {
	t.Parallel()
	p, err := entra.New(valid(), entra.Options{Secret: "x"})
	if err != nil {
		t.Fatal(err)
	}
	add := func(groups, each int) (out []plan.Change) {
		for g := range groups {
			for range each {
				out = append(out, plan.Change{Op: plan.AddMember, Ref: group(id(g))})
			}
		}
		return out
	}
	for _, tc := range []struct {
		changes []plan.Change
		want    int
	}{
		{add(1, 5), 5}, {add(1, 1000), 400}, {add(100, 1), 20}, {add(100, 30), 300}, {add(30, 20), 400},
		{make([]plan.Change, 50), 20},
		{slices.Repeat([]plan.Change{{Op: plan.RemoveMember}}, 500), 100},
		{slices.Repeat([]plan.Change{{Op: plan.Suspend}}, 500), 60},
	} {
		if got := p.Batch(tc.changes); got != tc.want {
			t.Errorf("Batch() of %d changes to %s = %d, want %d", len(tc.changes), tc.changes[0].Op, got, tc.want)
		}
	}
}
