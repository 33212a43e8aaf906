package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/config"
	"rollcall/plan"
	"rollcall/provider/googleworkspace"
	"rollcall/provider/scim"
	"rollcall/source/ldap"
)

func TestFileThatIsNotThere(t *testing.T) {
	t.Parallel()
	_, _, err := config.Load(filepath.Join(t.TempDir(), "rollcall.yaml"), config.Options{})
	if p, ok := errors.AsType[config.Problems](err); !ok || len(p) != 1 ||
		p[0].Message != "cannot be read: no such file or directory" {
		t.Errorf("Load() = %v", err)
	}
}

func TestSecretsThatOthersCanRead(t *testing.T) {
	t.Parallel()
	text := strings.Replace(read(t, "testdata/good.yaml"), "secrets/ldap", "secrets/readable", 1)
	want := "rollcall.yaml:7: sources.ldap[0].bind_password_file: secret file secrets/readable may be read by " +
		"every user (mode 0644): run chmod 0600 on it"
	_, warnings, problems := load(t, text, config.Options{})
	if problems != "" || len(warnings) != 1 || warnings[0] != want {
		t.Errorf("warnings = %q, want %q; problems %s", warnings, want, problems)
	}
	_, _, problems = load(t, text, config.Options{Strict: true})
	if problems != strings.Replace(want, "secret file ", "", 1) {
		t.Errorf("strict: %s", problems)
	}
}

func TestMappingThatGivesADN(t *testing.T) {
	t.Parallel()
	good := read(t, "testdata/good.yaml") + "      user_property_mappings:\n        relations.manager: ldap.manager\n"
	_, warnings, problems := load(t, good, config.Options{})
	const want = "relations.manager: ldap.manager gives the DN of another entry: write address_of(ldap.manager)"
	if problems != "" || len(warnings) != 1 || !strings.Contains(warnings[0], want) {
		t.Errorf("warnings = %q, want %q; problems %s", warnings, want, problems)
	}
}

func TestPasswordFromTheEnvironment(t *testing.T) {
	t.Parallel()
	text := strings.Replace(read(t, "testdata/good.yaml"), "bind_password_file: secrets/ldap",
		"bind_password_env: LDAP_PASSWORD", 1)
	_, _, problems := load(t, text, config.Options{Getenv: func(name string) string {
		return map[string]string{"LDAP_PASSWORD": "secret"}[name]
	}})
	if problems != "" {
		t.Error(problems)
	}
}

func TestAttributesAreThoseOfTheProvidersThatUseTheSource(t *testing.T) {
	t.Parallel()
	good := read(t, "testdata/good.yaml")
	second := good[strings.Index(good, "    - id: 1"):]
	second = strings.NewReplacer("id: 1", "id: 2", "[corp]", "[other]").Replace(second)
	text := strings.Replace(good, "providers:\n", `    - slug: other
      server_uri: ldaps://ldap.example.org
      base_dn: dc=example,dc=org
providers:
`, 1) + "      user_property_mappings:\n        organizations.title: ldap.title + ldap.Room\n" +
		second + "      user_property_mappings:\n        organizations.title: ldap.employeeType\n        phones.work: " +
		"ldap.TITLE\n"
	c, _, problems := load(t, text, config.Options{})
	if problems != "" {
		t.Fatal(problems)
	}
	for slug, want := range map[string][]string{"corp": {"Room", "title"}, "other": {"TITLE", "employeeType"},
		"nowhere": {}} {
		if got := c.Attributes(slug); !slices.Equal(got, want) {
			t.Errorf("Attributes(%q) = %q, want %q", slug, got, want)
		}
	}
}

func TestWhichAttributesDecideWhoIsActive(t *testing.T) {
	t.Parallel()
	good := read(t, "testdata/good.yaml")
	second := strings.Replace(good[strings.Index(good, "    - id: 1"):], "id: 1", "id: 2", 1)
	for _, tc := range []struct {
		first, second string
		want          ldap.Deciding
	}{
		{"active: ldap.status", "organizations.title: ldap.title", ldap.Deciding{By: []string{"status"}}},
		{"active: ldap.status", "active: ldap.status == givenName", ldap.Deciding{Alone: true,
			By: []string{"givenName", "status"}}},
	} {
		const mappings = "      user_property_mappings:\n        "
		c, _, problems := load(t, good+mappings+tc.first+"\n"+second+mappings+tc.second+"\n", config.Options{})
		if problems != "" {
			t.Fatal(problems)
		}
		if diff := cmp.Diff(tc.want, c.Deciding("corp")); diff != "" {
			t.Errorf("%s; %s: Deciding() (-want +got):\n%s", tc.first, tc.second, diff)
		}
	}
}

func TestASourceSaysWhatBecomesOfEntriesWithoutAnAddress(t *testing.T) {
	t.Parallel()
	text := strings.Replace(read(t, "testdata/good.yaml"), "    - slug: corp\n",
		"    - slug: corp\n      no_address: leave_out\n", 1)
	c, _, problems := load(t, text, config.Options{})
	if problems != "" {
		t.Fatal(problems)
	}
	s := c.Providers[0].Settings
	if s.NoAddress != "" || s.NoAddressOf["corp"] != plan.AddresslessLeaveOut {
		t.Errorf("no_address = %q, of the sources %q, want leave_out of corp alone", s.NoAddress, s.NoAddressOf)
	}
}

func TestMergedKeysMayBeOverridden(t *testing.T) {
	t.Parallel()
	text := strings.Replace(read(t, "testdata/good.yaml"), "- id: 1", "- &one\n      id: 1", 1) +
		"    - <<: *one\n      id: 2\n      name: Second\n"
	c, _, problems := load(t, text, config.Options{})
	if problems != "" {
		t.Fatal(problems)
	}
	if p := c.Providers; len(p) != 2 || p[1].ID != 2 || p[1].Name != "Second" ||
		p[1].Config.(*googleworkspace.Config).DelegatedSubject != "admin@example.com" {
		t.Errorf("providers = %+v", p)
	}
}

// TestAliasesDoNotGrowWithoutBound is the "billion laughs" of XML, in YAML.
func TestAliasesDoNotGrowWithoutBound(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("sources:\n  ldap: []\nproviders:\n  google_workspace:\n    - &p\n      user_property_mappings: &m\n")
	for i := range 2000 {
		b.WriteString("        f" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + ": cn\n")
	}
	b.WriteString(strings.Repeat("    - *p\n", 3000))
	_, _, problems := load(t, b.String(), config.Options{})
	if !strings.Contains(problems, "is too large once its aliases are written out") {
		t.Errorf("accepted: %.200s", problems)
	}
}

func FuzzLoad(f *testing.F) {
	files, err := filepath.Glob("testdata/bad/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "testdata/good.yaml") {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, _, err := config.Parse(filepath.Join(os.DevNull, "rollcall.yaml"), data,
			config.Options{Getenv: func(string) string { return "" }})
		if (c == nil) == (err == nil) {
			t.Errorf("Parse() = %v, %v", c, err)
		}
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Error("an error without a text")
		}
	})
}

// The API connects to no source and no tenant, so that it starts without their passwords and keys.
func TestAProcessWithoutSecrets(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "rollcall.yaml")
	text := `sources:
  ldap:
    - {slug: corp, server_uri: ldaps://ldap.example.com, base_dn: "dc=example,dc=com", bind_cn: "cn=reader",
       bind_password_file: secrets/ldap}
providers:
  google_workspace:
    - {id: 1, name: Example, delegated_subject: admin@example.com, credentials_file: secrets/google.json,
       default_group_email_domain: example.com}
`
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := config.Load(path, config.Options{}); err == nil {
		t.Error("Load() with files that are not there = nil, want an error")
	}
	c, _, err := config.Load(path, config.Options{NoFiles: true})
	if err != nil || len(c.Providers) != 1 || len(c.Sources.LDAP) != 1 {
		t.Errorf("Load() without files = %+v, %v, want a source and a provider", c, err)
	}
}

// TestAProfileOfYourOwn reads the example of docs/scim.md. Two providers share a profile, and one replaces a value.
func TestAProfileOfYourOwn(t *testing.T) {
	t.Parallel()
	_, rest, _ := strings.Cut(read(t, "../../docs/scim.md"), "```yaml\nprofiles:\n")
	example, _, _ := strings.Cut(rest, "```")
	source, _, _ := strings.Cut(read(t, "testdata/good.yaml"), "providers:")
	example = regexp.MustCompile(`token_file: .*`).ReplaceAllString(example, "token_file: secrets/ldap")
	c, _, problems := load(t, source+"profiles:\n"+example, config.Options{})
	if problems != "" || len(c.Providers) != 2 {
		t.Fatalf("the example has the problems %s, in\n%s", problems, example)
	}
	for i, pages := range []int{50, 20} {
		got := c.Providers[i].Config.(*scim.Config)
		if got.Update != "put" || got.MemberUpdate != "patch" || got.PageSize != pages || got.MemberChunk != 100 ||
			!slices.Equal(got.Filters, []string{"userName"}) {
			t.Errorf("provider %d = %+v, want the profile intranet and the rest of generic", i+1, got.Behaviour)
		}
	}
	before := c.Digests("")
	more := source + "profiles:\n" + strings.Replace(example, "  scim:\n", "  scim:\n    other: {page_size: 7}\n", 1)
	c, _, _ = load(t, more, config.Options{})
	if diff := cmp.Diff(before, c.Digests("")); diff != "" {
		t.Errorf("digests with a profile that no provider has (-without +with):\n%s", diff)
	}
	c, _, _ = load(t, strings.Replace(more, "update: put", "update: patch", 1), config.Options{})
	if cmp.Equal(before, c.Digests("")) {
		t.Error("the digests are the same with another profile")
	}
}
