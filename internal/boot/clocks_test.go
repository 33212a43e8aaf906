package boot_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"rollcall/container"
	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	"rollcall/status"
)

// clockedRedis is a Redis with a clock that is off.
func clockedRedis(t *testing.T, off *atomic.Int64) string {
	t.Helper()
	m := miniredis.RunT(t)
	set := func() { m.SetTime(time.Now().Add(time.Duration(off.Load()))) }
	set()
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	go func() {
		const step = 100 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				set()
				m.FastForward(step)
			case <-stop:
				return
			}
		}
	}()
	return "redis://" + m.Addr()
}

// said runs a container to its good end and returns the messages.
func (o *office) said(name container.ID) (out string) {
	o.Helper()
	run := o.begin(name)
	if run.State != status.Completed {
		o.Fatalf("the run of %s is %s: %s", name, run.State, run.FailReason)
	}
	said, _, err := o.app.Status.Messages(o.Context(), name, run.ID, "", status.MaxList)
	if err != nil {
		o.Fatal(err)
	}
	for _, m := range said {
		out += m.Event + "\n"
	}
	return out
}

// The clock of Redis is a month ahead, which the answers of both tenants show. The worker does not stand aside, people
// join, and a leaver keeps the account until the clock is set.
func TestAWrongClockOfRedisHoldsOnlyWhatDestroys(t *testing.T) {
	t.Parallel()
	var off atomic.Int64
	url := clockedRedis(t, &off)
	o := newOffice(t, officeOptions{ldif: crew(8), redis: url})
	all := []container.ID{corp, workspace, entra}
	o.sync(all...)
	const month = 31 * 24 * time.Hour
	off.Store(int64(month))
	testclock.Eventually(o, time.Minute, "the log names the clock of Redis", func() bool {
		return strings.Contains(o.log.String(), "the clock of the host of Redis is wrong")
	})
	o.ldap.Delete(t, "uid=p03,"+slapdtest.People)
	o.ldap.Add(t, "uid=p08,"+slapdtest.People, "objectClass", "inetOrgPerson", "uid", "p08", "cn", "Person p08",
		"sn", "p08", "givenName", "Person", "mail", "p08@"+domain)
	for _, name := range all {
		said := o.said(name)
		for _, want := range []string{"the clocks disagree", "set the clock of the host of Redis"} {
			if !strings.Contains(said, want) {
				t.Errorf("the run of %s does not say %q:\n%s", name, want, said)
			}
		}
	}
	if google, entra := o.active("p08"); !google || !entra {
		t.Error("while the clock of Redis is wrong, a person who joins gets no accounts")
	}
	if google, entra := o.active("p03"); !google || !entra {
		t.Error("while the clock of Redis is wrong, a leaver is suspended")
	}

	off.Store(0)
	testclock.Eventually(o, time.Minute, "the clock of Redis is measured",
		func() bool { return o.app.Clock.Offset().Abs() < time.Minute })
	o.sync(all...)
	if google, entra := o.active("p03"); google || entra {
		t.Error("after the clock of Redis was set, a leaver is still active")
	}
}
