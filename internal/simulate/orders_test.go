package simulate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	"rollcall/status"
)

// tester is the person who orders and pauses.
var tester = api.Caller{Name: "tester", Scopes: []string{api.ScopeRead, api.ScopeSync, api.ScopeApprove}}

// types are what the API knows.
var types = []provider.Type{googleworkspace.Type()}

// order is an order to leave that was accepted and has not ended.
type order struct {
	plan.Order

	job string
	// done is when its job had carried it out; zero until then.
	done time.Time
}

// pause is the time in which writes to a container wait.
type pause struct{ from, to time.Time }

// newAPI returns the API of a process.
func (p *process) newAPI() *api.API {
	a, err := api.New(api.Config{
		Status: p.status, Decisions: p.decisions, Jobs: p.client, Directory: finder{p.sim}, Types: types,
		Resources: []api.Resource{{Container: corp, Name: "corp"}, {Container: cloud, Name: "cloud"}},
	})
	if err != nil {
		panic(err)
	}
	return a
}

// finder finds the people of the company.
type finder struct{ *sim }

// Find implements api.Directory.
func (f finder) Find(_ context.Context, _ container.ID, _ directory.Kind, id string) (out []api.Match, err error) {
	for _, p := range f.past.now().people {
		if p.present && string(p.id) == id {
			out = append(out, api.Match{Source: "corp", Label: p.name,
				Ref: directory.Ref{Kind: directory.User, ID: p.id}})
		}
	}
	return out, nil
}

// orderToLeave orders that a person leaves.
func (s *sim) orderToLeave(id directory.ID) {
	ref := directory.Ref{Kind: directory.User, ID: id}
	s.ordered[ref] = true
	o, jobs, err := s.api.api.Leave(s.ctx(), tester, string(id))
	s.note("order that %s leaves: %v %v", id, jobs, err)
	if o.ID == "" {
		return
	}
	s.orders = slices.DeleteFunc(s.orders, func(o order) bool { return o.Ref == ref })
	fresh := order{Order: o}
	for _, j := range jobs {
		if fresh.job = j.JobID; j.JobID != "" {
			s.accepted[j.JobID] = true
		}
	}
	s.orders = append(s.orders, fresh)
}

// liftOrder ends an order that stands.
func (s *sim) liftOrder(a int) {
	if len(s.orders) == 0 {
		return
	}
	i := a % len(s.orders)
	o := s.orders[i]
	s.orders = slices.Delete(s.orders, i, i+1)
	_, jobs, err := s.api.api.LiftLeave(s.ctx(), tester, string(o.ID))
	s.note("lift the order for %s: %v %v", o.ID, jobs, err)
	for _, j := range jobs {
		if j.JobID != "" {
			s.accepted[j.JobID] = true
		}
	}
}

func paused(a int) container.ID {
	if a%4 == 0 {
		return corp
	}
	return cloud
}

func (s *sim) pause(a int) {
	c := paused(a)
	_, err := s.api.api.Pause(s.ctx(), c, tester.Name)
	s.note("pause %s: %v", c, err)
	if n := len(s.pauses); err == nil && c == cloud && (n == 0 || !s.pauses[n-1].to.IsZero()) {
		s.pauses = append(s.pauses, pause{from: time.Now()})
	}
}

func (s *sim) resume(a int) {
	c := paused(a)
	if c == cloud {
		s.unpaused()
	}
	_, err := s.api.api.Resume(s.ctx(), c, tester.Name)
	s.note("resume %s: %v", c, err)
}

// unpaused ends what a pause of the provider promises.
func (s *sim) unpaused() {
	if n := len(s.pauses); n > 0 && s.pauses[n-1].to.IsZero() {
		s.pauses[n-1].to = time.Now()
	}
}

// noticed is how late a process may notice a pause.
const noticed = time.Second

// stopped: no write to a paused container begins after the pause was accepted.
func (s *sim) stopped() error {
	for i := range s.tenant.trace {
		r := &s.tenant.trace[i]
		for _, p := range s.pauses {
			if r.at.After(p.from.Add(noticed)) && (p.to.IsZero() || r.at.Before(p.to)) {
				return fmt.Errorf("begun in the pause since %s: %s", p.from.Format("02 15:04:05.000"), r)
			}
		}
	}
	return nil
}

// onlyOrdered: no account is suspended by an order of another person.
func (s *sim) onlyOrdered() error {
	for i := range s.tenant.trace {
		if r := &s.tenant.trace[i]; r.change.Why == plan.Ordered && !s.ordered[r.change.Ref] {
			return fmt.Errorf("suspended by an order that was never given: %s", r)
		}
	}
	return nil
}

// obeyed: no account becomes active after its order to leave was carried out, until the order was lifted or the
// directory agreed. No order ends otherwise.
func (s *sim) obeyed() error {
	stored, err := s.api.decisions.Orders(s.ctx())
	if err != nil {
		return nil //nolint:nilerr // Redis is faulty now: the next check sees it.
	}
	var wrong []error
	s.orders = slices.DeleteFunc(s.orders, func(o order) bool {
		gone := stored.Of(o.Ref) == nil
		if gone && !s.past.agreed(o.Ref, o.At) {
			wrong = append(wrong, fmt.Errorf("the order for %s ended by itself", o.ID))
		}
		return gone
	})
	for i := range s.orders {
		o := &s.orders[i]
		if o.done.IsZero() && o.job != "" {
			job, err := s.api.status.Job(s.ctx(), cloud, o.job)
			if err == nil && (job.Outcome == status.OutcomeSuspended || job.Outcome == status.OutcomeUnchanged) {
				o.done = job.FinishedAt
			}
		}
		if !o.done.IsZero() {
			wrong = append(wrong, s.tenant.activated(o.Ref, o.done.Add(time.Millisecond)))
		}
	}
	return errors.Join(wrong...)
}

// activated returns an error if an account became active after a time. A request that was given up counts for none.
func (t *tenant) activated(ref directory.Ref, after time.Time) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range t.trace {
		if r := &t.trace[i]; r.gave == ref && !r.late && r.ended.After(after) {
			return fmt.Errorf("active since %s in spite of an order that was carried out at %s: %s",
				r.ended.Format("02 15:04:05.000"), after.Format("02 15:04:05.000"), r)
		}
	}
	return nil
}

// agreed reports whether the directory told since a time that a user left or is disabled. It may have answered from the
// state before the last two changes.
func (p *past) agreed(ref directory.Ref, since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	older := 0
	for _, e := range slices.Backward(p.epochs) {
		i, known := p.souls[ref.ID]
		if !known || i >= len(e.people) || e.people[i].id != ref.ID || !e.people[i].present || !e.people[i].active {
			return true
		}
		if !e.from.After(since) {
			if older++; older > staleBy {
				return false
			}
		}
	}
	return false
}

// inForce: an account whose order stands is not active after convergence, unless the tenant refuses its suspension.
func (s *sim) inForce() error {
	stored, err := s.api.decisions.Orders(s.ctx())
	if err != nil {
		return err
	}
	s.tenant.mu.Lock()
	defer s.tenant.mu.Unlock()
	for _, a := range s.tenant.accounts {
		if a.Anchored() && a.deleted.IsZero() && a.Active && !a.refused && stored.Of(a.Ref) != nil {
			return fmt.Errorf("%s is active in spite of an order", a.Address)
		}
	}
	return nil
}

// liftOrders ends all orders, and reports whether there was one.
func (s *sim) liftOrders() (bool, error) {
	stored, err := s.api.decisions.Orders(s.ctx())
	if err != nil {
		return false, err
	}
	s.orders = nil
	for _, o := range stored.Leave {
		err = errors.Join(err, s.api.decisions.EndLeaves(s.ctx(), o.Ref))
	}
	return len(stored.Leave) > 0, err
}
