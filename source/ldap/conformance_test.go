package ldap_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/internal/slapdtest"
	"rollcall/source"
	"rollcall/source/ldap"
	"rollcall/source/sourcetest"
)

func TestServerConforms(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Fixture{
		Open: func(t *testing.T, entries []directory.Entry) source.Source {
			c := config(slapdtest.Start(t, slapdtest.Options{LDIF: records(entries)}))
			c.PageSize = 30
			return open(t, c)
		},
		Broken: func(t *testing.T, entries []directory.Entry) source.Source {
			server := slapdtest.Start(t, slapdtest.Options{LDIF: records(entries)})
			w := newWire(t, server.URL)
			c := config(server)
			c.ServerURI = w.URI
			s := open(t, c)
			read(t, s, entries[len(entries)-1].Ref())
			w.limit.Store(w.answered.Load() - 1)
			return s
		},
	})
}

func TestFileConforms(t *testing.T) {
	t.Parallel()
	tree := "dn: " + slapdtest.People + "\nobjectClass: organizationalUnit\n\n"
	sourcetest.Run(t, sourcetest.Fixture{
		Open: func(t *testing.T, entries []directory.Entry) source.Source {
			return open(t, fileConfig(t, tree+records(entries)))
		},
		Broken: func(t *testing.T, entries []directory.Entry) source.Source {
			return open(t, fileConfig(t, records(entries)[:4000]))
		},
	})
}

func TestFileThatVanishes(t *testing.T) {
	t.Parallel()
	c := fileConfig(t, ada)
	s := open(t, c)
	if err := os.Remove(strings.TrimPrefix(c.ServerURI, "file://")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(t.Context(), directory.Query{}); err == nil {
		t.Error("Read() of a file that is gone gives no error")
	}
}

// records writes entries as an LDAP directory has them.
func records(entries []directory.Entry) string {
	names := map[directory.Ref]string{}
	for i := range entries {
		names[entries[i].Ref()] = dn(&entries[i])
	}
	var b strings.Builder
	for i := range entries {
		e := &entries[i]
		pairs := []string{"entryUUID", string(e.ID), "objectClass", "vendorObject"}
		if e.Kind == directory.User {
			pairs = append(pairs, "objectClass", "inetOrgPerson")
		} else {
			pairs = append(pairs, "objectClass", "groupOfNames")
		}
		if !e.Active {
			pairs = append(pairs, "nsAccountLock", "true")
		}
		b.WriteString(slapdtest.Entry(dn(e), append(pairs, attributes(e, names)...)...))
	}
	return b.String()
}

func attributes(e *directory.Entry, names map[directory.Ref]string) (pairs []string) {
	spelling := map[string]string{directory.UserName: "uid", directory.FamilyName: "sn"}
	for _, a := range e.Attributes {
		name := a.Name
		if s := spelling[name]; s != "" {
			name = s
		}
		if e.Kind == directory.Group && name == directory.DisplayName {
			continue // it is cn again
		}
		for _, v := range slices.Backward(a.Values) { // the order of values means nothing
			pairs = append(pairs, name, v)
		}
	}
	for _, m := range e.Members {
		name := names[m]
		if name == "" {
			name = "uid=" + string(m.ID) + ",ou=elsewhere," + slapdtest.Suffix
		}
		// A directory may spell a DN in another way than the entry does.
		pairs = append(pairs, "member", strings.Replace(name, "ou=", "OU=", 1))
	}
	return pairs
}

func dn(e *directory.Entry) string {
	if e.Kind == directory.User {
		return "uid=" + goldap.EscapeDN(e.Attributes.Get(directory.UserName)) + "," + slapdtest.People
	}
	return "cn=" + goldap.EscapeDN(e.Attributes.Get(directory.CommonName)) + "," + slapdtest.Groups
}

var _ source.Source = (*ldap.Source)(nil)
