package boot_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"rollcall/fault"
	"rollcall/internal/slapdtest"
	"rollcall/status"
)

// A day at a company: one leaves, one is locked, one joins, one marries, and one leaves a team.
func day(t *testing.T, s *slapdtest.Server) {
	t.Helper()
	s.Delete(t, slapdtest.UserDN(1))
	s.Set(t, slapdtest.UserDN(2), "employeeType", "robot")
	s.Add(t, "uid=joiner,"+slapdtest.People, "objectClass", "inetOrgPerson", "uid", "joiner", "cn", "Joiner",
		"sn", "Joiner", "givenName", "New", "mail", "joiner@example.org", "entryUUID", slapdtest.UUID(1000))
	s.Set(t, slapdtest.UserDN(3), "sn", "Married")
	s.Set(t, slapdtest.UserDN(3), "mail", "married@example.org")
	s.Set(t, slapdtest.GroupDN(0), "member", slapdtest.UserDN(3), slapdtest.UserDN(4))
}

// The server in use fails, and the next one lags behind, as a restored snapshot does. Nothing is changed and the run
// says why. When that server has caught up, the next runs have nothing to do.
func TestLaw2AnOlderReplicaChangesNothing(t *testing.T) {
	t.Parallel()
	people := slapdtest.Generate(30, 2, 8)
	behind := slapdtest.Start(t, slapdtest.Options{LDIF: people, SyncProv: true})
	o := newOffice(t, officeOptions{ldif: people, syncProv: true, behind: behind,
		source: []string{"user_object_filter: (&(objectClass=inetOrgPerson)(!(employeeType=robot)))"}})
	o.sync(corp, workspace, entra)
	day(t, o.ldap)
	o.sync(corp, workspace, entra)
	before := o.tenants()
	o.ldap.Stop()
	run := o.begin(corp)
	if run.State != status.Failed || run.FailKind != fault.Unsafe.String() ||
		!strings.Contains(run.FailReason, "rollcall accept-server ldap:corp (") {
		t.Errorf("the run from the server that lags is %s, %s: %s", run.State, run.FailKind, run.FailReason)
	}
	o.says(run, "read from an older server")
	o.judge("an older server", before, false)
	day(t, behind)
	o.judge("the server has caught up", before, true)
	if n := work(o.begin(corp)); n > 0 {
		t.Errorf("the run after it plans %d changes, want none", n)
	}
}

// Entries, and the values of their attributes, come in any order (RFC 4511, section 4.1.7).
func TestLaw14AnyOrderOfEntriesAndValuesChangesNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 1))
	all := randomCompany(r, 64, false)
	o := newOffice(t, officeOptions{ldif: ldif(all, nil), file: true})
	o.sync(corp, workspace, entra)
	before := o.tenants()
	for n := range 5 {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, e := range all {
			r.Shuffle(len(e.pairs)/2, func(i, j int) {
				e.pairs[2*i], e.pairs[2*j] = e.pairs[2*j], e.pairs[2*i]
				e.pairs[2*i+1], e.pairs[2*j+1] = e.pairs[2*j+1], e.pairs[2*i+1]
			})
		}
		o.replace(ldif(all, nil))
		if n := work(o.begin(corp)); n > 0 {
			t.Errorf("another order is %d changes of the local directory", n)
		}
		o.judge(fmt.Sprint("order ", n), before, true)
	}
}
