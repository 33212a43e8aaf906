package simulate

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/status"
)

// check returns what the trace shows to be wrong, after each event.
func (s *sim) check() error {
	return errors.Join(s.traced(), s.oncePerTick(), s.stillThere(), s.obeyed())
}

// traced checks the trace alone. It calls nothing while it holds the tenant.
func (s *sim) traced() error {
	s.tenant.mu.Lock()
	defer s.tenant.mu.Unlock()
	if len(s.tenant.wrong) > 0 {
		return errors.New(s.tenant.wrong[0])
	}
	return errors.Join(s.neverAbsent(), s.withinBudget(), s.fenced(), s.stopped(), s.onlyOrdered())
}

// neverAbsent: no membership and no active account that is wanted before and after is ever taken away in between.
func (s *sim) neverAbsent() error {
	for i := range s.tenant.trace {
		r := &s.tenant.trace[i]
		decided := r.change.Undoes || r.change.Why == plan.Reverted || r.change.Why == plan.Ordered
		if r.took != "" && r.made && !decided && s.past.always(r.took, &r.of, r.copied) {
			return fmt.Errorf("taken away though wanted all the time since %s (%s): %s", r.copied.Format("02 15:04:05"),
				r.took, r)
		}
	}
	return nil
}

const day = 24 * time.Hour

// withinBudget: in no 24 hours is there more harm than the limits allow, except what was approved. The limit is three,
// because there are fewer than 60 accounts.
func (s *sim) withinBudget() error {
	const limit = 3
	var at [3][]*request
	for i := range s.tenant.trace {
		r := &s.tenant.trace[i]
		c := &r.change
		if !r.made || c.Approved || c.Kind != directory.User || r.at.Before(s.tenant.forgot) {
			continue
		}
		switch {
		case c.Op == plan.Suspend || c.Op == plan.Delete:
			at[0] = append(at[0], r)
		case c.Op == plan.Restore && c.Inactive && !c.Undoes:
			at[1] = append(at[1], r)
		case c.Op == plan.Update && !c.Undoes && renames(c):
			at[2] = append(at[2], r)
		}
	}
	for _, all := range at {
		for i := limit; i < len(all); i++ {
			if all[i].at.Sub(all[i-limit].at) < day {
				return fmt.Errorf("more than %d in 24 hours: %s ... %s", limit, all[i-limit], all[i])
			}
		}
	}
	return nil
}

func renames(c *plan.Change) bool {
	return slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool { return f.Name == plan.AddressField })
}

// fenced: no request of a run is begun by an older epoch after one by a newer, or by an older run after a newer.
func (s *sim) fenced() error {
	newest := map[string]int{}
	var last, before string
	over := map[string]bool{}
	begun := slices.SortedStableFunc(slices.Values(s.tenant.trace), func(a, b request) int { return a.at.Compare(b.at) })
	for i := range begun { // The trace has the order in which the requests were carried out.
		r := &begun[i]
		if !r.full {
			continue
		}
		run, text, _ := strings.Cut(r.task, ":")
		epoch, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("task %q: %w", r.task, err)
		}
		if epoch < newest[run] {
			return fmt.Errorf("begun by epoch %d after epoch %d: %s", epoch, newest[run], r)
		}
		newest[run] = epoch
		if run != last {
			if before, last = last, run; before != "" {
				over[before] = true
			}
			if over[run] {
				return fmt.Errorf("begun by an older run: %s", r)
			}
		}
	}
	return nil
}

// oncePerTick: the schedule starts no more runs than there were ticks.
func (s *sim) oncePerTick() error {
	runs, _, err := s.api.status.List(context.Background(), corp, 0, status.MaxList)
	if err != nil {
		return nil //nolint:nilerr // Redis is faulty now: the next check sees it.
	}
	n := 0
	for _, r := range runs {
		if r.Trigger.Kind == status.BySchedule {
			n++
		}
	}
	if most := int(time.Since(s.began)/every) + 1; n > most {
		return fmt.Errorf("%d scheduled runs of the source in %s, want at most %d", n, time.Since(s.began), most)
	}
	return nil
}

// converge heals everything and lets the company settle. The error says what is wrong then.
func (s *sim) converge() error {
	s.hazards.set(nil)
	for _, p := range s.workers {
		p.resume()
	}
	s.lift()
	s.reopen()
	s.restartAll(0)
	s.unpaused()
	for _, c := range []container.ID{corp, cloud} {
		_, _ = s.api.api.Resume(s.ctx(), c, tester.Name) // Most often it is not paused.
	}
	if !s.quiet() {
		return errors.New("the queues are not done within two hours")
	}
	s.lift() // An undo that was still open has set its pins meanwhile.
	if err := s.settle(); err != nil {
		return err
	}
	if err := s.inForce(); err != nil {
		return err
	}
	if any, err := s.liftOrders(); err != nil {
		return err
	} else if any {
		if err := s.settle(); err != nil {
			return err
		}
	}
	return errors.Join(s.check(), s.settled(), s.oneOutcome())
}

// settle carries out full runs and approves what they hold, until nothing is held.
func (s *sim) settle() error {
	for range 12 {
		s.start(corp)
		if !s.quiet() {
			return errors.New("the queues are not done within two hours")
		}
		s.start(cloud)
		if !s.quiet() {
			return errors.New("the queues are not done within two hours")
		}
		if err := s.check(); err != nil {
			return err
		}
		if s.approve(corp, true, plan.Approved)+s.approve(cloud, true, plan.Approved) == 0 {
			break
		}
		s.quiet()
	}
	return nil
}

// reopen has a person return to a company that all have left. A directory without users is refused (law 1), so that
// nothing would be carried out there.
func (s *sim) reopen() {
	c := s.past.now()
	if slices.ContainsFunc(c.people, func(p person) bool { return p.present }) {
		return
	}
	c = c.clone()
	c.people[0].present, c.people[0].active = true, true
	s.past.set(c)
}

// settled: nothing is left to do, and the tenant is as the company says.
func (s *sim) settled() error {
	all := s.workers[0].containers()
	var left []string
	held := map[directory.ID]bool{}
	for i := range all {
		report, err := all[i].Engine().Execute(context.Background(), reconcile.Run{
			ID: "last", Scope: reconcile.Full().DryRun(), Memory: memory(s, &all[i]), Journal: noJournal{},
		})
		if err != nil {
			return fmt.Errorf("plan %s: %w", all[i].Name, err)
		}
		for _, changes := range [][]plan.Change{report.Apply.Changes, report.Held.Changes} {
			for k := range changes {
				if c := &changes[k]; !s.refuses(c) {
					left = append(left, fmt.Sprintf("%s %s %s %s", c.Op, c.Ref, c.Address, c.Held))
				}
			}
		}
		for _, h := range report.Apply.Held {
			held[h.ID] = true
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("left to do: %s", strings.Join(left, "; "))
	}
	return s.asWanted(held)
}

// refuses reports whether the tenant refuses a change for good.
func (s *sim) refuses(c *plan.Change) bool {
	if strings.HasPrefix(c.Address, refusedName) {
		return true
	}
	if c.Member != nil && c.MemberRemoteID == "" { // The member has no account.
		if i, ok := s.past.soul(*c.Member); ok {
			return strings.HasPrefix(s.past.now().people[i].name, refusedName)
		}
	}
	a, m := s.tenant.accounts[c.RemoteID], s.tenant.accounts[c.MemberRemoteID]
	return a != nil && a.refused || m != nil && m.refused
}

// asWanted compares the tenant with the company. Entries that are held as conflicts are named to the operator.
func (s *sim) asWanted(held map[directory.ID]bool) error {
	c := s.past.now()
	live := map[int][]*account{}
	groups := map[directory.ID]*account{}
	for _, id := range slices.Sorted(maps.Keys(s.tenant.accounts)) {
		a := s.tenant.accounts[id]
		if a.deleted.IsZero() && a.Kind == directory.User && a.Anchored() {
			live[s.past.souls[a.ID]] = append(live[s.past.souls[a.ID]], a)
		} else if a.deleted.IsZero() && a.Kind == directory.Group {
			groups[a.ID] = a
		}
	}
	var wrong []string
	bad := func(format string, args ...any) { wrong = append(wrong, fmt.Sprintf(format, args...)) }
	for i := range c.people {
		p := &c.people[i]
		accounts := slices.DeleteFunc(live[i], func(a *account) bool { return a.ID != p.id && !a.Active })
		switch {
		case held[p.id] || strings.HasPrefix(p.name, refusedName) || len(accounts) > 0 && accounts[0].refused:
		case !c.wanted(i):
			for _, a := range accounts {
				if a.Active {
					bad("%s is active and should not be", a.Address)
				}
			}
		case len(accounts) != 1:
			bad("%s has %d accounts", p.address(), len(accounts))
		case accounts[0].Suspender == plan.Else:
		case !accounts[0].Active || accounts[0].Address != p.address() || accounts[0].ID != p.id ||
			accounts[0].Fields.Get("title") != p.title:
			bad("%s is %s", p.address(), s.tenant.picture(accounts[0]))
		}
	}
	for _, g := range c.groups {
		a := groups[g.id]
		if held[g.id] || a != nil && a.refused {
			continue
		}
		if a == nil {
			bad("the group %s is missing", g.name)
			continue
		}
		for i := range c.people {
			p := &c.people[i]
			if !c.wanted(i) || held[p.id] || len(live[i]) != 1 || live[i][0].refused ||
				strings.HasPrefix(p.name, refusedName) {
				continue
			}
			if has := a.members[live[i][0].RemoteID]; has != g.members[i] {
				bad("%s is a member of %s: %v, want %v", p.address(), g.name, has, g.members[i])
			}
		}
	}
	if len(wrong) > 0 {
		return errors.New("after convergence: " + strings.Join(wrong, "; "))
	}
	return nil
}

// stillThere: an accepted object job has a record until it has its outcome, unless Redis lost it.
func (s *sim) stillThere() error {
	for id := range s.accepted {
		job, err := s.api.status.Job(context.Background(), cloud, id)
		switch {
		case err != nil && fault.KindOf(err) == fault.NotFound:
			return fmt.Errorf("accepted job %s: %w", id, err)
		case err == nil && job.State == status.JobDone && job.Outcome != "":
			delete(s.accepted, id)
		}
	}
	return nil
}

// oneOutcome: every accepted object job has an outcome after convergence.
func (s *sim) oneOutcome() error {
	if err := s.stillThere(); err != nil || len(s.accepted) == 0 {
		return err
	}
	return fmt.Errorf("accepted jobs without an outcome: %v", slices.Sorted(maps.Keys(s.accepted)))
}
