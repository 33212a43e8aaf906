package boot_test

import (
	"strings"
	"testing"

	"rollcall/internal/slapdtest"
)

// someone is a person of a file, with a name of their own.
func someone(uid, given, family, mail string, n int, more ...string) string {
	return slapdtest.Entry("uid="+uid+","+slapdtest.People, append([]string{"objectClass", "inetOrgPerson", "entryUUID",
		slapdtest.UUID(n), "uid", uid, "cn", given + " " + family, "givenName", given, "sn", family, "mail", mail}, more...)...)
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
