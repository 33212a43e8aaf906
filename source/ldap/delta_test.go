package ldap_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/internal/slapdtest"
	"rollcall/source"
	"rollcall/source/ldap"
)

// follow returns what changed since a cursor.
func follow(t testing.TB, s *ldap.Source, since source.Cursor) source.Changes {
	t.Helper()
	c, err := s.Changes(t.Context(), since)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// start returns a first cursor.
func start(t testing.TB, s *ldap.Source) source.Cursor {
	t.Helper()
	c := follow(t, s, source.Cursor{})
	if c.Whole == "" || c.Next.IsZero() || len(c.Refs)+len(c.Gone) > 0 {
		t.Fatalf("first Changes() = %+v, want a cursor and the reason to read everything", c)
	}
	return c.Next
}

func TestChangesOfOpenLDAP(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(20, 2, 5), SyncProv: true, SessionLog: 100})
	c := config(server)
	c.UserObjectFilter = "(&(objectClass=inetOrgPerson)(!(employeeType=robot)))"
	s := open(t, c)
	at := start(t, s)
	steps := []struct {
		name string
		do   func()
		refs []directory.Ref
		gone string // the proof for user 3, 4 or 5
		ref  directory.Ref
	}{
		{name: "nothing", do: func() {}},
		{name: "a value", do: func() { server.Set(t, slapdtest.UserDN(1), "title", "Chief") },
			refs: []directory.Ref{user(1)}},
		{name: "members", do: func() { server.Set(t, slapdtest.GroupDN(0), "member", slapdtest.UserDN(1)) },
			refs: []directory.Ref{group(0)}},
		{name: "a rename", do: func() { server.Rename(t, slapdtest.UserDN(2), "uid=two", "") },
			refs: []directory.Ref{user(2)}},
		{name: "a deletion", do: func() { server.Delete(t, slapdtest.UserDN(3)) }, ref: user(3), gone: "was deleted"},
		{name: "out of the filter", do: func() { server.Set(t, slapdtest.UserDN(4), "employeeType", "robot") }, ref: user(4),
			gone: "is at uid=u000004"},
		{name: "out of the base", do: func() {
			server.Rename(t, slapdtest.UserDN(5), "uid=u000005", "ou=services,"+slapdtest.Suffix)
		}, ref: user(5), gone: "is at uid=u000005,ou=services"},
		{name: "back", do: func() { server.Set(t, slapdtest.UserDN(4), "employeeType") }, refs: []directory.Ref{user(4)}},
	}
	for _, step := range steps {
		step.do()
		got := follow(t, s, at)
		if got.Whole != "" || !slices.Equal(got.Refs, step.refs) || got.Next.IsZero() {
			t.Errorf("%s: Changes() = %+v, want refs %v", step.name, got, step.refs)
		}
		proved := slices.ContainsFunc(got.Gone, func(g source.Gone) bool {
			return g.Ref == step.ref && strings.HasPrefix(g.Proof, step.gone)
		})
		if proved != (step.gone != "") || step.gone == "" && len(got.Gone) > 0 {
			t.Errorf("%s: gone = %+v, want %v (%s)", step.name, got.Gone, step.ref, step.gone)
		}
		at = got.Next
	}
}

func TestContainerThatIsRenamed(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(3, 0, 0) +
		slapdtest.Entry("ou=old,"+slapdtest.People, "objectClass", "organizationalUnit", "ou", "old") +
		slapdtest.Entry("uid=x,ou=old,"+slapdtest.People, "objectClass", "inetOrgPerson", "uid", "x", "cn", "x", "sn", "x",
			"entryUUID", slapdtest.UUID(77)), SyncProv: true, SessionLog: 100})
	s := open(t, config(server))
	at := start(t, s)
	server.Rename(t, "ou=old,"+slapdtest.People, "ou=new", "")
	got := follow(t, s, at)
	if got.Whole != "" || !slices.Equal(got.Refs, []directory.Ref{user(77)}) {
		t.Errorf("after the rename of a container: %+v, want the entry below it", got)
	}
	server.Rename(t, "ou=new,"+slapdtest.People, "ou=new", "ou=services,"+slapdtest.Suffix)
	if got = follow(t, s, got.Next); !strings.Contains(got.Whole, "may have left the base") {
		t.Errorf("after the container left the base: %+v, want a full read", got)
	}
}

func TestDoubtsOfOpenLDAP(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(20, 2, 5), SyncProv: true, SessionLog: 100})
	s := open(t, config(server))
	first := start(t, s)
	server.Set(t, slapdtest.UserDN(1), "title", "Chief")
	now := follow(t, s, first).Next
	other := config(server)
	other.UserObjectFilter = "(uid=*)"
	newer := now
	newer.Position.Seen = map[string]string{"sid 000": "20991231000000.000000Z#000000#000#000000"}
	unread := now
	unread.Cookie = nil
	for _, tc := range []struct {
		name, want string
		s          *ldap.Source
		since      source.Cursor
	}{
		{"another filter", "filters", open(t, other), now},
		{"a restored snapshot", "older", s, newer},
		{"a lost cookie", "no cookie", s, unread},
	} {
		got := follow(t, tc.s, tc.since)
		if !strings.Contains(got.Whole, tc.want) || got.Next.IsZero() || len(got.Refs)+len(got.Gone) > 0 {
			t.Errorf("%s: Changes() = %+v, want a full read because of %q", tc.name, got, tc.want)
		}
	}
	server.Delete(t, slapdtest.UserDN(2))
	server.Restart(t)
	if got := follow(t, s, now); !strings.Contains(got.Whole, "session log") || got.Next.IsZero() {
		t.Errorf("after a restart: %+v, want a full read", got)
	}
}

// A full read takes one entry that the account may no longer read for gone, and so do changes. If every entry
// vanished, neither of them concludes anything.
func TestHiddenEntries(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(5, 1, 2), SyncProv: true, SessionLog: 100})
	s := open(t, config(server))
	at := start(t, s)
	server.Access(t, "to dn.exact="+slapdtest.UserDN(1)+" by * none", "to * by * read")
	server.Set(t, slapdtest.UserDN(1), "title", "Chief")
	got := follow(t, s, at)
	if len(read(t, s, user(1)).Absent) != 1 || len(got.Gone) == 0 || got.Gone[0].Ref != user(1) {
		t.Errorf("Changes() = %+v, want the hidden entry gone, as it is absent from a read", got)
	}
	server.Access(t, "to dn.children="+slapdtest.People+" by * none", "to * by * read")
	for n := range 5 {
		server.Set(t, slapdtest.UserDN(n), "title", "Clerk")
	}
	if got = follow(t, s, at); len(got.Gone) > 0 || !strings.Contains(got.Whole, "sees no entry") {
		t.Errorf("Changes() = %+v, want a full read because nothing can be seen", got)
	}
}

func TestServersWithoutChanges(t *testing.T) {
	t.Parallel()
	plain := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)})
	off := config(plain)
	off.Delta = ldap.DeltaOff
	backlink := config(plain)
	backlink.UserObjectFilter = "(memberOf=cn=all)"
	file := fileConfig(t, ada)
	for want, c := range map[string]ldap.Config{"position": config(plain), "delta is off": off, "memberOf": backlink,
		"file": file} {
		if got := follow(t, open(t, c), source.Cursor{}); !strings.Contains(got.Whole, want) || !got.Next.IsZero() {
			t.Errorf("Changes() = %+v, want no cursor because of %q", got, want)
		}
	}
}

// TestHoldersByReference: a rename of a manager changes the entries of the reports, which no server tells.
func TestHoldersByReference(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{SyncProv: true, LDIF: slapdtest.Generate(1, 0, 0) +
		someone("boss") + someone("ann", "manager", "uid=boss,"+peopleDN) +
		someone("ben", "manager", "uid=ann,"+peopleDN)})
	s := open(t, config(server), "manager")
	snap := read(t, s)
	find := func(name string) directory.Entry {
		at := slices.IndexFunc(snap.Entries, func(e directory.Entry) bool {
			return e.Attributes.Get(directory.UserName) == name
		})
		return snap.Entries[at]
	}
	ann := find("ann")
	got, err := s.Holders(t.Context(), []directory.Entry{find("boss")})
	if diff := cmp.Diff([]directory.Ref{ann.Ref()}, got); err != nil || diff != "" {
		t.Errorf("Holders(boss) = %v (-want +got):\n%s", err, diff)
	}
}

func TestHolders(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(20, 2, 5), SyncProv: true})
	s := open(t, config(server))
	snap := read(t, s)
	i := slices.IndexFunc(snap.Entries, func(e directory.Entry) bool { return e.Ref() == group(1) })
	member := snap.Entries[i].Members[0]
	j := slices.IndexFunc(snap.Entries, func(e directory.Entry) bool { return e.Ref() == member })
	got, err := s.Holders(t.Context(), snap.Entries[j:j+1])
	if err != nil || !slices.Contains(got, group(1)) {
		t.Errorf("Holders(%v) = %v, %v, want %v", member, got, err, group(1))
	}
}
