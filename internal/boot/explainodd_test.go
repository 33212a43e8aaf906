package boot_test

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"rollcall/explain"
	"rollcall/internal/slapdtest"
	google "rollcall/simulator/googleworkspace"
)

// TestExplainGroupsByNameAndMail checks that a group is not taken for a user that is left out.
func TestExplainGroupsByNameAndMail(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeOptions{ldif: smallStaff() + slapdtest.Entry("cn=ada,"+slapdtest.Groups, "objectClass",
		"groupOfNames", "entryUUID", id(51), "cn", "ada", "member", dn("ada")), file: true})
	d := o.explain(explain.ByUserName, "CLOUD")
	if d.Entry == nil || d.Entry.Kind.String() != "group" || source(t, d).Code != explain.NeverRead {
		t.Errorf("a group that only the live directory has: %+v", d)
	}
	o.sync(corp, workspace, entra)
	for by, text := range map[explain.By]string{explain.ByUserName: "Cloud", explain.ByEmail: "ALL@example.org"} {
		d := o.explain(by, text)
		if d.Entry == nil || string(d.Entry.ID) != id(50) || d.Entry.Kind.String() != "group" {
			t.Errorf("by %s: %s", by, d.Verdict)
			continue
		}
		says(t, d, workspace, explain.InStep, "", "its group ")
		if p := says(t, d, entra, explain.InStep, "", "its group cloud ("); strings.Contains(p.Verdict, "  ") {
			t.Errorf("a group without an address: %q", p.Verdict)
		}
	}
	if d := o.explain(explain.ByUserName, "ada"); d.Entry == nil || string(d.Entry.ID) != id(1) {
		t.Errorf("a user goes before a group of that name: %s", d.Verdict)
	}
}

// TestExplainOddQueries covers what people paste as an id, and texts that only resemble a filter.
func TestExplainOddQueries(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeOptions{ldif: smallStaff() + person(3, "jos\u00e9 o'brien (x)*", "mail",
		"jos\u00e9@example.org"), file: true})
	one := uuid.MustParse(id(1))
	swapped := one
	for i, from := range []int{3, 2, 1, 0, 5, 4, 7, 6} {
		swapped[i] = one[from]
	}
	queries := []explain.Query{
		{By: explain.ByID, Value: strings.ToUpper(id(1))}, {By: explain.ByID, Value: "{" + strings.ToUpper(id(1)) + "}"},
		{By: explain.ByID, Value: one.URN()},
		{By: explain.ByID, Value: strings.ReplaceAll(id(1), "-", "")},
		{By: explain.ByID, Value: base64.StdEncoding.EncodeToString(one[:])},
		{By: explain.ByID, Value: base64.StdEncoding.EncodeToString(swapped[:])},
		{By: explain.ByID, Value: " UID = ada , " + strings.ToUpper(slapdtest.People)},
	}
	for range 2 { // from the live directory alone, then from the local one
		for _, q := range queries {
			if d := o.explain(q.By, q.Value); d.Entry == nil || string(d.Entry.ID) != id(1) {
				t.Errorf("%s %q: %s", q.By, q.Value, d.Verdict)
			}
		}
		for by, text := range map[explain.By]string{explain.ByUserName: "JOSE\u0301 O'BRIEN  (X)*",
			explain.ByEmail: "Jos\u00c9@Example.org"} {
			if d := o.explain(by, text); d.Entry == nil || string(d.Entry.ID) != id(3) {
				t.Errorf("%s %q: %s", by, text, d.Verdict)
			}
		}
		for _, text := range []string{"*", "a*", "ada)(uid=*", `"ada"`, "\\61da", "ada\\", "(|(uid=ada))", "ad\u0430"} {
			for _, by := range []explain.By{explain.ByID, explain.ByUserName, explain.ByEmail} {
				if d := o.explain(by, text); d.Found != explain.NotFound {
					t.Errorf("%s %q: %s, want nobody: %s", by, text, d.Found, d.Verdict)
				}
			}
		}
		o.sync(corp)
	}
}

// TestExplainTwoSources covers one id or one name in two directories, and disabled containers.
func TestExplainTwoSources(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "other.ldif")
	write(t, file, person(1, "ada", "mail", mail("ada"))+person(7, "bea", "mail", mail("bea.other"))+
		slapdtest.Entry("cn=other,"+slapdtest.Groups, "objectClass", "groupOfNames", "entryUUID", id(60), "cn", "other",
			"member", dn("bea")))
	other := "\n    - slug: other\n      server_uri: file://" + file +
		"\n      base_dn: dc=example,dc=org\n      group_object_filter: (objectClass=groupOfNames)"
	o := newOffice(t, officeOptions{ldif: smallStaff(), file: true, source: []string{other},
		google: []string{"enabled: false"}})
	o.sync(corp, "ldap:other")
	d := o.explain(explain.ByEmail, mail("ada"))
	p := says(t, d, entra, explain.Conflict, "unusable", "ldap:corp", "ldap:other",
		"take it out of the scope of all but one")
	if len(d.Sources) != 2 || p.Departure != nil {
		t.Errorf("in two sources: %+v", d)
	}
	says(t, d, workspace, explain.SwitchedOff, "", "enabled: false")
	if d := o.explain(explain.ByUserName, "bea"); d.Found != explain.Several || len(d.Candidates) != 2 ||
		d.Candidates[0].Source == d.Candidates[1].Source {
		t.Errorf("one name in two sources: %+v", d)
	}
	says(t, o.explain(explain.ByID, id(7)), entra, explain.Pending, "", "create")
}

// TestExplainWhoIsInATenantAlone checks that an address without an entry is searched in the tenants.
func TestExplainWhoIsInATenantAlone(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeOptions{ldif: smallStaff(), file: true})
	o.sync(corp, workspace, entra)
	foreign, err := o.tenant.AddUser(google.User{PrimaryEmail: mail("only"), GivenName: "Only", FamilyName: "There"})
	if err != nil {
		t.Fatal(err)
	}
	d := o.explain(explain.ByEmail, "ONLY@example.org")
	p := says(t, d, workspace, explain.NotOurs, "", mail("only"), foreign.ID, "no anchor of ours")
	if d.Found != explain.NotFound || len(d.Providers) != 1 || len(p.Match.Objects) != 1 ||
		!strings.Contains(d.Verdict, foreign.ID) {
		t.Errorf("a foreign account: %+v", d)
	}
	if _, err := o.tenant.AddUser(google.User{PrimaryEmail: mail("late"), GivenName: "L", FamilyName: "L",
		ExternalIDs: []google.ExternalID{{Type: "custom", CustomType: "rollcall", Value: id(77)}}}); err != nil {
		t.Fatal(err)
	}
	says(t, o.explain(explain.ByEmail, mail("late")), workspace, explain.NotOurs, "", "anchor of the id "+id(77))
	boss := o.explain(explain.ByEmail, "boss@example.org") // who is in Entra alone
	says(t, boss, entra, explain.NotOurs, "", "boss@example.org")
	o.googleServer.Close()
	if d := o.explain(explain.ByEmail, "nobody@example.org"); !d.Partial() ||
		!strings.Contains(d.Verdict, "google_workspace:1 could not be asked") {
		t.Errorf("a tenant that is down: %+v", d)
	}
}

// TestExplainByAnAddressThatOnlyTheTenantHas checks that the anchor on the account leads to the entry.
func TestExplainByAnAddressThatOnlyTheTenantHas(t *testing.T) {
	t.Parallel()
	ldif := smallStaff() + slapdtest.Entry("cn=derived,"+slapdtest.Groups, "objectClass", "groupOfNames", "entryUUID",
		id(52), "cn", "derived", "member", dn("ada"))
	o := newOffice(t, officeOptions{ldif: ldif, file: true})
	o.sync(corp, workspace)
	d := o.explain(explain.ByEmail, "derived@example.org") // the domain is the provider's, the entry has no mail
	if d.Entry == nil || string(d.Entry.ID) != id(52) || d.Query.Value != "derived@example.org" {
		t.Fatalf("a group by the address that it was given: %+v", d)
	}
	says(t, d, workspace, explain.InStep, "", "its group derived@example.org")
}
