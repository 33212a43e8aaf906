package ldap_test

import (
	"slices"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/slapdtest"
	"rollcall/source"
	"rollcall/source/ldap"
)

const contractors = "ou=contractors," + slapdtest.Suffix

// strays are people who are not read, each for a reason of his own, and one who is.
var strays = "dn: " + contractors + "\nobjectClass: organizationalUnit\n\n" +
	stray("ada", slapdtest.People, "employeeNumber", "1", "employeeType", "staff", "title", "Engineer") +
	stray("bea", contractors, "employeeNumber", "2", "employeeType", "staff", "title", "Engineer") +
	stray("cid", slapdtest.People, "employeeNumber", "3", "employeeType", "guest", "title", "Engineer") +
	stray("dot", slapdtest.People, "employeeNumber", "4", "employeeType", "guest") +
	stray("eve", slapdtest.People, "employeeType", "staff", "title", "Engineer") +
	stray("f*)(l", slapdtest.People, "employeeNumber", "6", "employeeType", "staff", "title", "Engineer")

func stray(uid, base string, pairs ...string) string {
	all := append([]string{"objectClass", "inetOrgPerson", "uid", uid, "cn", uid, "sn", "Stray", "mail",
		uid + "@example.org"}, pairs...)
	return slapdtest.Entry("uid="+strings.ReplaceAll(uid, "*", `\2a`)+","+base, all...)
}

func strayConfig(c ldap.Config) ldap.Config {
	c.AdditionalUserDN, c.ObjectUniquenessField = "ou=people", "employeeNumber"
	c.UserObjectFilter = "(&(objectClass=inetOrgPerson)(employeeType=staff)(|(title=Engineer)(title=Manager)))"
	return c
}

func locate(t *testing.T, s *ldap.Source, w source.Wanted) source.Location {
	t.Helper()
	l, err := s.Locate(t.Context(), w)
	if err != nil {
		t.Fatalf("Locate(%+v) = %v", w, err)
	}
	return l
}

// locateEverywhere runs a test on a server and on a file with the same entries.
func locateEverywhere(t *testing.T, run func(t *testing.T, c ldap.Config)) {
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		run(t, strayConfig(config(slapdtest.Start(t, slapdtest.Options{LDIF: strays}))))
	})
	t.Run("file", func(t *testing.T) {
		t.Parallel()
		run(t, strayConfig(fileConfig(t, strays)))
	})
}

func TestLocate(t *testing.T) {
	t.Parallel()
	locateEverywhere(t, func(t *testing.T, c ldap.Config) {
		s := open(t, c)
		for _, tc := range []struct {
			w              source.Wanted
			id             directory.ID
			broken, detail string
		}{
			{source.Wanted{Mail: "ADA@example.org"}, "1", "", ""},
			{source.Wanted{ID: "1"}, "1", "", ""},
			{source.Wanted{DN: "uid=ada," + slapdtest.People}, "1", "", ""},
			{source.Wanted{UserName: "bea"}, "2", "additional_user_dn", "uid=bea," + contractors + ", which is not below " +
				"ou=people,dc=example,dc=org"},
			{source.Wanted{ID: "3", Kind: directory.User}, "3", "user_object_filter", "it does not match (employeeType=staff)"},
			{source.Wanted{Mail: "dot@example.org"}, "4", "user_object_filter",
				"it does not match (employeeType=staff) nor (|(title=Engineer)(title=Manager))"},
			{source.Wanted{Mail: "eve@example.org"}, "", "object_uniqueness_field", "it has no employeeNumber"},
			{source.Wanted{UserName: "f*)(l"}, "6", "", ""},
		} {
			w := tc.w
			if w.Kind = directory.User; tc.w.ID != "" {
				w.Kind = tc.w.Kind
			}
			l := locate(t, s, w)
			if len(l.Sightings) != 1 {
				t.Errorf("Locate(%+v) = %+v, want one sighting", tc.w, l)
				continue
			}
			got, broken, detail := l.Sightings[0], "", ""
			if r := got.Broken(); r != nil {
				broken, detail = r.Key, r.Detail
			}
			if got.ID != tc.id || got.Kind != directory.User || broken != tc.broken || !strings.Contains(detail, tc.detail) {
				t.Errorf("Locate(%+v): %s %q, rule %q, %q; want %q, rule %q, %q", tc.w, got.Kind, got.ID, broken, detail, tc.id,
					tc.broken, tc.detail)
			}
			if (got.Entry == nil) != (tc.id == "") {
				t.Errorf("Locate(%+v): entry %v", tc.w, got.Entry)
			}
		}
	})
}

// A text that only resembles a pattern finds no entry, and the answer names what was searched.
func TestLocateNobody(t *testing.T) {
	t.Parallel()
	locateEverywhere(t, func(t *testing.T, c ldap.Config) {
		s := open(t, c)
		for _, w := range []source.Wanted{{Mail: "*"}, {UserName: "a*"}, {UserName: "ada)(uid=bea"},
			{DN: "uid=nobody," + slapdtest.People}, {ID: "99"}} {
			if l := locate(t, s, w); len(l.Sightings) != 0 || len(l.Searched) == 0 || l.Server == "" {
				t.Errorf("Locate(%+v) = %+v, want nobody and where it was looked", w, l)
			}
		}
	})
}

// The bases of the configuration are not all that there is: a server says what it holds.
func TestLocateOutsideTheBase(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: strays})
	c := strayConfig(config(server))
	c.BaseDN, c.AdditionalUserDN, c.AdditionalGroupDN = slapdtest.People, "", ""
	l := locate(t, open(t, c), source.Wanted{ID: "2"})
	if len(l.Sightings) != 1 || l.Sightings[0].Broken().Key != "base_dn" ||
		!slices.Contains(l.Searched, slapdtest.Suffix) {
		t.Errorf("Locate() = %+v, want the contractor, outside base_dn", l)
	}
	server.Stop()
	if _, err := open(t, c).Locate(t.Context(), source.Wanted{ID: "2"}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Locate() of a server that is gone = %v, want unavailable", err)
	}
}

// However many match, a handful is shown; an id that the directory cannot have is searched nowhere.
func TestLocateIsBounded(t *testing.T) {
	t.Parallel()
	var many strings.Builder
	for i := range 40 {
		many.WriteString(slapdtest.Entry(slapdtest.UserDN(i), "objectClass", "inetOrgPerson", "uid", "same", "cn", "x",
			"sn", "x", "entryUUID", slapdtest.UUID(i)))
	}
	for _, c := range []ldap.Config{config(slapdtest.Start(t, slapdtest.Options{LDIF: many.String()})),
		fileConfig(t, many.String())} {
		if l := locate(t, open(t, c), source.Wanted{UserName: "same"}); len(l.Sightings) != 10 {
			t.Errorf("Locate() gives %d entries of %s, want 10", len(l.Sightings), l.Server)
		}
		c.ObjectUniquenessField = "objectGUID"
		if l := locate(t, open(t, c), source.Wanted{ID: "not-a-guid"}); len(l.Sightings)+len(l.Searched) != 0 {
			t.Errorf("Locate() = %+v, want nothing searched", l)
		}
		c.SyncUsers = false
		if l := locate(t, open(t, c), source.Wanted{DN: slapdtest.UserDN(0),
			Kind: directory.User}); len(l.Sightings) != 1 || l.Sightings[0].Broken().Key != "sync_users" {
			t.Errorf("Locate() = %+v, want one who is left out by sync_users", l)
		}
	}
}

// A server that stops before it has searched, or sends us elsewhere, has not said that there is no entry.
func TestLocateIncomplete(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		code       uint16
		w          source.Wanted
		incomplete bool
	}{
		{0, source.Wanted{ID: "1"}, false},
		{goldap.LDAPResultNoSuchObject, source.Wanted{ID: "1"}, false},
		{goldap.LDAPResultTimeLimitExceeded, source.Wanted{Mail: "ada@example.org"}, true},
		{goldap.LDAPResultAdminLimitExceeded, source.Wanted{UserName: "ada"}, true},
		{goldap.LDAPResultSizeLimitExceeded, source.Wanted{ID: "1"}, true},
		{goldap.LDAPResultReferral, source.Wanted{DN: "uid=ada,dc=elsewhere"}, true},
	} {
		f := fake{announces: []string{goldap.ControlTypePaging},
			answer: func(query) []message { return []message{done(tc.code, "")} }}
		l := locate(t, open(t, f.start(t)), tc.w)
		if l.Incomplete != tc.incomplete || (len(l.Unsearched) > 0) != tc.incomplete || len(l.Sightings) != 0 {
			t.Errorf("code %d, %+v: %+v, want incomplete: %t", tc.code, tc.w, l, tc.incomplete)
		}
	}
	f := fake{announces: []string{goldap.ControlTypePaging}, answer: func(query) []message {
		return []message{person("ada"), done(goldap.LDAPResultSizeLimitExceeded, "")}
	}}
	if l := locate(t, open(t, f.start(t)), source.Wanted{UserName: "ada"}); l.Incomplete || len(l.Sightings) == 0 {
		t.Errorf("more than a handful: %+v", l)
	}
}
