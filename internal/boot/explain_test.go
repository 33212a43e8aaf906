package boot_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/explain"
	"rollcall/internal/slapdtest"
	"rollcall/mapping"
	"rollcall/plan"
	google "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
)

func id(n int) string { return slapdtest.UUID(n) }

// person writes one person of the staff.
func person(n int, uid string, pairs ...string) string {
	all := append([]string{"objectClass", "inetOrgPerson", "objectClass", "vendorObject", "entryUUID", id(n), "uid", uid,
		"cn", uid, "sn", uid, "givenName", uid}, pairs...)
	return slapdtest.Entry(dn(uid), all...)
}

func dn(uid string) string { return "uid=" + uid + "," + slapdtest.People }

func mail(uid string) string { return uid + "@" + domain }

const elsewhere = "ou=elsewhere," + slapdtest.Suffix

// staff are people, nearly each with a different reason not to be provisioned.
func staff() string {
	var b strings.Builder
	staffed := func(n int, uid string, pairs ...string) {
		b.WriteString(person(n, uid, append([]string{"employeeType", "staff", "mail", mail(uid), "title", "Engineer"},
			pairs...)...))
	}
	for n := range 20 { // so that a few who leave are not half of all
		staffed(100+n, fmt.Sprintf("filler%d", n))
	}
	staffed(1, "ada", "vendorToken", "hunter2")
	b.WriteString("dn: " + elsewhere + "\nobjectClass: organizationalUnit\n\n")
	b.WriteString(slapdtest.Entry("uid=bea,"+elsewhere, "objectClass", "inetOrgPerson", "entryUUID", id(2), "uid", "bea",
		"cn", "bea", "sn", "bea", "mail", mail("bea"), "employeeType", "staff"))
	b.WriteString(person(3, "cid", "employeeType", "guest", "mail", mail("cid")))
	staffed(4, "dot")
	b.WriteString(person(5, "eve", "employeeType", "staff"))
	b.WriteString(person(6, "fay", "employeeType", "staff", "mail", "fay@elsewhere.example"))
	for n, uid := range []string{"gil", "hal", "ivy", "jon", "kim", "lea", "max", "nan", "out1", "out2", "out3", "out4"} {
		staffed(7+n, uid)
	}
	group := []string{"objectClass", "groupOfNames", "entryUUID", slapdtest.UUID(slapdtest.GroupUUIDs), "cn", "cloud"}
	for _, uid := range []string{"ada", "cid", "eve", "fay", "gil", "hal", "ivy", "jon", "kim", "lea", "max", "nan",
		"out1", "out2", "out3", "out4"} {
		group = append(group, "member", dn(uid))
	}
	for n := range 20 {
		group = append(group, "member", dn(fmt.Sprintf("filler%d", n)))
	}
	b.WriteString(slapdtest.Entry("cn=cloud,"+slapdtest.Groups, group...))
	return b.String()
}

// onlyStaff is the source's filter.
var onlyStaff = []string{"user_object_filter: (&(objectClass=inetOrgPerson)(employeeType=staff))"}

func staffOffice(t *testing.T) *office {
	t.Helper()
	return newOffice(t, officeOptions{
		ldif: staff(), source: onlyStaff, both: []string{"filter_group: cloud", "user_delete_action: delete"},
	})
}

// TestExplainWhoIsNotSynced covers the reasons for which a person has no account, or one that is not as expected.
func TestExplainWhoIsNotSynced(t *testing.T) {
	t.Parallel()
	o := staffOffice(t)
	d := o.explain(explain.ByEmail, mail("ada"))
	if s := source(t, d); s.Code != explain.NeverRead || !strings.Contains(s.Verdict, "never read") || !s.Live.Present {
		t.Errorf("before the first sync: %+v", s)
	}
	says(t, d, workspace, explain.NotReady, "", "never completed a sync")

	// These objects block others before anything is provisioned.
	foreign, err := o.tenant.AddUser(google.User{PrimaryEmail: mail("gil"), GivenName: "Gil", FamilyName: "Foreign"})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"hal.one", "hal.two"} {
		_, err := o.tenant.AddUser(google.User{PrimaryEmail: mail(name), GivenName: "Hal", FamilyName: "Twice",
			ExternalIDs: []google.ExternalID{
				{Type: "custom", CustomType: "rollcall", Value: id(8)},
			}})
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.graph.AddUser(graph.User{UserPrincipalName: mail("gil")}); err != nil {
		t.Fatal(err)
	}
	o.sync(corp)

	p := says(t, o.explain(explain.ByID, id(1)), workspace, explain.Pending, "", "create "+mail("ada"), "full sync")
	if p.Match.By != explain.Nothing || len(p.Next) == 0 {
		t.Errorf("before the first full sync: %+v", p)
	}
	o.sync(workspace, entra)

	d = o.explain(explain.ByUserName, "ada")
	for _, name := range []struct {
		p   explain.Provider
		ids bool
	}{{says(t, d, workspace, explain.InStep, "", mail("ada")), false},
		{says(t, d, entra, explain.InStep, "", mail("ada")), true}} {
		p := name.p
		if p.Match.By != explain.ByAnchor || p.Match.Link == nil || len(p.Groups) != 1 || p.Groups[0].Label != "cloud" ||
			len(p.Next) != 0 || *p.Scope.In != true {
			t.Errorf("%s: %+v", p.Container, p)
		}
		if len(p.Outcomes) != 2 || p.Outcomes[0].Op != "add_member" || p.Outcomes[1].Op != "create" ||
			p.Outcomes[1].RemoteID != p.Match.Link.RemoteID {
			t.Errorf("%s: outcomes %+v, want create and add_member", p.Container, p.Outcomes)
		}
		if has := p.Outcomes[1].RequestID != ""; has != name.ids {
			t.Errorf("%s: request id %q; Google gives none, Graph does", p.Container, p.Outcomes[1].RequestID)
		}
		if !slices.ContainsFunc(p.Outcomes[1].Fields, func(f string) bool { return f != "" }) || len(p.Mapping) == 0 {
			t.Errorf("%s: no fields: %+v", p.Container, p)
		}
	}
	if e := d.Entry; e == nil || !e.Stored || e.DN != dn("ada") || string(e.ID) != id(1) || e.Source != "corp" ||
		!source(t, d).Live.Present {
		t.Errorf("the entry is %+v", d.Entry)
	}

	outside := o.explain(explain.ByEmail, mail("bea"))
	if s := source(t, outside); s.Code != explain.OutsideBase || s.Live.ID != id(2) ||
		!strings.Contains(s.Verdict, "not below ou=people,dc=example,dc=org") {
		t.Errorf("outside the base: %+v", s)
	}
	says(t, outside, workspace, explain.NotRead, "outside_base", "additional_user_dn", elsewhere)
	filtered := o.explain(explain.ByID, id(3))
	if s := source(t, filtered); s.Code != explain.FilteredOut ||
		!strings.Contains(s.Verdict, "does not match (employeeType=staff).") {
		t.Errorf("filtered out: %+v", s)
	}
	says(t, filtered, entra, explain.NotRead, "filtered_out", "(employeeType=staff)")
	p = says(t, o.explain(explain.ByID, id(4)), workspace, explain.OutOfScope, "filter_group", "cloud", "no account")
	if p.Scope.In == nil || *p.Scope.In || p.Scope.Rule != "filter_group" || p.Scope.Setting != "cloud" {
		t.Errorf("scope %+v", p.Scope)
	}
	says(t, o.explain(explain.ByID, id(5)), workspace, explain.Conflict, "no_address", "no usable address")
	p = says(t, o.explain(explain.ByUserName, "fay"), workspace, explain.Conflict, "foreign_domain", "elsewhere.example",
		domain)
	if p.Desired == nil || p.Desired.Held != "foreign_domain" {
		t.Errorf("desired %+v", p.Desired)
	}
	taken := o.explain(explain.ByUserName, "gil")
	p = says(t, taken, workspace, explain.Conflict, "address_taken", foreign.ID, "not ours", "adoption")
	if len(p.Match.Objects) != 1 || p.Match.Objects[0].RemoteID != foreign.ID || p.Match.Objects[0].Anchor != "" {
		t.Errorf("match %+v", p.Match)
	}
	says(t, taken, entra, explain.Conflict, "address_taken", "not ours")
	p = says(t, o.explain(explain.ByUserName, "hal"), workspace, explain.Conflict, "ambiguous", "2 remote objects")
	if p.Match.By != explain.Ambiguous || len(p.Match.Objects) != 2 {
		t.Errorf("match %+v", p.Match)
	}

	nobody := o.explain(explain.ByEmail, "nobody@example.org")
	if nobody.Found != explain.NotFound || nobody.Entry != nil ||
		!strings.Contains(nobody.Verdict, "none in the live directory of ldap:corp") || len(nobody.Providers) != 0 {
		t.Errorf("nobody: %+v", nobody)
	}
	if text := o.log.String(); strings.Contains(text, mail("ada")) || strings.Contains(text, mail("bea")) ||
		strings.Contains(text, "hunter2") {
		t.Error("the log has personal data")
	}
}

// TestExplainWhoLeft goes through what becomes of those who are gone, disabled, held or protected.
func TestExplainWhoLeft(t *testing.T) {
	t.Parallel()
	o := staffOffice(t)
	o.sync(corp, workspace, entra)
	if err := o.tenant.SetAdmin(mail("lea"), true); err != nil {
		t.Fatal(err)
	}
	if err := o.graph.SetAdmin(mail("lea"), graph.GlobalAdministrator); err != nil {
		t.Fatal(err)
	}
	o.ldap.Delete(t, dn("lea"))
	o.ldap.Delete(t, dn("max"))
	o.ldap.Set(t, dn("nan"), "nsAccountLock", "TRUE")
	leaving := o.explain(explain.ByUserName, "max")
	if s := source(t, leaving); s.Code != explain.Leaving || s.Live.Present || !s.Stored {
		t.Errorf("deleted and not read yet: %+v", s)
	}
	says(t, leaving, workspace, explain.InStep, "")
	changed := o.explain(explain.ByUserName, "nan")
	if s := source(t, changed); !s.Live.Changed || !strings.Contains(s.Verdict, "changed in the live directory") {
		t.Errorf("changed and not read yet: %+v", s)
	}
	o.sync(corp)
	p := says(t, o.explain(explain.ByID, id(13)), workspace, explain.Left, "absent", "suspend", "deleted after")
	if p.Departure == nil || p.Departure.Since == nil ||
		p.Departure.DeletedAfter.Time().Sub(p.Departure.Since.Time()).Hours() != 720 {
		t.Errorf("departure %+v", p.Departure)
	}
	o.sync(workspace, entra)

	gone := o.explain(explain.ByEmail, mail("max"))
	if s := source(t, gone); s.Code != explain.Departed || s.DepartedAt == nil {
		t.Errorf("departed: %+v", s)
	}
	for _, p := range []explain.Provider{
		says(t, gone, workspace, explain.Left, "absent", "suspended by us", "is deleted after"),
		says(t, gone, entra, explain.Left, "absent", "suspended by us", "is deleted after"),
	} {
		if p.Departure == nil || p.Departure.Why != "absent" || p.Departure.DeletedAfter == nil ||
			p.Match.By != explain.ByAnchor {
			t.Errorf("%s: departure %+v, match %+v", p.Container, p.Departure, p.Match)
		}
		if len(p.Outcomes) == 0 || !slices.ContainsFunc(p.Outcomes,
			func(x explain.Outcome) bool { return x.Op == "suspend" }) {
			t.Errorf("%s: outcomes %+v", p.Container, p.Outcomes)
		}
	}
	disabled := o.explain(explain.ByUserName, "nan")
	says(t, disabled, workspace, explain.Inactive, "disabled", "disabled at its source", "suspended by us")
	says(t, disabled, entra, explain.Inactive, "disabled", "suspended by us")
	protected := o.explain(explain.ByID, id(12))
	says(t, protected, workspace, explain.Conflict, "protected", "never suspended or deleted", "administrator")
	says(t, protected, entra, explain.Conflict, "protected", "administrator")

	// Four people leave the scope, which is more than the limit of a day.
	var members []string
	for _, uid := range []string{"ada", "gil", "hal", "ivy", "jon", "kim", "nan"} {
		members = append(members, dn(uid))
	}
	for n := range 20 {
		members = append(members, dn(fmt.Sprintf("filler%d", n)))
	}
	o.ldap.Set(t, "cn=cloud,"+slapdtest.Groups, "member", members...)
	o.sync(corp, workspace)
	held := says(t, o.explain(explain.ByUserName, "out1"), workspace, explain.Held, "limit", "limit is 3",
		"rollcall approve google_workspace:1")
	if len(held.Held) == 0 || held.Held[0].Digest == "" ||
		!strings.Contains(held.Verdict, held.Held[0].Digest+" --entry "+held.Held[0].Fingerprint) {
		t.Fatalf("held %+v: %s", held.Held, held.Verdict)
	}
	var decided struct{ Verdict string }
	o.call(http.MethodPost, paths[workspace]+"sync/held/"+held.Held[0].Digest+"/reject/",
		fmt.Sprintf(`{"entries": [%q]}`, held.Held[0].Fingerprint), http.StatusOK, &decided)
	rejected := says(t, o.explain(explain.ByUserName, "out1"), workspace, explain.Held, "limit", "rejected it")
	if len(rejected.Decisions) != 1 || rejected.Decisions[0].Verdict != "rejected" || rejected.Held[0].Decision == nil {
		t.Errorf("decisions %+v", rejected.Decisions)
	}
}

// TestExplainFromAFile covers what needs no server, such as unusable entries, several entries of one name, groups,
// DNs, and questions that a file cannot answer.
func TestExplainFromAFile(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for n, uid := range []string{"ada", "bea", "cid"} {
		b.WriteString(person(1+n, uid, "mail", mail(uid), "vendorToken", "hunter2"))
	}
	b.WriteString(strings.Replace(person(9, "una", "mail", mail("una")), "entryUUID: "+id(9)+"\n", "", 1))
	b.WriteString(person(10, "twin1", "mail", mail("twins")) + person(11, "twin2", "mail", mail("twins")))
	b.WriteString(slapdtest.Entry("cn=cloud,"+slapdtest.Groups, "objectClass", "groupOfNames", "entryUUID", id(50), "cn",
		"cloud", "member", dn("ada")))
	b.WriteString(slapdtest.Entry("uid=out,"+elsewhere, "objectClass", "inetOrgPerson", "uid", "out", "cn", "out", "sn",
		"out", "entryUUID", id(60), "mail", mail("out")))
	o := newOffice(t, officeOptions{ldif: b.String(), file: true, both: []string{"exclude: [\"cid*\"]"}})
	o.sync(corp, workspace, entra)

	d := o.explain(explain.ByEmail, mail("una"))
	if s := source(t, d); s.Code != explain.Unusable || !strings.Contains(s.Verdict, "it has no entryUUID") {
		t.Errorf("without an id: %+v", s)
	}
	says(t, d, workspace, explain.NotRead, "unusable", "has no entryUUID")
	says(t, d, entra, explain.NotRead, "unusable", "has no entryUUID")

	twins := o.explain(explain.ByEmail, mail("twins"))
	if twins.Found != explain.Several || len(twins.Candidates) != 2 || twins.Candidates[0].DN == "" || !twins.Waits() {
		t.Errorf("two with one address: %+v", twins)
	}
	says(t, o.explain(explain.ByID, id(10)), workspace, explain.Conflict, "same_address", "twin2")
	p := says(t, o.explain(explain.ByUserName, "cid"), workspace, explain.OutOfScope, "exclude", "cid*", "no account")
	if p.Scope.Setting != "cid*" {
		t.Errorf("scope %+v", p.Scope)
	}
	group := o.explain(explain.ByID, id(50))
	if p := says(t, group, workspace, explain.InStep, "",
		"its group cloud@example.org"); group.Entry.Kind.String() != "group" || p.Match.By != explain.ByAnchor {
		t.Errorf("a group: %+v", group)
	}
	if d := o.explain(explain.ByID, dn("ada")); d.Found != explain.Known || string(d.Entry.ID) != id(1) {
		t.Errorf("by its DN: %+v", d)
	}
	if s := source(t, o.explain(explain.ByID, "uid=out,"+elsewhere)); s.Code != explain.OutsideBase ||
		s.Live.ID != id(60) {
		t.Errorf("by a DN outside the base: %+v", s)
	}

	// An account that was made moments ago and is not to be seen is waited for.
	if err := o.tenant.DeleteUser(mail("bea")); err != nil {
		t.Fatal(err)
	}
	says(t, o.explain(explain.ByUserName, "bea"), workspace, explain.Pending, "unsettled", "not yet visible")

	// What a person had undone stays so, and is named.
	kept, _, err := store.New(store.Config{Redis: o.app.Redis, Slug: "corp"}).Entry(t.Context(),
		directory.Ref{Kind: directory.User, ID: directory.ID(id(1))})
	if err != nil {
		t.Fatal(err)
	}
	pin := plan.Pin{Ref: kept.Ref(), Run: "run-7", By: "grace", At: time.Now(), Version: kept.Digest(),
		Fields: directory.Attributes{{Name: "name.givenName", Values: []string{"Augusta"}}}}
	if err := o.app.Decisions.Pin(t.Context(), workspace, []plan.Pin{pin}, nil); err != nil {
		t.Fatal(err)
	}
	pinned := says(t, o.explain(explain.ByUserName, "ada"), workspace, explain.Pending, "",
		"It is pinned: grace undid run run-7")
	if len(pinned.Pins) != 1 || !slices.Equal(pinned.Pins[0].Fields, []string{"name.givenName"}) || len(pinned.Next) != 1 {
		t.Errorf("pinned: %+v", pinned)
	}
	pin.Version = "older"
	if err := o.app.Decisions.Pin(t.Context(), workspace, []plan.Pin{pin}, nil); err != nil {
		t.Fatal(err)
	}
	if p := says(t, o.explain(explain.ByUserName, "ada"), workspace, explain.InStep, ""); len(p.Pins) != 0 {
		t.Errorf("a pin that has ended is shown: %+v", p.Pins)
	}

	// A tenant that is down takes nothing from the rest.
	o.googleServer.Close()
	d = o.explain(explain.ByUserName, "ada")
	p = says(t, d, workspace, explain.Unknown, "", "could not be asked: no answer within", "By our records its account is")
	if len(p.Unasked) == 0 || p.Match.By != explain.ByLedger || p.Desired == nil || p.Desired.Address != mail("ada") ||
		len(p.Outcomes) == 0 || !d.Partial() {
		t.Errorf("a tenant that is down: %+v", p)
	}
	says(t, d, entra, explain.InStep, "")
	hidden := slices.IndexFunc(p.Mapping, func(v mapping.Value) bool { return v.Field == "phones.work" })
	if hidden < 0 || !slices.Equal(p.Mapping[hidden].Values, []string{"<redacted>"}) {
		t.Errorf("a field that a secret is mapped to is shown: %+v", p.Mapping)
	}
}

// TestExplainWhatTheFirstHopHolds has a directory that came back half empty, and one that does not answer.
func TestExplainWhatTheFirstHopHolds(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for n := range 8 {
		b.WriteString(person(n, fmt.Sprintf("u%d", n), "mail", mail(fmt.Sprintf("u%d", n))))
	}
	o := newOffice(t, officeOptions{ldif: b.String()})
	o.sync(corp, workspace)
	for n := range 6 {
		o.ldap.Delete(t, dn(fmt.Sprintf("u%d", n)))
	}
	o.sync(corp)
	d := o.explain(explain.ByUserName, "u0")
	if s := source(t, d); s.Code != explain.Leaving || len(s.Held) != 1 || s.Held[0].Guard != "half" ||
		!strings.Contains(s.Verdict, "rollcall approve ldap:corp "+s.Held[0].Digest) {
		t.Errorf("held in the first hop: %+v", s)
	}
	says(t, d, workspace, explain.InStep, "")
	o.ldap.Stop()
	d = o.explain(explain.ByUserName, "u7")
	if s := source(t, d); s.Code != explain.Read || s.Live.Problem == "" ||
		!strings.Contains(s.Verdict, "could not be asked") || !d.Partial() {
		t.Errorf("a directory that is down: %+v", s)
	}
	says(t, d, workspace, explain.InStep, "")
	if d := o.explain(explain.ByEmail, "nobody@example.org"); d.Found != explain.Uncertain ||
		!strings.Contains(d.Verdict, "Could not be asked: ldap:corp") {
		t.Errorf("nobody, and nobody to ask: %+v", d)
	}
}
