package boot_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	"rollcall/simulator/googleworkspace"
	"rollcall/status"
)

// crew is the LDIF of people who can be disabled by a date.
func crew(n int) string {
	var b strings.Builder
	for i := range n {
		uid := fmt.Sprintf("p%02d", i)
		b.WriteString(slapdtest.Entry("uid="+uid+","+slapdtest.People, "objectClass", "inetOrgPerson", "objectClass",
			"shadowAccount", "uid", uid, "cn", "Person "+uid, "sn", uid, "givenName", "Person", "mail", uid+"@"+domain))
	}
	return b.String()
}

// active reports whether a person has an active account in each tenant.
func (o *office) active(uid string) (google, entra bool) {
	o.Helper()
	address := uid + "@" + domain
	g, ok := o.tenant.User(address)
	google = ok && !g.Suspended
	e, ok := o.graph.User(address)
	return google, ok && !e.Disabled
}

// out waits until a person is suspended in both tenants, and returns how long that took.
func (o *office) out(uid string, since time.Time) time.Duration {
	o.Helper()
	testclock.Eventually(o, 90*time.Second-time.Since(since), uid+" is suspended in both tenants", func() bool {
		google, entra := o.active(uid)
		return !google && !entra
	})
	return time.Since(since)
}

// A person who is disabled or deleted in the directory is suspended in both tenants without a full run.
func TestLeaversAreSuspendedWithinSeconds(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeOptions{ldif: crew(40), syncProv: true, source: []string{"delta_every: 2s",
		"limits: {leave: {at_least: 50}}"}, both: []string{"limits: {leave: {at_least: 50}}"}})
	o.sync(corp, workspace, entra)
	full := o.runs(corp, status.Full)
	var took []time.Duration
	for n := range 10 {
		uid := fmt.Sprintf("p%02d", n)
		if google, entra := o.active(uid); !google || !entra {
			t.Fatalf("%s has no active account in both tenants", uid)
		}
		since := time.Now()
		if dn := "uid=" + uid + "," + slapdtest.People; n%2 == 0 {
			o.ldap.Set(t, dn, "shadowExpire", "1")
		} else {
			o.ldap.Delete(t, dn)
		}
		took = append(took, o.out(uid, since))
		o.receipts(n, since)
	}
	slices.Sort(took)
	t.Logf("until suspended in both tenants, polled every 2 s: median %v, slowest %v", took[5], took[9])
	if n := o.runs(corp, status.Full); n != full {
		t.Errorf("%d full runs of the source were needed", n-full)
	}
	if google, entra := o.active("p11"); !google || !entra {
		t.Error("a person who did not leave is suspended")
	}
}

// receipts checks that each tenant confirmed the nth leaver within the time that it took, and that the sessions ended
// at Google, whose simulated tenant grants it.
func (o *office) receipts(n int, since time.Time) {
	o.Helper()
	u, _ := o.tenant.User(fmt.Sprintf("p%02d@%s", n, domain))
	at := slices.IndexFunc(u.ExternalIDs, func(x googleworkspace.ExternalID) bool { return x.CustomType == "rollcall" })
	entry := directory.Ref{Kind: directory.User, ID: directory.ID(u.ExternalIDs[at].Value)}.String()
	for name, ended := range map[container.ID]string{workspace: decisions.SessionsEnded, entra: ""} {
		r := o.receipt(name, entry)
		if most := time.Since(since); r.Op != "suspend" || !r.Job || r.Decided.Before(r.Seen) ||
			r.Took() > most+time.Second || r.Sessions != ended {
			o.Errorf("the receipt of p%02d at %s is %+v; the suspension took %v", n, name, r, most)
		}
	}
}

// receipt waits for the receipt of an entry. The job writes it after the tenant has confirmed.
func (o *office) receipt(name container.ID, entry string) decisions.Receipt {
	o.Helper()
	var r decisions.Receipt
	testclock.Eventually(o, time.Minute, fmt.Sprintf("%s has a receipt of %s", name, entry), func() (there bool) {
		got, err := o.app.Decisions.Receipts(o.Context(), name, entry)
		if err != nil {
			o.Fatal(err)
		}
		r, there = got[entry]
		return there
	})
	return r
}

// runs counts the runs of a mode.
func (o *office) runs(c container.ID, mode status.Mode) (n int) {
	o.Helper()
	runs, _, err := o.app.Status.List(o.Context(), c, 0, 100)
	if err != nil {
		o.Fatal(err)
	}
	for _, run := range runs {
		if run.Mode == mode {
			n++
		}
	}
	return n
}
