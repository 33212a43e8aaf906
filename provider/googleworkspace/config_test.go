package googleworkspace_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"

	"rollcall/fault"
	"rollcall/internal/problem"
	"rollcall/internal/secret"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	simulator "rollcall/simulator/googleworkspace"
)

const example = `
id: 1
name: Example
sources: [corp]
schedule: after_source
delegated_subject: Admin@Example.com
credentials_file: /run/secrets/google.json
default_group_email_domain: example.com
user_delete_action: delete
delete_after: 240h
adoption: by_address
protected: [boss@*]
max_requests_per_second: 10
request_timeout: 30s
user_property_mappings:
  orgUnitPath: ou(dn)
  phones.work: ldap.telephoneNumber
`

func decode(t *testing.T, text string) googleworkspace.Config {
	t.Helper()
	var c googleworkspace.Config
	dec := yaml.NewDecoder(strings.NewReader(text))
	dec.KnownFields(true)
	if err := dec.Decode(&c); err != nil {
		t.Fatal(err)
	}
	return c
}

func TestConfig(t *testing.T) {
	t.Parallel()
	c := decode(t, example)
	if err := c.Validate(); err != nil {
		t.Errorf("Validate() = %v, want nil", err)
	}
	c.SetDefaults()
	if c.DelegatedSubject != "admin@example.com" || c.Customer != "my_customer" ||
		c.Endpoint != googleworkspace.DefaultEndpoint || !c.On() ||
		c.MaxRequestsPerSecond != 10 || c.RequestTimeout != 30*time.Second {
		t.Errorf("config = %+v", c)
	}
	want := plan.Policy{
		UserDeleteAction: plan.ActionDelete, GroupDeleteAction: plan.ActionDoNothing, DeleteAfter: 240 * time.Hour,
		Adoption: plan.AdoptByAddress,
	}
	if diff := cmp.Diff(want, c.Policy()); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}

func TestValidateNamesEverything(t *testing.T) {
	t.Parallel()
	c := decode(t, `
name: " "
delegated_subject: nobody
default_group_email_domain: "@example"
endpoint: http://admin.googleapis.com/
user_delete_action: shred
group_delete_action: keep
adoption: always
require_approval: never
nested_groups: sometimes
delete_after: -1h
protected: ["[", ""]
exclude: ["["]
request_timeout: 1ms
max_requests_per_second: -1
user_property_mappings: {shoeSize: "43", phones.work: "1 +"}
group_property_mappings: {members: "[]"}
`)
	got := map[string]bool{}
	for _, p := range problem.All(c.Validate()) {
		got[p.Field] = true
	}
	for _, want := range []string{
		"id", "name", "delegated_subject", "credentials_file", "default_group_email_domain", "endpoint", "user_delete_action",
		"group_delete_action", "adoption", "require_approval", "nested_groups", "delete_after", "protected", "exclude",
		"request_timeout",
		"max_requests_per_second", "user_property_mappings.shoeSize", "user_property_mappings.phones.work",
		"group_property_mappings.members",
	} {
		if !got[want] {
			t.Errorf("Validate() does not name %s", want)
		}
		delete(got, want)
	}
	for field := range got {
		t.Errorf("Validate() names %s, which is right", field)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	good := string(keyFor(t, "http://127.0.0.1:1"))
	for name, key := range map[string]string{
		"no JSON":                    "-----BEGIN PRIVATE KEY-----",
		"another kind of credential": `{"type":"authorized_user"}`,
		"a token endpoint in clear":  string(keyFor(t, "http://oauth2.example.com")),
		"a broken private key":       strings.Replace(good, "BEGIN PRIVATE KEY", "BEGIN SOMETHING", 1),
	} {
		file := filepath.Join(t.TempDir(), "key.json")
		if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		c := config("http://127.0.0.1:1")
		c.CredentialsFile = secret.File(file)
		_, err := googleworkspace.New(c, googleworkspace.Options{})
		if err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "credentials_file") {
			t.Errorf("New() with %s = %v, want credentials_file named", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "PRIVATE") {
			t.Errorf("New() with %s quotes the key: %v", name, err)
		}
	}
	c := config("http://admin.googleapis.com/")
	if _, err := googleworkspace.New(c, googleworkspace.Options{Credentials: []byte(good)}); err == nil {
		t.Error("New() takes plain http to another machine")
	}
	c = config("http://127.0.0.1:1")
	c.CredentialsFile = secret.File(filepath.Join(t.TempDir(), "none.json"))
	if _, err := googleworkspace.New(c, googleworkspace.Options{}); err == nil {
		t.Error("New() accepts a missing key file")
	}
}

// TestSpecCompiles checks that the defaults of the fields are valid expressions.
func TestSpecCompiles(t *testing.T) {
	t.Parallel()
	c := config("http://127.0.0.1:1")
	if _, err := c.Mapping(); err != nil {
		t.Errorf("Mapping() = %v", err)
	}
	normal := (&googleworkspace.Provider{}).Capabilities().Normal
	spec := googleworkspace.Spec()
	for _, f := range append(spec.User, spec.Group...) {
		if _, ok := normal[f.Name]; !ok || f.Doc == "" || (f.MaxLength == 0 && !f.Bool) {
			t.Errorf("field %+v has no Normal, Doc or MaxLength", f)
		}
	}
}

// TestReplacedKeyNeedsNoRestart checks that the key file is read for each access token.
func TestReplacedKeyNeedsNoRestart(t *testing.T) {
	t.Parallel()
	tenant := simulator.New(simulator.Config{Key: sharedKey()})
	server := httptest.NewServer(tenant.Handler())
	t.Cleanup(server.Close)
	c := config(server.URL)
	c.CredentialsFile = secret.File(filepath.Join(t.TempDir(), "key.json"))
	write := func(key []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(string(c.CredentialsFile), key, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	write(simulator.New(simulator.Config{}).CredentialsJSON(server.URL))
	p, err := googleworkspace.New(c, googleworkspace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Read(t.Context(), provider.Query{}); kind(err) != fault.Denied {
		t.Fatalf("Read() with a key of another account = %v, want denied", err)
	}
	write([]byte("half a file"), nil)
	if _, err := p.Read(t.Context(), provider.Query{}); kind(err) != fault.Denied ||
		!strings.Contains(err.Error(), "credentials_file") {
		t.Errorf("Read() with a broken key file = %v, want it named", err)
	}
	write(tenant.CredentialsJSON(server.URL))
	if _, err := p.Read(t.Context(), provider.Query{}); err != nil {
		t.Errorf("Read() with the replaced key = %v", err)
	}
}
