package e2e

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"rollcall/internal/slapdtest"
	simulator "rollcall/simulator/googleworkspace"
)

// weather is everything that may go wrong between us and Google, each with some probability.
func weather() []simulator.Fault {
	return []simulator.Fault{
		{Effect: simulator.Refuse, Status: http.StatusTooManyRequests, Code: "rateLimitExceeded",
			Message: "Rate Limit Exceeded", Probability: 0.01},
		{Effect: simulator.Refuse, Status: http.StatusForbidden, Code: "quotaExceeded", Message: "Quota exceeded",
			Probability: 0.01},
		{Effect: simulator.Refuse, Status: http.StatusForbidden, Code: "userRateLimitExceeded",
			Message: "User Rate Limit Exceeded", Probability: 0.01},
		{Effect: simulator.Refuse, Status: http.StatusServiceUnavailable, Code: "backendError", Probability: 0.02},
		{Effect: simulator.Refuse, Status: http.StatusInternalServerError, Code: "internalError", Probability: 0.01},
		{Effect: simulator.Drop, Probability: 0.02},
		{Effect: simulator.LoseAnswer, Probability: 0.04},
		{Effect: simulator.TruncateAnswer, Probability: 0.03},
	}
}

// After any fault of the network or the remote side, a few runs later the tenant is as the directory says. There is
// no twin, no lost membership and no deletion.
func TestFaults(t *testing.T) {
	t.Parallel()
	seeds := uint64(10)
	if underRace {
		seeds = 4
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			o := options{slapd: slapdtest.Options{LDIF: slapdtest.Generate(60, 10, 8)}}
			o.tenant.Seed, o.tenant.Faults = seed, weather()
			if seed%2 == 1 {
				o.tenant.Consistency = simulator.Consistency{Create: 400 * time.Millisecond, Rename: 300 * time.Millisecond,
					Read: 200 * time.Millisecond}
			}
			w := newWorld(t, o)
			w.sync(corp)
			w.weather(nil)

			e, left := w.editor(), map[string]person{}
			for n := range 3 {
				left[slapdtest.UUID(n)] = w.directory().People[slapdtest.UUID(n)]
				e.remove(slapdtest.UserDN(n))
				dn := e.rename(slapdtest.UserDN(10+n), fmt.Sprintf("uid=renamed%d", n), "ou=sales,"+slapdtest.People)
				e.set(dn, "mail", fmt.Sprintf("renamed%d@example.org", n))
				e.set(dn, "telephoneNumber", fmt.Sprintf("+1 555 77%d", n))
				e.member(slapdtest.GroupDN(n), e.person(100+n, ""), true)
			}
			w.sync(corp)
			w.tenant.ClearFaults()
			w.tenant.Inject(weather()...)
			w.weather(left)
			if made := w.writes(); made["directory.users.delete"]+made["directory.groups.delete"] > 0 {
				t.Errorf("something was deleted: %v", made)
			}
		})
	}
}

// weather syncs the tenant while things go wrong, until a run had nothing more to do. Once the weather is fine again,
// the tenant has to be as the directory says.
func (w *world) weather(left map[string]person) {
	w.Helper()
	const most = 6
	for n := 1; ; n++ {
		r := w.finish(google)
		if r.State == "completed" && r.Failed == 0 && r.planned() == 0 && r.Held == 0 {
			break
		}
		if r.State != "completed" && r.FailKind != "unavailable" && r.FailKind != "throttled" {
			w.Errorf("run %d is %s (%s): %s", n, r.State, r.FailKind, r.Reason)
		}
		if n == most {
			w.Errorf("after %d runs there is still something to do: %s, planned %d, failed %d, held %d, %s", n, r.State,
				r.planned(), r.Failed, r.Held, r.Reason)
			break
		}
	}
	w.tenant.ClearFaults()
	w.sync(google)
	w.converged(left)
}
