//go:build ds389

package ldap_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	"rollcall/source"
	"rollcall/source/ldap"
	"rollcall/source/sourcetest"
)

// rights389 returns the access rules and the attributes of the account that the page about 389 Directory Server grants:
// the rules of the suffix, and those of the server's configuration.
func rights389(t *testing.T) (acis, config, reader []string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/389ds.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "## Rights")
	for dn := ""; strings.Contains(block, "```"); {
		_, block, _ = strings.Cut(block, "```\n")
		records, rest, _ := strings.Cut(block, "```")
		block = rest
		for line := range strings.Lines(strings.ReplaceAll(records, "\n ", "")) { // continued lines
			name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
			value = strings.ReplaceAll(value, "cn=rollcall,ou=services,dc=example,dc=com", slapdtest.Reader)
			value = strings.ReplaceAll(value, "dc=example,dc=com", slapdtest.Suffix)
			switch {
			case name == "dn":
				dn = value
			case name == "aci" && dn == slapdtest.Suffix:
				acis = append(acis, value)
			case name == "aci":
				config = append(config, value)
			case strings.HasSuffix(name, "Limit"):
				reader = append(reader, name, value)
			}
		}
	}
	if len(acis) != 1 || len(config) != 1 || len(reader) != 6 {
		t.Fatalf("the page has the rules %q and %q and the limits %q", acis, config, reader)
	}
	return acis, config, reader
}

// start389 starts a server with the documented rights.
func start389(t *testing.T, o options389) *server389 {
	t.Helper()
	acis, config, reader := rights389(t)
	o.ACIs, o.Reader = append(o.ACIs, acis...), append(o.Reader, reader...)
	s := run389(t, o)
	s.Set(t, "cn=mapping tree,cn=config", "aci", config...)
	return s
}

// config389 is what the page tells an administrator to write.
func config389(s *server389) ldap.Config {
	c := ldap.PresetConfig(ldap.Preset389)
	c.Slug, c.ServerURI, c.BaseDN = "corp", s.URL, slapdtest.Suffix
	c.BindCN, c.BindPasswordFile = slapdtest.Reader, secret.File(s.ReaderPasswordFile)
	c.RequestTimeout = 30 * time.Second
	return c
}

func Test389Conforms(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Fixture{
		Open: func(t *testing.T, entries []directory.Entry) source.Source {
			c := config389(start389(t, options389{LDIF: records389(entries)}))
			c.PageSize = 30
			return open(t, c)
		},
		Broken: func(t *testing.T, entries []directory.Entry) source.Source {
			server := start389(t, options389{LDIF: records389(entries)})
			w := newWire(t, server.URL)
			c := config389(server)
			c.ServerURI = w.URI
			s := open(t, c)
			read(t, s, entries[len(entries)-1].Ref())
			w.limit.Store(w.answered.Load() - 1)
			return s
		},
	})
}

// records389 writes entries as 389 Directory Server has them.
func records389(entries []directory.Entry) string {
	text := strings.ReplaceAll(records(entries), "entryUUID: ", "nsUniqueId: ")
	return strings.ReplaceAll(text, "objectClass: vendorObject\n", "")
}

// lockedByRole are the role and the class of service by which older consoles disable accounts.
var lockedByRole = slapdtest.Entry("cn=nsManagedDisabledRole,"+slapdtest.Suffix, "objectClass", "ldapSubentry",
	"objectClass", "nsManagedRoleDefinition", "objectClass", "nsSimpleRoleDefinition", "objectClass", "nsRoleDefinition",
	"cn", "nsManagedDisabledRole") +
	slapdtest.Entry("cn=locking,"+slapdtest.Suffix, "objectClass", "nsContainer", "cn", "locking") +
	slapdtest.Entry(`cn="cn=nsManagedDisabledRole,`+slapdtest.Suffix+`",cn=locking,`+slapdtest.Suffix,
		"objectClass", "extensibleObject", "objectClass", "costemplate", "objectClass", "ldapSubentry",
		"cosPriority", "1", "nsAccountLock", "true") +
	slapdtest.Entry("cn=locks,"+slapdtest.Suffix, "objectClass", "ldapSubentry", "objectClass", "cosSuperDefinition",
		"objectClass", "cosClassicDefinition", "cn", "locks", "cosTemplateDn", "cn=locking,"+slapdtest.Suffix,
		"cosSpecifier", "nsRole", "cosAttribute", "nsAccountLock operational")

func person389(uid string, more ...string) string {
	return slapdtest.Entry("uid="+uid+","+slapdtest.People, append([]string{"objectClass", "inetOrgPerson",
		"uid", uid, "cn", uid, "sn", uid, "mail", uid + "@example.org"}, more...)...)
}

// TestPresetOf389: with the documented rights people, locks and members of every kind are read, and the source checks
// without a warning.
func TestPresetOf389(t *testing.T) {
	t.Parallel()
	server := start389(t, options389{Plugins: []string{"MemberOf Plugin"}, LDIF: lockedByRole +
		person389("ada") + person389("locked", "nsAccountLock", "true") +
		person389("byrole", "nsRoleDN", "cn=nsManagedDisabledRole,"+slapdtest.Suffix) +
		slapdtest.Entry("cn=modern,"+slapdtest.People, "objectClass", "nsPerson", "objectClass", "nsAccount",
			"cn", "modern", "displayName", "Modern", "mail", "modern@example.org") +
		slapdtest.Entry("cn=staff,"+slapdtest.Groups, "objectClass", "groupOfNames", "cn", "staff",
			"member", "UID=Ada, "+slapdtest.People, "member", "uid=byrole,"+slapdtest.People) +
		slapdtest.Entry("cn=unique,"+slapdtest.Groups, "objectClass", "groupOfUniqueNames", "cn", "unique",
			"uniqueMember", "uid=locked,"+slapdtest.People+"#'0101'B", "uniqueMember", "cn=staff,"+slapdtest.Groups)})
	c := config389(server)
	if name, bases, err := ldap.Detect(t.Context(), c); name != ldap.Preset389 || len(bases) != 1 || err != nil {
		t.Errorf("Detect() = %q, %q, %v, want the preset and the suffix", name, bases, err)
	}
	report := check(t, c)[0]
	if len(report.Warnings) > 0 || report.Users.Count != 4 || report.Users.Disabled != 2 || report.Groups.Count != 2 {
		t.Errorf("Check() = %+v, want no warning, four users and two groups", report)
	}
	s := open(t, c)
	first := read(t, s)
	if len(first.Findings)+len(first.Doubts) > 0 {
		t.Errorf("findings %v, doubts %q", first.Findings, first.Doubts)
	}
	entries := byName(first)
	for name, active := range map[string]bool{"ada": true, "locked": false, "byrole": false, "modern": true} {
		if e := entries[name]; e.Active != active {
			t.Errorf("%s is active: %t, want %t", name, e.Active, active)
		}
	}
	ada, staff := entries["ada"], entries["staff"]
	if got := entries["unique"].Members; !slices.Contains(got, staff.Ref()) || len(got) != 2 {
		t.Errorf("members of the group of unique names = %v", got)
	}

	server.Rename(t, ada.DN, "uid=ada+cn=ada", "ou=services,"+slapdtest.Suffix)
	server.Set(t, "uid=locked,"+slapdtest.People, "nsAccountLock")
	server.Delete(t, "cn=modern,"+slapdtest.People)
	server.Add(t, "cn=modern,"+slapdtest.People, "objectClass", "nsPerson", "cn", "modern", "displayName", "Modern")
	later := byName(read(t, s))
	if later["ada"].ID != ada.ID || later["ada"].DN == ada.DN || !later["locked"].Active {
		t.Errorf("after the move %+v, unlocked %t", later["ada"], later["locked"].Active)
	}
	if later["modern"].ID == entries["modern"].ID {
		t.Error("an entry that was made anew has the id of the one before")
	}
	modern := entries["modern"]
	again := read(t, s, ada.Ref(), modern.Ref())
	if len(again.Entries) != 1 || len(again.Absent) != 1 {
		t.Errorf("by id: %d entries, %v absent; want the moved one, and the deleted one absent", len(again.Entries),
			again.Absent)
	}
}

// TestRightsOn389: what the account may not see fails the read or is named, and so is an account that is locked.
func TestRightsOn389(t *testing.T) {
	t.Parallel()
	const ada, locked = "11111111-11111111-11111111-11111111", "22222222-22222222-22222222-22222222"
	acis, _, limits := rights389(t)
	server := run389(t, options389{LDIF: person389("ada", "nsUniqueId", ada) + person389("bob") +
		person389("carl") + person389("locked", "nsUniqueId", locked, "nsAccountLock", "true") +
		slapdtest.Entry("cn=staff,"+slapdtest.Groups, "objectClass", "groupOfNames", "cn", "staff",
			"member", "uid=ada,"+slapdtest.People)})
	c := config389(server)
	s := open(t, c)
	hide := func(attr string) {
		server.Set(t, slapdtest.Suffix, "aci", strings.Replace(acis[0], `targetattr!="`, `targetattr!="`+attr+" || ", 1))
	}

	hide("nsUniqueId")
	if _, err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "no usable nsUniqueId") {
		t.Errorf("Check() without nsUniqueId = %v", err)
	}
	if err := refuse(t, s, fault.Invalid); !strings.Contains(err.Error(), "the bind account may not see it") {
		t.Errorf("Read() without nsUniqueId = %v", err)
	}
	hide("nsAccountLock")
	const hidden = "may not see whether uid=ada," + slapdtest.People + " has nsAccountLock"
	if w := check(t, c)[0].Warnings; len(w) != 1 || !strings.Contains(w[0], hidden) {
		t.Errorf("warnings without nsAccountLock = %q", w)
	}
	unseen, err := s.Unseen(t.Context(), []directory.Ref{{Kind: directory.User, ID: locked}})
	if err != nil || len(unseen) != 1 {
		t.Errorf("Unseen() = %v, %v; want the disabled user", unseen, err)
	}

	server.Set(t, slapdtest.Suffix, "aci", acis...)
	unseen, err = s.Unseen(t.Context(), []directory.Ref{{Kind: directory.User, ID: ada}})
	if len(unseen) > 0 || err != nil {
		t.Errorf("Unseen() with the documented rights = %v, %v", unseen, err)
	}
	for attr, limit := range map[string]string{"nsSizeLimit": "2", "nsLookThroughLimit": "3", "nsPagedSizeLimit": "3"} {
		server.Set(t, slapdtest.Reader, attr, limit)
		if err := refuse(t, s, fault.Invalid); !strings.Contains(err.Error(), "limit") {
			t.Errorf("Read() with %s %s = %v", attr, limit, err)
		}
		server.Set(t, slapdtest.Reader, attr)
	}
	for i := 0; i+1 < len(limits); i += 2 {
		server.Set(t, slapdtest.Reader, limits[i], limits[i+1])
	}
	c.PageSize = 2
	if got := len(read(t, open(t, c)).Entries); got != 5 {
		t.Errorf("with the documented limits %d entries are read, want five", got)
	}

	server.Set(t, slapdtest.Reader, "nsAccountLock", "true")
	if err := refuse(t, s, fault.Denied); !strings.Contains(err.Error(), "dsidm account unlock") {
		t.Errorf("Read() by a locked account = %v", err)
	}
}

// TestPositionOn389: two suppliers with replication between them are compared by their replica update vectors.
func TestPositionOn389(t *testing.T) {
	t.Parallel()
	one := start389(t, options389{LDIF: person389("ada") + person389("bob")})
	two := start389(t, options389{})
	at := func(s *server389) directory.Position { return read(t, open(t, config389(s))).Position }
	if alone := at(one); !alone.IsZero() {
		t.Errorf("position without replication = %v", alone)
	}
	one.Supply(t, 1)
	two.Supply(t, 2)
	one.Replicate(t, two, true)
	two.Await(t, "uid=bob,"+slapdtest.People, "(sn=bob)")
	two.Replicate(t, one, false)
	set := func(s *server389, title string) {
		s.Set(t, "uid=ada,"+slapdtest.People, "title", title)
	}
	arrived := func(s *server389, title string) { s.Await(t, "uid=ada,"+slapdtest.People, "(title="+title+")") }
	set(two, "Chief")
	arrived(one, "Chief")
	set(one, "Boss")
	arrived(two, "Boss")
	// A server shows a replicated entry a moment before it counts the change.
	testclock.Eventually(t, 2*time.Minute, "both servers have the same position", func() bool {
		a, b := at(one), at(two)
		return a.Compare(b) == directory.Same && !a.Changed.IsZero()
	})

	restore := two.Save(t)
	resume := one.Pause(t)
	set(one, "Lagging")
	newer, older := at(one), at(two)
	if older.Compare(newer) != directory.Older || newer.Compare(older) != directory.Newer {
		t.Errorf("positions = %v and %v, want the second one older", newer, older)
	}
	resumeTwo := two.Pause(t)
	two.Set(t, "uid=bob,"+slapdtest.People, "title", "Elsewhere")
	if a, b := at(one), at(two); a.Compare(b) != directory.Diverged {
		t.Errorf("positions = %v and %v, want each to have what the other lacks", a, b)
	}
	// Both servers have the same new person. One becomes an object in conflict, which searches do not show.
	twin := "uid=twin," + slapdtest.People
	for _, s := range []*server389{one, two} {
		s.Add(t, twin, "objectClass", "inetOrgPerson", "uid", "twin", "cn", "twin", "sn", "twin")
	}
	resume()
	resumeTwo()
	ids := map[directory.ID]bool{}
	for _, s := range []*server389{one, two} {
		s.Await(t, slapdtest.People, "(&(uid=twin)(objectClass=ldapSubEntry))")
		snap := read(t, open(t, config389(s)))
		ids[byName(snap)["twin"].ID] = true
		if len(snap.Entries) != 3 || len(snap.Findings) > 0 {
			t.Errorf("with an object in conflict: %v, findings %v; want three people", snap.Entries, snap.Findings)
		}
	}
	if len(ids) != 1 {
		t.Errorf("the servers show %d people in place of the conflict, want the same one", len(ids))
	}

	latest := at(two)
	one.Pause(t)
	restore()
	if restored := at(two); restored.Compare(latest) != directory.Older {
		t.Errorf("position of a restored server = %v, want it older than %v", restored, latest)
	}
}
