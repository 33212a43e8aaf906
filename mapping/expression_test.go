package mapping_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/problem"
	"rollcall/mapping"
)

func TestExpressions(t *testing.T) {
	t.Parallel()
	ann := user("ann", "mail", "a@other.org", "telephoneNumber", "+41 1", "telephoneNumber", "+41 2", "employeetype",
		"staff")
	ann.DN = `uid=ann,ou=EMEA\, South,ou=Sales,ou=people,dc=example,dc=com`
	for expression, want := range map[string][]string{
		`"x"`:                      {"x"},
		`id + " " + source`:        {"ann corp"},
		`upper(userName)`:          {"ANN"},
		`ldap.telephoneNumber`:     {"+41 1"},
		`ldap.TELEPHONEnumber`:     {"+41 1"},
		`ldap["employeeType"]`:     {"staff"},
		`ldap?.employeeType`:       {"staff"},
		`ldap.none`:                nil,
		`ldap_all.telephoneNumber`: {"+41 1", "+41 2"},
		`ldap_all.none`:            nil,
		`map(ldap_all.telephoneNumber, trimPrefix(#, "+41 "))`: {"1", "2"},
		`mails`: {"a@other.org", "ann@example.com"}, // in byte order: values have no order (RFC 4511, section 4.1.7)
		`first(filter(mails, # endsWith "@other.org")) ?? mail`:   {"a@other.org"},
		`first(filter(mails, # endsWith "@nowhere.org")) ?? mail`: {"a@other.org"},
		`coalesce(ldap.none, "  ", ldap.employeeType, "z")`:       {"staff"},
		`coalesce()`:                             nil,
		`slug("Müller & Söhne (Zürich)")`:        {"muller-and-sohne-zurich"},
		`rdn(dn, 0) + "/" + rdn(dn, 1)`:          {"ann/EMEA, South"},
		`rdn(dn, 99)`:                            nil,
		`ou(dn)`:                                 {"/people/Sales/EMEA, South"},
		`ou(dn, "OU=People, dc=example,dc=com")`: {"/Sales/EMEA, South"},
		`ou("cn=x,dc=example,dc=com")`:           {"/"},
		`active ? "yes" : nil`:                   {"yes"},
		`active and userName == "ann"`:           {"true"},
		`join(split("a-b", "-"), "+")`:           {"a+b"},
		`"\t one\u00a0line \r\n "`:               {"one\u00a0line"},
		`["a", "", nil, "a", " b "]`:             {"a", "b"},
		`domain`:                                 {"example.com"},
		`let x = lower(cn); x + x`:               {"ann annann ann"},
	} {
		t.Run(expression, func(t *testing.T) {
			t.Parallel()
			d := one(t, mapping.Options{User: map[string]string{"phones": expression}}, ann)
			if d.Held != "" {
				t.Fatalf("held: %s %s", d.Held, d.Detail)
			}
			if diff := cmp.Diff(want, d.Fields.Values("phones")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, field, expression, want string }{
		{"unknown name", "title", `userName + usrName`, "user_property_mappings.title: column 12: unknown name usrName: " +
			"did you mean userName? Any other attribute is ldap.<name>"},
		{"an attribute as a variable", "title", `telephoneNumber`, "user_property_mappings.title: column 1: unknown name " +
			"telephoneNumber: known are id, dn, source, userName, displayName, givenName, familyName, cn, mail, mails, " +
			"employeeNumber, description, active, domain, ldap, ldap_all; any other attribute is ldap.telephoneNumber"},
		{"in a call", "title", `coalesce(mail, usrName)`, "user_property_mappings.title: column 16: unknown name usrName: " +
			"did you mean userName? Any other attribute is ldap.<name>"},
		{"second line", "title", "userName +\n  usrName", "user_property_mappings.title: line 2, column 3: unknown name " +
			"usrName: did you mean userName? Any other attribute is ldap.<name>"},
		{"syntax", "title", `lower(`, "user_property_mappings.title: column 6: unexpected token EOF"},
		{"number", "title", `len(mails)`, "user_property_mappings.title: it gives a number, want a text: write string(…)"},
		{"list for a text", "title", `mails`,
			`user_property_mappings.title: it gives a list, want a text: take first(…) or join(…, ", ")`},
		{"object", "phones", `{"a": "b"}`,
			"user_property_mappings.phones: it gives an object, want a text: write string(…)"},
		{"list for a truth", "hidden", `mails`, "user_property_mappings.hidden: it gives a list, want true or false"},
		{"type", "title", `lower(active)`,
			"user_property_mappings.title: column 7: cannot use bool as argument (type string) to call lower"},
		{"computed name", "title", `ldap[cn]`,
			"user_property_mappings.title: ldap[…] needs a name in quotes: sources must know which attributes to ask for"},
		{"whole map", "phones", `map(["a"], get(ldap_all, #)) | flatten()`, "user_property_mappings.phones: ldap_all is " +
			"used as a whole: write ldap_all.<attribute>, sources must know which attributes to ask for"},
		{"environment", "title", `$env["cn"]`,
			"user_property_mappings.title: $env is not available: write the variable's name"},
		{"clock", "title", `string(now())`,
			"user_property_mappings.title: column 8: now is not available: it does not give the same for the same entry"},
		{"empty", "title", ` `,
			`user_property_mappings.title: the expression is empty: leave the key out, or write '""' for an empty value`},
		{"unknown field", "titel", `cn`, "user_property_mappings.titel: unknown field: did you mean title? Known are " +
			"active, address, aliases, hidden, name.familyName, name.givenName, orgUnitPath, phones, street, title"},
		{"secret", "title", `ldap.userPassword`,
			"user_property_mappings.title: it reads the attribute userPassword: it may " +
				"have a password, a key or their hash, which Rollcall never reads"},
		{"photo", "title", `first(ldap_all["thumbnailPhoto"])`, "user_property_mappings.title: it reads the attribute " +
			"thumbnailPhoto: photos are not synchronized: upload them with the tenant's own tools"},
		{"reserved", "title", `let ldap = 1; "x"`, "user_property_mappings.title: column 5: cannot redeclare ldap"},
		{"too large", "title", strings.Repeat(`"a" + `, 600) + `"a"`,
			"user_property_mappings.title: column 3005: compilation failed: expression exceeds maximum allowed nodes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := mapping.Compile(spec(), mapping.Options{Domain: "example.com",
				User: map[string]string{test.field: test.expression}})
			if err == nil {
				t.Fatal("Compile() accepts it")
			}
			if err.Error() != test.want {
				t.Errorf("Compile() =\n%s\nwant\n%s", err, test.want)
			}
		})
	}
}

func TestCompileReportsEverythingAtOnce(t *testing.T) {
	t.Parallel()
	_, err := mapping.Compile(spec(), mapping.Options{
		User:       map[string]string{"title": "x1", "address": "x2", "active": "1", "colour": "cn"},
		Group:      map[string]string{"name": "x3", "active": "true"},
		UserFilter: "cn", GroupFilter: "x4", RekeyBy: "x5 + x6", Nested: "sometimes", Exclude: []string{"a[", ""},
	})
	var fields []string
	for _, p := range problem.All(err) {
		fields = append(fields, p.Field)
	}
	want := []string{
		"nested_groups", "exclude", "exclude", "user_property_mappings.colour", "user_property_mappings.address",
		"user_property_mappings.active",
		"user_property_mappings.title", "group_property_mappings.active", "group_property_mappings.address",
		"group_property_mappings.name", "user_filter", "group_filter", "rekey_by",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// The group's default address uses domain, which is not set.
	if !strings.Contains(err.Error(), "default_group_email_domain is not set") {
		t.Errorf("Compile() = %v", err)
	}
}

func TestAttributesNamesWhatSourcesMustAskFor(t *testing.T) {
	t.Parallel()
	m := compile(t, mapping.Options{
		User: map[string]string{
			"title":   `ldap.title + ldap["x-room"] + (false ? ldap.never : "")`,
			"phones":  `ldap_all.TelephoneNumber`,
			"address": `coalesce(ldap.telephonenumber, mail)`,
		},
		Group:       map[string]string{"name": `let n = ldap?.gidNumber; n`},
		UserFilter:  `ldap.employeeType == "staff"`,
		GroupFilter: `any(ldap_all.objectClass, # == "posixGroup")`,
		RekeyBy:     "uidNumber",
	})
	want := []string{"TelephoneNumber", "employeeType", "gidNumber", "never", "objectClass", "title", "uidNumber",
		"x-room"}
	got := m.Attributes()
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
