package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"

	"rollcall/container"
	"rollcall/internal/demo"
	"rollcall/provider"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
	"rollcall/simulator/scim"
)

// demoTenant is the simulated tenant of one type of provider in the demonstration. It has the foreign accounts before
// the first sync.
type demoTenant struct {
	http.Handler
	container container.ID
	// word names the tenant in the summary and in the flags of `rollcall simulate demo`.
	word string
	// tls is set where the vendor's sign-in library accepts only https.
	tls bool
	// calls counts the requests since the last reset.
	calls func() int
	reset func()
	// connect returns the section of the provider in the configuration for a tenant at an address, and the secret file
	// that it names.
	connect func(base string) (yaml, file string, secret []byte, err error)
}

// makers make the tenants by the name of the type.
var makers = map[string]func() *demoTenant{
	"google_workspace": newDemoGoogle, "microsoft_entra": newDemoEntra, "scim": newDemoSCIM,
}

// newDemoTenants returns a tenant for each type that has a simulator.
func newDemoTenants(types []provider.Type) (all []*demoTenant) {
	for i := range types {
		if makeTenant := makers[types[i].Name]; makeTenant != nil {
			t := makeTenant()
			t.container = container.Provider(types[i].Name, 1)
			all = append(all, t)
		}
	}
	return all
}

// section begins the section of a provider. It has everything that the types have in common.
const section = `  %s:
    - id: 1
      name: Simulated tenant
      sources: [corp]
      endpoint: %s
`

// must panics because the accounts of the demonstration are ours and cannot be refused.
func must[T any](_ T, err error) {
	if err != nil {
		panic(err)
	}
}

func newDemoGoogle() *demoTenant {
	t := simulator.New(simulator.Config{Domains: []string{demo.Domain}})
	for _, u := range demo.Foreign {
		must(t.AddUser(simulator.User{PrimaryEmail: u.Address, GivenName: u.GivenName, FamilyName: u.FamilyName}))
	}
	return &demoTenant{
		Handler: t.Handler(), word: "Google", reset: t.ResetCalls,
		calls: func() int { c := t.Calls(); return c.Reads + c.Writes },
		connect: func(base string) (string, string, []byte, error) {
			key, err := t.CredentialsJSON(base)
			return fmt.Sprintf(section, "google_workspace", base+"/") + `      delegated_subject: admin@example.com
      credentials_file: google.json
      default_group_email_domain: example.com
      max_requests_per_second: 400
`, "google.json", key, err
		},
	}
}

func newDemoEntra() *demoTenant {
	t := graph.New(graph.Config{Domains: []string{demo.Domain}})
	for _, u := range demo.Foreign {
		must(t.AddUser(graph.User{UserPrincipalName: u.Address, DisplayName: u.GivenName + " " + u.FamilyName}))
	}
	return &demoTenant{
		Handler: t.Handler(), word: "Entra", tls: true, reset: t.ResetCalls,
		calls: func() int { return t.Calls().Requests },
		connect: func(base string) (string, string, []byte, error) {
			return fmt.Sprintf(section, "microsoft_entra", base+"/v1.0") + fmt.Sprintf(`      tenant_id: %s
      client_id: %s
      client_secret_file: entra
      authority: %s/
      ca_file: %s
      max_writes_per_second: 400
`, t.TenantID(), t.ClientID(), base, demoCAFile), "entra", []byte(t.ClientSecret()), nil
		},
	}
}

func newDemoSCIM() *demoTenant {
	t := scim.New(scim.Config{})
	for _, u := range demo.Foreign {
		must(t.AddUser(map[string]any{"userName": u.Address, "displayName": u.GivenName + " " + u.FamilyName}))
	}
	return &demoTenant{
		Handler: t.Handler(), word: "SCIM", reset: t.ResetCalls,
		calls: func() int { c := t.Calls(); return c.Reads + c.Writes },
		connect: func(base string) (string, string, []byte, error) {
			return fmt.Sprintf(section, "scim", base+"/scim/v2") + fmt.Sprintf(`      token_file: scim
      domains: [example.com]
      ca_file: %s
      max_requests_per_second: 400
      max_writes_per_second: 400
      max_user_writes_per_second: 400
      max_user_creates_per_second: 400
`, demoCAFile), "scim", []byte(t.Token()), nil
		},
	}
}

// writeFiles writes the files of a directory.
func writeFiles(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// connected returns the configuration for tenants at their addresses, and the files that it names.
func connected(dir string, tenants []*demoTenant, bases []string) (yaml string, files map[string][]byte, err error) {
	files = map[string][]byte{"people.ldif": demo.LDIF()}
	yaml = fmt.Sprintf(demoConfig, filepath.Join(dir, "people.ldif"))
	for i, t := range tenants {
		part, name, secret, err := t.connect(bases[i])
		if err != nil {
			return "", nil, err
		}
		yaml += part
		files[name] = secret
	}
	return yaml, files, nil
}
