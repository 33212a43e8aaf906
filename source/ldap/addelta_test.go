//go:build samba

package ldap_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/internal/sambatest"
	"rollcall/internal/secret"
	"rollcall/source"
	"rollcall/source/ldap"
)

// domainConfig reads the people and teams below OU=staff.
func domainConfig(d *sambatest.Domain) ldap.Config {
	c := ldap.PresetConfig(ldap.PresetActiveDirectory)
	c.Slug, c.ServerURI, c.BaseDN = "corp", d.URL, "OU=staff,"+sambatest.Base
	c.BindCN, c.BindPasswordFile = sambatest.Administrator, secret.File(d.PasswordFile)
	return c
}

func addUser(t *testing.T, d *sambatest.Domain, name, parent string) {
	t.Helper()
	d.Add(t, "CN="+name+","+parent, "objectClass", "user", "sAMAccountName", name, "userAccountControl", "544")
}

func set(t *testing.T, d *sambatest.Domain, dn, name string, values ...string) {
	t.Helper()
	req := goldap.NewModifyRequest(dn, nil)
	req.Replace(name, values)
	if err := d.Conn(t).Modify(req); err != nil {
		t.Fatalf("change %s of %s: %v", name, dn, err)
	}
}

// staff is a domain with four people and a team, and returns their refs by login name.
func staff(t *testing.T) (*sambatest.Domain, map[string]directory.Ref) {
	t.Helper()
	d := sambatest.Start(t)
	ou := "OU=staff," + sambatest.Base
	for _, dn := range []string{ou, "OU=old," + ou, "OU=elsewhere," + sambatest.Base} {
		d.Add(t, dn, "objectClass", "organizationalUnit")
	}
	for _, name := range []string{"ada", "bob", "cyd", "eve"} {
		addUser(t, d, name, ou)
	}
	addUser(t, d, "dan", "OU=old,"+ou)
	d.Add(t, "CN=team,"+ou, "objectClass", "group", "sAMAccountName", "team", "member", "CN=ada,"+ou, "member",
		"CN=bob,"+ou)
	refs := map[string]directory.Ref{}
	for _, e := range read(t, open(t, domainConfig(d))).Entries {
		refs[e.Label()] = e.Ref()
	}
	return d, refs
}

func TestChangesOfActiveDirectory(t *testing.T) {
	t.Parallel()
	d, refs := staff(t)
	s := open(t, domainConfig(d))
	ou := "OU=staff," + sambatest.Base
	at := start(t, s)
	for _, step := range []struct {
		name string
		do   func()
		refs []string
		ref  string
		gone string
	}{
		{name: "nothing", do: func() {}},
		{name: "a disabled account", do: func() { set(t, d, "CN=ada,"+ou, "userAccountControl", "546") },
			refs: []string{"ada"}},
		{name: "an attribute that is not read", do: func() { set(t, d, "CN=ada,"+ou, "info", "x") }},
		{name: "members", do: func() { set(t, d, "CN=team,"+ou, "member", "CN=ada,"+ou) }, refs: []string{"team"}},
		{name: "a move out of the base", do: func() { d.Rename(t, "CN=bob,"+ou, "CN=bob", "OU=elsewhere,"+sambatest.Base) },
			ref:  "bob",
			gone: "is at CN=bob,OU=elsewhere"},
		{name: "a deletion", do: func() {
			if err := d.Conn(t).Del(goldap.NewDelRequest("CN=cyd,"+ou, nil)); err != nil {
				t.Fatal(err)
			}
		}, ref: "cyd", gone: "was deleted from " + ou},
		{name: "a renamed unit", do: func() { d.Rename(t, "OU=old,"+ou, "OU=new", ou) }, refs: []string{"dan"}},
	} {
		step.do()
		got := follow(t, s, at)
		want := make([]directory.Ref, 0, len(step.refs))
		for _, name := range step.refs {
			want = append(want, refs[name])
		}
		if got.Whole != "" || !slices.Equal(got.Refs, want) {
			t.Errorf("%s: Changes() = %+v, want refs %v", step.name, got, want)
		}
		proved := slices.ContainsFunc(got.Gone, func(g source.Gone) bool {
			return g.Ref == refs[step.ref] && strings.HasPrefix(strings.ToLower(g.Proof), strings.ToLower(step.gone))
		})
		known := func(g source.Gone) bool { return slices.Contains(slices.Collect(maps.Values(refs)), g.Ref) }
		if step.gone == "" && slices.ContainsFunc(got.Gone, known) || step.gone != "" && !proved {
			t.Errorf("%s: gone = %+v, want %s (%s)", step.name, got.Gone, step.ref, step.gone)
		}
		at = got.Next
	}
	d.Rename(t, "OU=new,"+ou, "OU=new", "OU=elsewhere,"+sambatest.Base)
	if got := follow(t, s, at); !strings.Contains(got.Whole, "may have left the base") {
		t.Errorf("after a unit left the base: %+v, want a full read", got)
	}
}

// An ordinary account gets no tombstones. Its changes are told, and a deletion is left to a full read.
func TestOrdinaryAccountProvesNoDeletion(t *testing.T) {
	t.Parallel()
	d, refs := staff(t)
	ou := "OU=staff," + sambatest.Base
	addUser(t, d, "reader", "OU=elsewhere,"+sambatest.Base)
	d.SetPassword(t, "reader")
	c := domainConfig(d)
	c.BindCN = "reader@" + sambatest.Realm
	s := open(t, c)
	first := follow(t, s, source.Cursor{})
	if !slices.ContainsFunc(first.Notes, func(n string) bool { return strings.Contains(n, "sees no deleted object") }) {
		t.Errorf("notes = %q, want the missing right", first.Notes)
	}
	if err := d.Conn(t).Del(goldap.NewDelRequest("CN=cyd,"+ou, nil)); err != nil {
		t.Fatal(err)
	}
	set(t, d, "CN=ada,"+ou, "userAccountControl", "546")
	got := follow(t, s, first.Next)
	if len(got.Gone) > 0 || got.Whole != "" || !slices.Equal(got.Refs, []directory.Ref{refs["ada"]}) {
		t.Errorf("Changes() = %+v, want the disabled account and nothing gone", got)
	}
}

func TestAccountThatExpires(t *testing.T) {
	t.Parallel()
	d, refs := staff(t)
	now := time.Now()
	s, err := ldap.New(domainConfig(d), nil, ldap.At(func() time.Time { return now }))
	if err != nil {
		t.Fatal(err)
	}
	expires := func(name string, in time.Duration) {
		ticks := (now.Add(in).Unix() + 11_644_473_600) * 10_000_000
		set(t, d, "CN="+name+",OU=staff,"+sambatest.Base, "accountExpires", fmt.Sprint(ticks))
	}
	expires("ada", time.Hour)
	at := start(t, s)
	expires("bob", 2*time.Hour)
	expires("cyd", 40*time.Hour)
	at = follow(t, s, at).Next
	for _, step := range []struct {
		after time.Duration
		want  []directory.Ref
	}{{30 * time.Minute, nil}, {time.Hour, []directory.Ref{refs["ada"]}}, {time.Hour, []directory.Ref{refs["bob"]}},
		{30 * time.Hour, nil}, {24 * time.Hour, []directory.Ref{refs["cyd"]}}} {
		now = now.Add(step.after)
		got := follow(t, s, at)
		if got.Whole != "" || !slices.Equal(got.Refs, step.want) {
			t.Errorf("%v later: Changes() = %+v, want %v", step.after, got, step.want)
		}
		at = got.Next
	}
}

func TestDoubtsOfActiveDirectory(t *testing.T) {
	t.Parallel()
	d, _ := staff(t)
	s := open(t, domainConfig(d))
	at := start(t, s)
	restored, garbled := at, at
	restored.Position.Seen = map[string]string{at.Position.Server: "99999999"}
	garbled.Cookie = []byte("nonsense")
	set(t, d, "CN=ada,OU=staff,"+sambatest.Base, "userAccountControl", "546")
	for want, since := range map[string]source.Cursor{"older": restored, "cookie": garbled} {
		if got := follow(t, s, since); !strings.Contains(got.Whole, want) || got.Next.IsZero() {
			t.Errorf("Changes() = %+v, want a full read because of %q", got, want)
		}
	}
}
