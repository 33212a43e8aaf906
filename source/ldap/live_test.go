package ldap_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/internal/slapdtest"
	"rollcall/source/ldap"
)

// config is a configuration for s that binds as the reader.
func config(s *slapdtest.Server) ldap.Config {
	c := ldap.DefaultConfig()
	c.Slug, c.ServerURI, c.BaseDN = "corp", s.URL, slapdtest.Suffix
	c.BindCN, c.BindPasswordFile = slapdtest.Reader, secret.File(s.ReaderPasswordFile)
	c.AdditionalUserDN, c.AdditionalGroupDN = "ou=people", "ou=groups"
	c.RequestTimeout = 10 * time.Second
	return c
}

func open(t testing.TB, c ldap.Config, attributes ...string) *ldap.Source {
	t.Helper()
	s, err := ldap.New(c, attributes, ldap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func read(t testing.TB, s *ldap.Source, refs ...directory.Ref) directory.Snapshot {
	t.Helper()
	snap, err := s.Read(t.Context(), directory.Query{Refs: refs})
	if err != nil {
		t.Fatal(err)
	}
	return snap
}

// refuse reads and wants an error of kind k and nothing else.
func refuse(t testing.TB, s *ldap.Source, k fault.Kind) error {
	t.Helper()
	snap, err := s.Read(t.Context(), directory.Query{})
	if err == nil || fault.KindOf(err) != k {
		t.Errorf("Read() error = %v, want one of kind %v", err, k)
	}
	if diff := cmp.Diff(directory.Snapshot{}, snap); diff != "" {
		t.Errorf("Read() gave a part of the answer with its error (-want +got):\n%s", diff)
	}
	return err
}

func user(n int) directory.Ref {
	return directory.Ref{Kind: directory.User, ID: directory.ID(slapdtest.UUID(n))}
}

func group(n int) directory.Ref {
	return directory.Ref{Kind: directory.Group, ID: directory.ID(slapdtest.UUID(slapdtest.GroupUUIDs + n))}
}

func TestReadAll(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(2500, 3, 7)})
	c := config(server)
	c.PageSize = 100
	snap := read(t, open(t, c, "title", "MAIL"))
	if got, want := [2]int{snap.Count(directory.User), snap.Count(directory.Group)}, [2]int{2500, 3}; got != want {
		t.Fatalf("users and groups = %v, want %v", got, want)
	}
	want := directory.Entry{
		Kind: directory.User, ID: user(1).ID, Source: "corp", DN: slapdtest.UserDN(1), Active: true,
		Attributes: directory.Attributes{
			{Name: "cn", Values: []string{"First1 Last1"}},
			{Name: "displayName", Values: []string{"First1 Last1"}},
			{Name: "employeeNumber", Values: []string{"1"}},
			{Name: "familyName", Values: []string{"Last1"}},
			{Name: "givenName", Values: []string{"First1"}},
			{Name: "mail", Values: []string{"u000001@example.org"}},
			{Name: "title", Values: []string{"Engineer 1"}},
			{Name: "userName", Values: []string{"u000001"}},
		},
	}
	if diff := cmp.Diff(want, snap.Entries[1]); diff != "" {
		t.Errorf("second user (-want +got):\n%s", diff)
	}
	want = directory.Entry{
		Kind: directory.Group, ID: group(0).ID, Source: "corp", DN: slapdtest.GroupDN(0), Active: true,
		Attributes: directory.Attributes{
			{Name: "cn", Values: []string{"g00000"}},
			{Name: "description", Values: []string{"Group 0"}},
			{Name: "displayName", Values: []string{"g00000"}},
		},
		Members: []directory.Ref{user(0), user(874), user(1145), user(1416), user(1687), user(1958), user(2229)},
	}
	if diff := cmp.Diff(want, snap.Entries[2500]); diff != "" {
		t.Errorf("first group (-want +got):\n%s", diff)
	}
}

func TestReadByRef(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(200, 3, 70)})
	s := open(t, config(server))
	all := read(t, s)
	gone := directory.Ref{Kind: directory.User, ID: "no-uuid"}
	snap := read(t, s, group(1), user(7), gone, user(8), user(7))
	want := []directory.Entry{all.Entries[7], all.Entries[8], all.Entries[201]}
	if diff := cmp.Diff(want, snap.Entries); diff != "" {
		t.Errorf("entries (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]directory.Ref{gone}, snap.Absent); diff != "" {
		t.Errorf("absent (-want +got):\n%s", diff)
	}
}
