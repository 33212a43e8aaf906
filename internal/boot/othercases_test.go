package boot_test

import (
	"fmt"
	"strings"
	"testing"

	"rollcall/container"
	"rollcall/internal/slapdtest"
	"rollcall/status"
)

// someone is a person of a file, with a name of their own.
func someone(uid, given, family, mail string, n int, more ...string) string {
	pairs := []string{"objectClass", "inetOrgPerson", "entryUUID", slapdtest.UUID(n), "uid", uid,
		"cn", given + " " + family, "givenName", given, "sn", family, "mail", mail}
	return slapdtest.Entry("uid="+uid+","+slapdtest.People, append(pairs, more...)...)
}

// A leaver's address is given to a joiner before the next run. The leaver is out in both tenants in that run, and the
// joiner is named. With an address of their own the joiner gets an account, and nothing is left to do.
func TestALeaversAddressIsGivenToAJoiner(t *testing.T) {
	t.Parallel()
	others := tree
	for n, name := range strings.Fields("ann bob cid dan eve fay gus") {
		others += someone(name, strings.ToUpper(name), "Staff", name+"@example.org", n)
	}
	o := newOffice(t, officeOptions{ldif: others + someone("lea", "Lea", "Leaver", "lea@example.org", 50), file: true})
	o.sync(corp, workspace, entra)
	o.replace(others + someone("joe", "Joe", "Joiner", "lea@example.org", 51))
	o.sync(corp, workspace, entra)
	if google, entra := o.active("lea"); google || entra {
		t.Errorf("the leaver is active at Google %t, Entra %t", google, entra)
	}
	before := o.tenants()
	o.judge("again", before, true)
	o.says(o.begin(workspace), "Held: user joe: user lea@example.org (")
	o.says(o.begin(entra), `is the account of user "lea"`)
	o.replace(others + someone("joe", "Joe", "Joiner", "joe@example.org", 51))
	o.sync(corp, workspace, entra)
	if google, entra := o.active("joe"); !google || !entra {
		t.Errorf("the joiner is active at Google %t, Entra %t", google, entra)
	}
	o.judge("the joiner has an address", o.tenants(), true)
}

// The start of term: people who left over the summer come back on one day. Each tenant asks once, with one reason, and
// after one approval everything is done. The local directory asks nothing.
func TestLaw12StartOfTermIsOneQuestionInEachTenant(t *testing.T) {
	t.Parallel()
	school := func(away int) string {
		text := tree
		for n := range 120 {
			uid := fmt.Sprintf("s%03d", n)
			text += someone(uid, "Pupil", uid, uid+"@example.org", n, "nsAccountLock", strings.ToUpper(fmt.Sprint(n < away)))
		}
		return text
	}
	o := newOffice(t, officeOptions{ldif: school(0), file: true})
	o.sync(corp, workspace, entra)
	before := o.tenants()
	o.replace(school(36))
	o.begin(corp)
	o.approve(corp)
	for _, name := range []container.ID{workspace, entra} {
		o.begin(name)
		o.approve(name)
	}
	o.replace(school(0))
	if run := o.begin(corp); run.TaskStatus() != status.TaskSuccessful {
		t.Errorf("the run of the source is %s", run.TaskStatus())
	}
	for _, name := range []container.ID{workspace, entra} {
		run := o.begin(name)
		o.says(run, "36 accounts would become active again")
		if set := o.held(name); len(set.Changes) != 36 || run.TaskStatus() != status.TaskWarning {
			t.Errorf("%s holds %d changes and is %s, want 36 and a warning", name, len(set.Changes), run.TaskStatus())
		}
		if run = o.approve(name); run.State != status.Completed {
			t.Errorf("the approved run of %s is %s: %s", name, run.State, run.FailReason)
		}
	}
	o.judge("after the approval", before, true)
	for _, name := range []container.ID{corp, workspace, entra} {
		if set := o.held(name); len(set.Changes) > 0 {
			t.Errorf("%s still holds %d changes", name, len(set.Changes))
		}
	}
}
