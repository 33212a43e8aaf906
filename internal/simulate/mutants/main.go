// Command mutants plants faults into the engine, one at a time, and runs the test that must fail with each. It changes
// no file, because the go command reads the faulty file in place of the real one (-overlay). It ends with 1 if a fault
// survives.
//
// With -simulation it runs the simulation in place of the named tests. With a regular expression as its argument it
// plants only the faults with a matching name.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	simulated := flag.Int("simulation", 0, "run `n` histories of the simulation in place of the named tests")
	flag.Parse()
	survived, err := run(flag.Arg(0), *simulated)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if survived > 0 {
		fmt.Printf("%d survived\n", survived)
		os.Exit(1)
	}
}

// run plants the faults with a matching name and returns how many survived.
func run(pattern string, simulated int) (survived int, err error) {
	chosen, err := regexp.Compile(pattern)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	for _, m := range mutants {
		if !chosen.MatchString(m.name) {
			continue
		}
		if simulated > 0 {
			m.pkg, m.test = "./internal/simulate", "TestSimulation"
		}
		began := time.Now()
		by, err := m.try(dir, simulated)
		switch {
		case err != nil:
			survived++
			by = "NOT TRIED: " + err.Error()
		case by == "":
			survived++
			by = "SURVIVED"
		}
		fmt.Printf("%-50s %-60s %s\n", m.name, by, time.Since(began).Round(time.Second))
	}
	return survived, nil
}

// mutated returns the text of the file with the fault.
func (m *mutant) mutated(text string) (string, error) {
	if n := strings.Count(text, m.old); m.old == "" || n != 1 {
		return "", fmt.Errorf("%q occurs %d times in %s, want 1", m.old, n, m.file)
	}
	return strings.Replace(text, m.old, m.new, 1), nil
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// try runs the test with the fault and returns the name of the test that failed; empty if the fault survived.
func (m *mutant) try(dir string, simulated int) (by string, err error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	faulty, err := m.mutated(string(text))
	if err != nil {
		return "", err
	}
	real, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	file, overlay := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {real: file}})
	if err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{file: []byte(faulty), overlay: list} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return "", err
		}
	}
	args := []string{"test", "-vet=off", "-count=1", "-timeout=20m", "-overlay", overlay, "-run",
		"^" + m.test + "$", m.pkg}
	if simulated > 0 {
		args = append(args, fmt.Sprintf("-rapid.checks=%d", simulated), "-rapid.nofailfile", "-rapid.shrinktime=1s")
	}
	out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput()
	if err == nil {
		return "", nil
	}
	found := failed.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("no test failed, but: %s", bytes.TrimSpace(out))
	}
	return m.pkg + " " + string(found[1]), nil
}

// mutant is a fault that is planted into one file. A named test of a package must fail with it.
type mutant struct {
	name string
	// file is relative to the root of the module. old occurs in it exactly once, and becomes new.
	file, old, new string
	// pkg and test say which test kills it.
	pkg, test string
}

// mutants are the planted faults.
var mutants = []mutant{
	// The lease and the locks.
	{"the lease is not checked", "status/lease.go",
		"if l.ctx.Err() != nil {\n\t\treturn context.Cause(l.ctx)\n\t}\n\tif !time.Now().Before(l.deadline()) {\n",
		"if false {\n",
		"./status", "TestWorkerStopsInTimeWhileARenewalHangs"},
	{"a lock is not fenced", "status/lua/lock.lua",
		"if lease ~= '' and redis.call('GET', key('lease')) ~= lease then", "if false then",
		"./status", "TestAtMostOneHolder"},
	{"an entry has no lock", "status/lua/lock.lua",
		"'NX', 'PX', ARGV[3])", "'PX', ARGV[3])", "./status", "TestEntryLock"},
	{"a lease is taken from its holder", "status/lua/acquire.lua",
		"if holder and holder ~= token then", "if false then", "./status", "TestOneTaskDeliveredTwice"},
	{"an old epoch may acquire", "status/lua/acquire.lua", "or f[2] ~= epoch ", "",
		"./status", "TestKilledWorkersRunIsResumedUnderANewEpoch"},
	{"an older holder may act after the lease of the newer one", "status/lua/prelude.lua",
		"return (holder or f[3] or token) == token", "return (holder or token) == token",
		"./status", "TestOnlyTheLastHolderMayActAfterItsLease"},
	{"a lost lease is renewed", "status/lua/renew.lua", "if not holds(id, ARGV[2], ARGV[3]) then", "if false then",
		"./status", "TestAtMostOneHolder"},
	{"adapters do not check the fence", "provider/pace/caller.go", "return check(ctx)", "_ = check\n\t\treturn nil",
		"./reconcile", "TestTheFenceOfARunReachesTheAdapter"},
	{"the version of an entry is not read again", "reconcile/tenant.go",
		"err == nil && now == c.Version", "err == nil && (now == c.Version || true)",
		"./reconcile", "TestATakenAddressIsLeftToTheNextRun"},

	// Object jobs.
	{"open jobs are trimmed", "status/lua/job_add.lua",
		"if over > 0 then drop(redis.call('ZRANGE', done,",
		"over = redis.call('ZCARD', index) - tonumber(ARGV[4])\n  if over > 0 then drop(redis.call('ZRANGE', index,",
		"./status", "TestAnOpenJobIsNeverTrimmed"},
	{"open jobs have no bound", "status/lua/job_add.lua",
		"if redis.call('ZCARD', open) >= tonumber(ARGV[6]) then return { 'full' } end", "",
		"./status", "TestAnOpenJobIsNeverTrimmed"},
	{"the id of a task that is gone goes round its queue", "jobs/mend.go",
		"if redis.call('HEXISTS', KEYS[4], 'msg') == 0 then", "if false then",
		"./jobs", "TestTheIDOfATaskThatIsGoneIsRemoved"},
	{"a claim is counted twice", "decisions/lua/spend.lua", "if n == 1 and not counted then", "if n == 1 then",
		"./decisions", "TestAClaimIsCountedOnce"},
	{"the budget has no limit", "decisions/lua/spend.lua",
		"if int(redis.call('HGET', totals, kind)) + 1 > limit then return { 'over' } end", "",
		"./decisions", "TestBudgetWindow"},

	// The clock and the schedule.
	{"the host's clock counts", "internal/redisclock/redisclock.go",
		"return c.shown.Add(time.Since(c.at))", "return c.host()", "./internal/redisclock", "TestAWrongHostClock"},
	{"a worker with a wrong clock takes part", "jobs/aside.go", "if off.Abs() <= redisclock.Near {",
		"if off.Abs() <= redisclock.Near || true {", "./jobs", "TestAnUnfitWorkerStandsAside"},
	{"workers stand aside for a wrong clock of Redis", "jobs/aside.go",
		"if why != \"\" && w.cfg.RedisIsWrong(ctx) {", "if false {",
		"./internal/boot", "TestAWrongClockOfRedisHoldsOnlyWhatDestroys"},
	{"harm goes on while the clocks disagree", "reconcile/read.go", "v.clocks = text", "_ = text",
		"./internal/boot", "TestAWrongClockOfRedisHoldsOnlyWhatDestroys"},
	{"a firing is not noted", "jobs/schedule.go",
		"return w.cfg.Status.SetMark(ctx, s.name, status.Fired, s.firing(at))", "return nil",
		"./jobs", "TestARunThatIsLiveAtTheTick"},
	{"a repeated firing is another run", "jobs/schedule.go",
		`uuid.NewSHA1(uuid.NameSpaceOID, []byte(string(s.name)+" "+s.firing(at))).String()`, "uuid.NewString()",
		"./jobs",
		"TestAFiringThatWasNotNotedStartsNoSecondRun"},

	// The brakes.
	{"departures have no limit", "plan/guard.go", "case g.fresh(takes)+others+spent > limit:", "case false:",
		"./plan", "TestWhatAWorkerThatDiedHadBegunIsNotCountedTwice"},
	{"more than half may go", "plan/guard.go", "case 2*n > anchored:", "case false:",
		"./plan", "TestLaw9TheLimitIsHeldWholeAndTheRestGoesOn"},
	{"a kind may be emptied", "plan/guard.go", "case g.plan.Counts.Desired.Of(k) == 0:", "case false:",
		"./plan", "TestLaw9TheLimitIsHeldWholeAndTheRestGoesOn"},
	{"reactivations and renames have no limit", "plan/guard.go",
		"; n+spent > limit {", "; false && n+spent > limit {", "./plan", "TestAPinDoesNotLiftTheBrakesFromOtherFields"},
	{"members have no limit", "plan/guard.go", "if n+spent <= limit {", "if true {",
		"./plan", "TestLaw9AGroupIsNotDrained"},
	{"a doubt holds nothing", "plan/guard.go", "if len(g.plan.Doubts) > 0 {", "if false {", "./plan", "TestPlans"},
	{"a re-anchoring needs no approval", "plan/guard.go",
		"func(c *Change) bool { return c.Op == Reanchor })", "func(c *Change) bool { return false })",
		"./plan", "TestLaw5AnAccountThatTwoEntriesMayHaveHadStays"},
	{"an older read is planned on", "reconcile/mirror.go", "if order == directory.Older {", "if false {",
		"./reconcile", "TestAnOlderServerFailsTheRun"},

	// What persons decided.
	{"a signature is not compared", "decisions/seal.go",
		"if hmac.Equal(mac, k.sign(purpose, c, data)) {", "if true {",
		"./decisions", "TestRecordsOfAnotherProgramAreNoticed"},
	{"a held set is not signed", "decisions/seal.go",
		"return bytes.Join([][]byte{data, []byte(trailerMark), []byte(k.id), mac}, nil)", "_ = mac\n\treturn data",
		"./decisions", "TestHeldSetsAreSigned"},
	{"one provider ends an order to leave", "decisions/order.go",
		"if slices.ContainsFunc(o.Providers, func(p container.ID) bool { return !slices.Contains(o.Agreed, p) }) {",
		"if false {", "./decisions", "TestAnOrderEndsAtEachProvider"},

	{"a run that began before an order gives the account back", "reconcile/tenant.go",
		"return a.run.Memory.Ordered(ctx, c.Ref)", "return false, nil",
		"./reconcile", "TestAnOrderThatIsGivenDuringARun"},
	{"the job of an order does not wait for a write under way", "jobs/aside.go",
		"if err := o.awaitWrite(ctx, c); err != nil {", "if err := ctx.Err(); err != nil {",
		"./internal/simulate", "TestHistories"},
	{"a pause holds nothing", "decisions/order.go", "if p != nil {", "if p != nil && false {",
		"./internal/simulate", "TestHistories"},

	// Absence and departure.
	{"the position of a poll is kept before its leavers are sent", "reconcile/mirror.go",
		"|| a.view.delta.ahead; a.run.Scope.leaving {", "|| a.view.delta.ahead; false {",
		"./reconcile", "TestProvidersFollowLeaversThatWereSentAhead"},
	{"a group that is synced alone loses a member without an entry", "reconcile/mirror.go",
		"if !s.limited() || s.changed {", "if true {", "./internal/simulate", "TestHistories"},
	{"an object job concludes a departure", "plan/departures.go",
		"return Absent, len(c.only) == 0 || c.in.Whole", "return Absent, true", "./plan", "TestPlans"},
	{"an unusable entry counts as absent", "plan/departures.go",
		"if c.unusable[o.Ref] {", "if false {", "./plan", "TestPinOfAnUnusableEntry"},
	{"protected accounts are suspended", "plan/departures.go",
		"if o.ReadOnly != \"\" || o.Protected != \"\" {", "if o.ReadOnly != \"\" {", "./plan", "TestPlans"},
	{"there is no grace period", "plan/departures.go",
		"!c.in.Now.Before(end)", "!end.IsZero()", "./plan", "TestPlans"},
	{"a source without users is planned on", "reconcile/read.go",
		"if users > 0 && v.entries.User == 0 {", "if false {",
		"./reconcile", "TestLaw1NoUsersWhereThereWereSomeFails"},
	{"members stay confirmed while they change", "reconcile/tenant.go",
		"return t.cfg.Ledger.Unconfirm(ctx, ids...)", "return nil", "./reconcile", "TestAWorkerThatDiesAfterAWrite"},
	{"a suspension is not noted before it is made", "reconcile/tenant.go",
		"a.mu.Unlock()\n\treturn a.store(ctx, refs)", "a.mu.Unlock()\n\treturn nil",
		"./reconcile", "TestAWorkerThatDiesAfterAWrite"},

	// Lanes and failures.
	{"a refused object denies the target", "reconcile/settle.go",
		"if kind == fault.Denied {", "if true {", "./reconcile", "TestATakenAddressWaitsForItsGiver"},
	{"a lane of suspensions is given up", "reconcile/lanes.go",
		"return of != plan.LaneSuspend && !l.accepted", "return !l.accepted",
		"./reconcile", "TestLaw10ALaneThatIsRefusedIsGivenUp"},
	{"a deletion does not begin with a suspension", "reconcile/lanes.go",
		"ok := a.changes[i].Suspension(a.view.state.EndsSessions); ok {",
		"ok := a.changes[i].Suspension(a.view.state.EndsSessions); ok && false {",
		"./reconcile", "TestLaw11ARefusedDeletionLeavesNobodyActive"},
	{"a deletion is counted beside its suspension", "reconcile/apply.go",
		"e != nil && c.Op == plan.Delete && e.suspended {", "e != nil && c.Op == plan.Delete && false {",
		"./reconcile", "TestLaw11ARefusedDeletionLeavesNobodyActive"},
	{"an account whose deletion was not found is forgotten", "reconcile/settle.go",
		"c.Op != plan.Suspend && c.Op != plan.Delete {", "c.Op != plan.Suspend {",
		"./reconcile", "TestLaw11ARefusedDeletionLeavesNobodyActive"},
	{"a counted departure is spent again", "reconcile/apply.go", "c.Approved || c.Counted ||", "c.Approved ||",
		"./reconcile", "TestLaw11ARefusedDeletionLeavesNobodyActive"},
	{"a counted departure is of any age", "plan/departures.go", "l.Suspended && now.Sub(l.Departed) < 24*time.Hour",
		"l.Suspended", "./plan", "TestADepartureCountsOnce"},
	{"leavers that wait are forgotten", "reconcile/news.go",
		"return slices.DeleteFunc(users, func(ref directory.Ref) bool { return stay[ref] }), nil",
		"return nil, nil", "./reconcile", "TestUnsentLeavers"},
	{"a disabled user is no leaver that waits", "reconcile/news.go", "= local.Entries[i].Active", "= true",
		"./reconcile", "TestUnsentLeavers"},
	{"a suspended user is sent again", "reconcile/delta.go", `link.RemoteID != "" && !link.Suspended }`,
		`link.RemoteID != "" }`, "./reconcile", "TestUnsentLeavers"},
	{"a worker that does not poll keeps its leavers", "jobs/watch.go",
		"p.wait = p.c.Watch.Every\n\t\tp.sendAgain(ctx, p.c)", "p.wait = p.c.Watch.Every",
		"./jobs", "TestAWorkerThatDoesNotPollSendsItsLeaversAgain"},
	{"the next worker does not send what waits", "jobs/watch.go",
		"p.outboxes[c.Name].unsent.Store(true)", "_ = c", "./jobs", "TestAProviderThatCannotBeReadStopsNoPoll"},
	{"suspensions come last", "plan/lane.go", "case Suspend:\n\t\treturn 0\n", "case Suspend:\n\t\treturn 22\n",
		"./plan", "TestUndoOfLeavers"},
	{"a change without an answer counts as settled", "reconcile/apply.go",
		"if r.Err == nil || !unanswered(r.Err) {", "if true {", "./reconcile", "TestAWorkerThatDiesAfterAWrite"},
	{"a run is never resumed", "status/lua/reap.lua", "return answer('resume', id)", "return { 'none' }",
		"./status", "TestKilledWorkersRunIsResumedUnderANewEpoch"},
	{"a lost response of a release is an error", "status/lua/release.lua",
		"if redis.call('HGET', rec, 'released_by') == token then", "if false then", "./status", "TestDeferAndWake"},
}
