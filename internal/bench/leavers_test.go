package bench

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/fault"
	"rollcall/internal/slapdtest"
	"rollcall/internal/testclock"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
	"rollcall/status"
)

// follow has workers that start later poll the source every two seconds and keep Entra's limit, and lets many leave in
// a day.
func (l *lab) follow() {
	text, err := os.ReadFile(l.file)
	l.must(err)
	const limits = "\n      limits: {leave: {at_least: 500}}\n"
	follows := strings.NewReplacer("delta_every: 24h\n", "delta_every: 2s"+limits,
		"max_writes_per_second: 100000\n", fmt.Sprintf("max_writes_per_second: %g\n", entraWrites),
		"default_group_email_domain: example.org\n", "default_group_email_domain: example.org"+limits).Replace(string(text))
	l.must(os.WriteFile(l.file, []byte(strings.TrimSpace(follows)+limits), 0o600))
}

// leaver is a person who was disabled.
type leaver struct {
	address string
	since   time.Time
}

// leavers measures the time from the moment at which a person is disabled until both tenants have suspended the
// account, while a full sync of one of them uses the whole quota.
func leavers(t *testing.T) row {
	const every, fast = 400 * time.Millisecond, 100_000
	users, n := min(*people, 2000), 100
	if *people < 1000 {
		n = 3
	}
	l := newLab(t, users, 1, 2, fast, simulator.Quota{})
	tenant := l.withEntra(fast, graph.Quota{})
	stop := l.workers(1)
	l.sync(corp, status.Full)
	l.sync(google, status.Full)
	l.sync(entra, status.Full)
	for i := range users {
		l.slapd.Set(l, slapdtest.UserDN(i), "sn", "Renamed")
	}
	l.sync(corp, status.Full)
	stop()
	l.limit(quotaRate)
	l.follow()
	defer l.workers(2)()
	testclock.Eventually(l, time.Minute, "the source is polled", func() bool {
		poll, err := l.app.Status.Poll(l.Context(), corp)
		return err == nil && !poll.At.IsZero()
	})
	run, err := l.client.StartRun(l.Context(), google, status.Full, false, "bench")
	if fault.KindOf(err) != fault.Conflict {
		l.must(err)
	}
	var open []leaver
	var took []time.Duration
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	next := time.Now()
	for i, until := 0, next.Add(5*time.Minute); len(took) < n; <-look.C {
		if now := time.Now(); i < n && !now.Before(next) {
			dn := slapdtest.UserDN(users - 1 - i)
			l.slapd.Set(l, dn, "objectClass", "inetOrgPerson", "vendorObject")
			l.slapd.Set(l, dn, "nsAccountLock", "TRUE")
			open = append(open, leaver{fmt.Sprintf("u%06d@example.org", users-1-i), time.Now()})
			i, next = i+1, now.Add(every)
		} else if now.After(until) {
			l.Fatalf("%d of %d leavers were not suspended in both tenants, such as %s", len(open), n, open[0].address)
		}
		open = slices.DeleteFunc(open, func(who leaver) bool {
			first, _ := l.tenant.User(who.address)
			second, _ := tenant.User(who.address)
			out := first.Suspended && second.Disabled
			if out {
				took = append(took, time.Since(who.since))
			}
			return out
		})
	}
	if run, err = l.app.Status.Get(l.Context(), google, run.ID); err == nil && !run.State.Open() && users >= 1000 {
		l.Logf("the full sync ended before the last leaver: %s %s", run.State, run.FailReason)
	}
	slices.Sort(took)
	return row{"disabled to suspended in both tenants, polling every 2 s",
		fmt.Sprintf("%.1f s, p99 %.1f s, %d of %d", took[n/2].Seconds(), took[n*99/100].Seconds(), len(took), n),
		fmt.Sprintf("a full sync of %d people uses the quota", users), "3 s, p99 6 s"}
}
