package mapping_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/mapping"
	"rollcall/plan"
)

// A value that an expression cannot give holds the entry, and the detail says what it gave.
func TestWhatAnExpressionGave(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ field, expression, want, detail string }{
		{"active", `ldap.on`, "false", ""},
		{"active", `"False "`, "false", ""},
		{"active", `" tRue"`, "true", ""},
		{"active", `"perhaps"`, "", `it gave "perhaps", want true or false`},
		{"active", `get({"a": nil}, "a")`, "false", ""},
		{"active", `get({"a": 1}, "a")`, "", "it gave a int, want true or false"},
		{"active", `"` + strings.Repeat("x", 60) + `"`, "", `it gave "` + strings.Repeat("x", 60) + `", want true or false`},
		{"active", `"` + strings.Repeat("x", 61) + `"`, "",
			`it gave "` + strings.Repeat("x", 60) + `"…, want true or false`},
		{"title", `get({"a": nil}, "a")`, "", ""},
		{"title", `get({"a": 7}, "a")`, "", "it gave a int, want a text"},
		{"title", `get({"a": ["x"]}, "a")`, "", "it gave a []interface {}, want a text"},
		{"title", `get({"a": []}, "a")`, "", ""},
		{"title", `get({"a": mails}, "a")`, "", "it gave a []string, want a text"},
		{"title", `get({"a": true}, "a")`, "true", ""},
		{"phones", `get({"a": mails}, "a")`, "ann@example.com", ""},
		{"phones", `get({"a": ["x", nil, "", "y"]}, "a")`, "x|y", ""},
		{"phones", `["x", 7]`, "", "its list has a int, want texts"},
		{"phones", `get({"a": 7}, "a")`, "", "it gave a int, want a text or a list of texts"},
		{"title", `ou(dn, "dc=other")`, "",
			`ou: "uid=ann,ou=people,dc=example,dc=com" is not below "dc=other"`},
		{"title", `ou("dc=com", "dc=example,dc=com")`, "", `ou: "dc=com" is not below "dc=example,dc=com"`},
		{"title", `ou(dn, dn)`, "/", ""},
		{"title", `ou("ou=a/b,dc=com")`, "", "ou: the unit a/b has a slash in its name"},
		{"title", `rdn(dn, -1)`, "", ""},
		{"title", `rdn(dn, 4)`, "", ""},
		{"title", `rdn(dn, 3)`, "com", ""},
		{"title", `coalesce(get({"a": mails}, "a"), "none")`, "ann@example.com", ""},
		{"title", `coalesce(get({"a": nil}, "a"), get({"a": 7}, "a"))`, "7", ""},
		{"title", `coalesce(get({"a": ldap_all.none}, "a"), "none")`, "none", ""},
	} {
		t.Run(test.field+" "+test.expression, func(t *testing.T) {
			t.Parallel()
			d := one(t, mapping.Options{User: map[string]string{test.field: test.expression}}, user("ann"))
			if (d.Held != "") != (test.detail != "") || !strings.Contains(d.Detail, test.detail) {
				t.Fatalf("held: %q %s, want %q", d.Held, d.Detail, test.detail)
			}
			got := strings.Join(d.Fields.Values(test.field), "|")
			if test.field == "active" {
				got = fmt.Sprint(d.Active)
			}
			if test.detail == "" && got != test.want {
				t.Errorf("gave %q, want %q", got, test.want)
			}
		})
	}
}

// A mapping is refused where its result can never be what a field takes.
func TestCompileRefusesResults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ field, expression, want string }{
		{"phones", `[["a"], ["b"]][0] | map([#])`, ""},
		{"phones", `map(1..2, #)`, ""},
		{"phones", `split(mail, "@") | map(len(#))`, ""},
		{"hidden", `{"a": "b"}`, "it gives an object, want true or false"},
		{"hidden", `1 + 1`, "it gives a number, want true or false"},
		{"hidden", `mail`, ""},
		{"hidden", `active`, ""},
		{"title", `ldap[""]`, `ldap[""] names no attribute`},
		{"title", `ldap_all[" "]`, `ldap_all[""] names no attribute`},
	} {
		_, err := mapping.Compile(spec(), mapping.Options{Domain: "example.com",
			User: map[string]string{test.field: test.expression}})
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %s: Compile() = %v, want %q", test.field, test.expression, err, test.want)
		}
	}
}

// Fields that administrators of a tenant define have names of their own. Only what is set or has a default is mapped.
func TestMapped(t *testing.T) {
	t.Parallel()
	fields := []mapping.Field{{Name: "title"}, {Name: "name", Default: "cn"}, {Name: "phone"},
		{Name: "custom.<name>", Pattern: regexp.MustCompile(`^custom\.`)}}
	set := map[string]string{"phone": "x", "custom.b": "x", "custom.a": "x", "other": "x"}
	if diff := cmp.Diff([]string{"custom.a", "custom.b", "name", "phone"}, mapping.Mapped(fields, set)); diff != "" {
		t.Errorf("Mapped() (-want +got):\n%s", diff)
	}
	m, err := mapping.Compile(mapping.Spec{User: fields, UserAddress: "mail"},
		mapping.Options{User: map[string]string{"custom.a": `"A"`, "custom.b": `"B"`}})
	if err != nil {
		t.Fatal(err)
	}
	d := desire(t, m, nil, user("ann")).Desired[0]
	if d.Fields.Get("custom.a") != "A" || d.Fields.Get("custom.b") != "B" || d.Fields.Get("custom.<name>") != "" {
		t.Errorf("fields %v, want both custom fields", d.Fields)
	}
}

// A manager as a DN is no address, and the mapping is warned of.
func TestWarnings(t *testing.T) {
	t.Parallel()
	for expression, warned := range map[string]bool{"ldap.manager": true, " ldap.MANAGER ": true,
		"address_of(ldap.manager)": false, "ldap.managers": false, "title": false} {
		if expression == "title" {
			expression = `"boss"`
		}
		w := compile(t, mapping.Options{User: map[string]string{"title": expression}}).Warnings()
		if len(w) > 0 != warned || warned && (w[0].Field != "user_property_mappings.title" ||
			!strings.Contains(w[0].Error(), "write address_of(ldap.")) {
			t.Errorf("%s: Warnings() = %v", expression, w)
		}
	}
}

// The domains of a tenant are listed, the first ten where there are more.
func TestAForeignDomainNamesThoseOfTheTenant(t *testing.T) {
	t.Parallel()
	for n, says := range map[int]string{
		10: "(d0.org, d1.org, d2.org, d3.org, d4.org, d5.org, d6.org, d7.org, d8.org, d9.org)",
		11: "d8.org and 1 more)",
	} {
		var domains []string
		for i := range n {
			domains = append(domains, fmt.Sprintf("d%d.org", i))
		}
		d := desire(t, compile(t, mapping.Options{}), domains, user("ann")).Desired[0]
		if d.Held != plan.ForeignDomain || !strings.HasSuffix(d.Detail, says) {
			t.Errorf("%d domains: held %q %s, want %q at the end", n, d.Held, d.Detail, says)
		}
	}
}

// An explanation shows the address that was made, and the address of another entry as it was decided.
func TestEvaluateShowsAddresses(t *testing.T) {
	t.Parallel()
	m := compile(t, mapping.Options{User: map[string]string{"title": "address_of(ldap.manager)"}})
	ann := user("ann", "manager", "uid=bob,dc=com")
	value := func(field string, d *plan.Desired) string {
		for _, v := range m.Evaluate(&ann, d) {
			if v.Field == field {
				return strings.Join(v.Values, "|") + " " + v.Problem
			}
		}
		return "none"
	}
	if got := value(plan.AddressField, nil); got != "ann@example.com " {
		t.Errorf("address = %q", got)
	}
	known := &plan.Desired{Fields: plan.Desired{}.Fields.Set("title", "bob@example.com")}
	if got := value("title", known); got != "bob@example.com " {
		t.Errorf("title = %q, want the address", got)
	}
	for _, d := range []*plan.Desired{nil, {Fields: plan.Desired{}.Fields.Set("name", "x")}} {
		if got := value("title", d); !strings.HasPrefix(got, " the address of the other entry is not known") {
			t.Errorf("title = %q, want that the address is not known", got)
		}
	}
	ann = with(user("ann"), "mail", "a\u202enn@example.com")
	if got := value(plan.AddressField, nil); !strings.Contains(got, "U+202E") {
		t.Errorf("address = %q, want the character that cannot be written", got)
	}
}

// Addresses are compared in lower case, as every mail system folds them. A letter of another script stays what it is.
func TestLowerCase(t *testing.T) {
	t.Parallel()
	d := one(t, mapping.Options{User: map[string]string{"title": `lower("\u212aAZ\u00c4")`}},
		with(user("ann"), "mail", "AZ@Example.COM"))
	if got := d.Fields.Get("title"); d.Address != "az@example.com" || got != "\u212aaz\u00e4" {
		t.Errorf("address %q, title %q", d.Address, got)
	}
}

// A value that is nothing but such characters is not written either, and blanks at either end are no part of a value.
func TestValuesThatAreNothingElse(t *testing.T) {
	t.Parallel()
	for value, withheld := range map[string]bool{"\x07": true, "\x7f": true, "\u0085\u0085": false, "\u202a": true,
		"\u202b\u202c": true, "\u2066": true, "\u2069": true, "\u206a": false, "\u2029x": false, "~": false} {
		d := one(t, mapping.Options{User: map[string]string{"title": "ldap.title"}}, with(user("ann"), "title", value))
		if len(d.Withheld) > 0 != withheld {
			t.Errorf("%q: withheld %+v, want %v", value, d.Withheld, withheld)
		}
	}
	for _, value := range []string{" b", "b ", " b ", "b"} {
		d := one(t, mapping.Options{User: map[string]string{"title": "ldap.title"}}, with(user("ann"), "title", value))
		if got := d.Fields.Get("title"); got != "b" {
			t.Errorf("%q became %q", value, got)
		}
	}
}

// A value may be as long as the tenant takes it, and is checked by the tenant's own rule.
func TestValuesThatATenantNeverTakes(t *testing.T) {
	t.Parallel()
	refuse := func(bad string) func(string) error {
		return func(value string) error {
			if strings.Contains(value, bad) {
				return fmt.Errorf("%q is never taken", value)
			}
			return nil
		}
	}
	m, err := mapping.Compile(mapping.Spec{UserAddress: "mail", CheckUserAddress: refuse("bad"),
		User: []mapping.Field{{Name: "name", Default: "givenName", MaxLength: 10, Check: refuse("!")}}}, mapping.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ given, mail, held string }{
		"ten characters":  {"Ännchen-Li", "ann@example.com", ""},
		"one more":        {"Ännchen-Lis", "ann@example.com", `"Ännchen-Lis" has 11 characters, 10 are allowed`},
		"a refused value": {"Ann!", "ann@example.com", `"Ann!" is never taken`},
		"a bad address":   {"Ann", "bad@example.com", `"bad@example.com" is never taken`},
	} {
		d := desire(t, m, nil, with(with(user("ann"), "mail", tc.mail), "givenName", tc.given)).Desired[0]
		if (d.Held != "") != (tc.held != "") || !strings.Contains(d.Detail, tc.held) {
			t.Errorf("%s: held %q %s, want %q", name, d.Held, d.Detail, tc.held)
		}
	}
}

// The digest of a mapping is stored. It changes with the mapping, and not with a release.
func TestDigestIsThatOfEarlierReleases(t *testing.T) {
	t.Parallel()
	if got, want := compile(t, mapping.Options{}).Digest(), "dff88bf7ad9eeedec4b0bfb4"; got != want {
		t.Errorf("Digest() = %s, want %s", got, want)
	}
}
