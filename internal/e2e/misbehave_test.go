package e2e

import (
	"strings"
	"testing"

	"rollcall/internal/slapdtest"
)

// fails runs a source sync that has to fail and to say why; the tenant is not touched by the provider sync that
// follows.
func (w *world) fails(because ...string) {
	w.Helper()
	before := w.accounts()
	r := w.finish(corp)
	if r.State != "failed" || r.Status != "error" || !hasAll(r.Reason, because...) {
		w.Errorf("the source sync is %s (%s): %q, want failed and %q", r.State, r.Status, r.Reason, because)
	}
	w.mentions(corp, r.ID, because...)
	if s := w.status(corp); s.Last != "error" || len(s.Tasks) < 3 || s.Tasks[0].Status != "error" {
		w.Errorf("the status is %+v, want an error", s)
	}
	w.tenant.ResetCalls()
	w.sync(google) // The local directory is still whole.
	if made := w.writes(); len(made) > 0 {
		w.Errorf("the tenant was written: %v", made)
	}
	w.same(before)
}

// Everything that an LDAP server may answer in place of the truth, on a directory that was fine a moment ago.
func TestDirectoryMisbehaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small(), reader: true,
		source: []string{"page_size: 20", "request_timeout: 2s", "connect_timeout: 2s"}})
	w.both()

	// The bind account loses its rights, so that the search succeeds and finds no people.
	w.ldap.Access(t, `to dn.children="ou=people,dc=example,dc=org" by dn.exact="`+slapdtest.Reader+`" none by * read`,
		"to * by * read")
	w.fails("no users, but the provider has 150")
	// It may not even see that the subtree exists.
	w.ldap.Access(t, `to dn.subtree="ou=people,dc=example,dc=org" by dn.exact="`+slapdtest.Reader+`" none by * read`,
		"to * by * read")
	w.fails("ou=people,dc=example,dc=org")
	w.ldap.Access(t)
	w.idle()

	w.ldap.Limit(t, "50")
	w.fails("size limit")
	w.ldap.Limit(t, "unlimited")
	w.idle()

	thaw := w.ldap.Freeze(t)
	w.fails("connect_timeout")
	thaw()
	w.idle()

	w.ldap.Stop()
	w.fails("connection refused")
	w.ldap.Restart(t)
	w.idle()

	w.editor().removeTree(slapdtest.People, "(objectClass=inetOrgPerson)")
	w.fails("no users, but the provider has 150")
}

// Half of the directory is gone. No account is suspended, no membership ends, and new people still arrive.
func TestHalfTheDirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	w.both()
	want := w.accounts()
	e := w.editor()
	e.removeTree(slapdtest.People, "(&(objectClass=inetOrgPerson)(|(uid=u0000*)(uid=u00010*)))")
	for n := range 3 {
		dn := e.person(1000+n, "")
		e.member(slapdtest.GroupDN(0), dn, true)
	}
	source := w.finish(corp)
	if source.Status != "warning" || source.Held == 0 || source.made()["user create"] != 3 {
		t.Errorf("the source sync is %s, held %d, made %v; want a warning and 3 users", source.Status, source.Held,
			source.made())
	}
	w.mentions(corp, source.ID, "Changes are held", "users would go")
	if s := w.status(corp); s.Last != "warning" || s.Tasks[0].Status != "warning" {
		t.Errorf("the status is %+v, want a warning", s)
	}
	w.tenant.ResetCalls()
	provider := w.sync(google)
	made := w.writes()
	if made["directory.users.insert"] != 3 || made["directory.members.insert"] != 3 || len(made) != 2 {
		t.Errorf("the tenant was written with %v, want 3 users and 3 memberships (%v)", made, provider.made())
	}
	got := w.accounts()
	for n := range 3 {
		id := slapdtest.UUID(1000 + n)
		if got.People[id].Address == "" {
			t.Errorf("joiner %s did not arrive", id)
		}
		want.People[id] = got.People[id]
	}
	team := want.Teams[slapdtest.UUID(slapdtest.GroupUUIDs)]
	team.Members = append(append([]string(nil), team.Members...), slapdtest.UUID(1000), slapdtest.UUID(1001),
		slapdtest.UUID(1002))
	want.Teams[slapdtest.UUID(slapdtest.GroupUUIDs)] = team
	w.same(want)
	if again := w.finish(corp); again.Held != source.Held {
		t.Errorf("the next source sync holds %d, want %d again", again.Held, source.Held)
	}
}

// A connection that breaks in the middle of a page gives no part of an answer.
func TestConnectionDropsMidPage(t *testing.T) {
	t.Parallel()
	var cut cutter
	w := newWorld(t, options{
		slapd: small(), source: []string{"page_size: 40"},
		uri: func(s *slapdtest.Server) string {
			return "ldap://" + cut.listen(t, strings.TrimPrefix(s.URL, "ldap://"))
		},
	})
	w.both()
	whole := cut.seen.Load() / 2
	e := w.editor()
	e.set(slapdtest.UserDN(7), "title", "Director")
	for _, at := range []int64{whole / 10, whole / 3, whole / 2, whole * 3 / 4} {
		cut.after.Store(at)
		w.fails("connection failed")
	}
	cut.after.Store(0)
	w.exactly(map[string]int{"user update": 1}, nil)
}
