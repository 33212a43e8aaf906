package simulate

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"rollcall/directory"
	"rollcall/jobs"
	"rollcall/plan"
)

// event is something that happens. a and b choose the people that it concerns.
type event struct {
	what    string
	a, b    int
	then    time.Duration // how long until the next event
	hazards []hazard
}

func (e event) String() string {
	out := fmt.Sprintf("%s(%d, %d), then %s", e.what, e.a, e.b, e.then)
	for _, h := range e.hazards {
		out += fmt.Sprintf("; %s %s from call %d, %d calls, %s", h.place, h.kind, h.nth, h.calls, h.long)
	}
	return out
}

type history struct {
	setup  setup
	events []event
}

func (h history) String() string {
	lines := []string{fmt.Sprintf("%+v", h.setup)}
	for i, e := range h.events {
		lines = append(lines, fmt.Sprintf("%d. %s", i+1, e))
	}
	return strings.Join(lines, "\n")
}

// happen has what each event does. The order of names is that of the draw; simple ones come first, since a failing
// history is shrunk towards them.
var happen = map[string]func(s *sim, c *company, a, b int){
	"nothing": func(*sim, *company, int, int) {},
	"hire":    hire,
	"leave":   func(_ *sim, c *company, a, _ int) { c.people[a].present = false },
	"disable": func(_ *sim, c *company, a, _ int) { c.people[a].active = false },
	"return":  func(_ *sim, c *company, a, _ int) { c.people[a].present, c.people[a].active = true, true },
	"rename":  func(_ *sim, c *company, a, b int) { c.people[a].name = fmt.Sprintf("x%02d-%d", a, b) },
	"swap": func(_ *sim, c *company, a, b int) {
		c.people[a].name, c.people[b].name = c.people[b].name, c.people[a].name
	},
	"re-create":    func(s *sim, c *company, a, _ int) { c.people[a].id = s.freshID(c.people[a].id) },
	"change title": changeTitle,
	"join":         func(_ *sim, c *company, a, b int) { c.groups[b%len(c.groups)].members[a] = true },
	"quit":         func(_ *sim, c *company, a, b int) { delete(c.groups[b%len(c.groups)].members, a) },
	"add group":    addGroup,
	"rename group": func(_ *sim, c *company, a, b int) {
		c.groups[b%len(c.groups)].name = fmt.Sprint("team", b, "-", a)
	},
	"sync source":   func(s *sim, _ *company, _, _ int) { s.start(corp) },
	"sync provider": func(s *sim, _ *company, _, _ int) { s.start(cloud) },
	"sync person":   func(s *sim, c *company, a, _ int) { s.object(directory.User, c.people[a].id) },
	"sync group": func(s *sim, c *company, _, b int) {
		s.object(directory.Group, c.groups[b%len(c.groups)].id)
	},
	"approve all": func(s *sim, _ *company, _, _ int) {
		s.approve(corp, true, plan.Approved)
		s.approve(cloud, true, plan.Approved)
	},
	"approve part":   func(s *sim, _ *company, _, _ int) { s.approve(cloud, false, plan.Approved) },
	"reject":         func(s *sim, _ *company, _, _ int) { s.approve(cloud, false, plan.Rejected) },
	"undo":           func(s *sim, _ *company, _, _ int) { s.undo() },
	"order to leave": func(s *sim, c *company, a, _ int) { s.orderToLeave(c.people[a].id) },
	"lift order":     func(s *sim, _ *company, a, _ int) { s.liftOrder(a) },
	"pause":          func(s *sim, _ *company, a, _ int) { s.pause(a) },
	"resume":         func(s *sim, _ *company, a, _ int) { s.resume(a) },
	"lift pins":      func(s *sim, _ *company, _, _ int) { s.lift() },
	"cancel":         cancel,
	"refuse":         refuse,
	"suspend abroad": suspendAbroad,
	"change scope":   func(_ *sim, c *company, _, _ int) { c.staff = !c.staff },
	"add worker":     func(s *sim, _ *company, a, b int) { s.hireWorker(skewOf(a, b)) },
	"stop worker":    func(s *sim, _ *company, a, _ int) { s.withWorker(a, func(i int) { s.dismiss(i, false) }) },
	"kill worker":    func(s *sim, _ *company, a, _ int) { s.withWorker(a, func(i int) { s.dismiss(i, true) }) },
	"pause worker":   func(s *sim, _ *company, a, _ int) { s.withWorker(a, func(i int) { s.workers[i].pause() }) },
	"wake workers":   wake,
	"lose task":      func(s *sim, _ *company, _, _ int) { s.redis.loseTask() },
	"repeat task":    func(s *sim, _ *company, _, _ int) { s.redis.repeatTask() },
	"save redis":     func(s *sim, _ *company, _, _ int) { s.kept = s.redis.save() },
	"restore redis":  func(s *sim, _ *company, _, _ int) { s.lose(s.kept) },
	"empty redis":    func(s *sim, _ *company, _, _ int) { s.lose(nil) },
}

func hire(s *sim, c *company, a, b int) {
	if len(c.people) >= 12 {
		return
	}
	p := newPerson(len(c.people), 0)
	switch b {
	case 0:
		p.name = otherName // taken by an account that is not ours
	case 1:
		p.name = refusedName + p.name
	case 2:
		p.title = extern
	}
	if slices.ContainsFunc(c.people, func(q person) bool { return q.name == p.name }) {
		return
	}
	c.people = append(c.people, p)
	if len(c.groups) > 0 {
		c.groups[a%len(c.groups)].members[len(c.people)-1] = true
	}
}

func changeTitle(_ *sim, c *company, a, b int) {
	c.people[a].title = []string{"staff", extern, "chief", "temp"}[b%4]
}

func addGroup(s *sim, c *company, a, b int) {
	if len(c.groups) >= 4 {
		return
	}
	n := len(c.groups)
	c.groups = append(c.groups, group{id: directory.ID(fmt.Sprintf("g%d.0", n)), name: fmt.Sprint("crew", n),
		members: map[int]bool{a: true, b % len(c.people): true}})
}

func cancel(s *sim, _ *company, a, _ int) {
	id := cloud
	if a%2 == 0 {
		id = corp
	}
	_, err := s.api.client.Cancel(s.ctx(), id, "tester")
	s.note("cancel %s: %v", id, err)
}

// refuse has the tenant refuse writes to one account from now on, or take them again.
func refuse(s *sim, c *company, a, _ int) {
	s.tenant.each(c.people[a].id, func(acc *account) { acc.refused = !acc.refused })
}

// suspendAbroad is an administrator of the tenant.
func suspendAbroad(s *sim, c *company, a, _ int) {
	s.tenant.each(c.people[a].id, func(acc *account) {
		if acc.Active {
			acc.Active, acc.Suspender = false, plan.Else
		}
	})
}

func wake(s *sim, _ *company, _, _ int) {
	for _, p := range s.workers {
		p.resume()
	}
}

func skewOf(a, b int) time.Duration {
	return []time.Duration{0, 0, 20 * time.Second, -20 * time.Second, 2 * time.Hour, -31 * day}[(a+b)%6]
}

// draw draws a history.
func draw(t *rapid.T) history {
	var h history
	h.setup = setup{
		people: rapid.IntRange(2, 8).Draw(t, "people"), groups: rapid.IntRange(1, 3).Draw(t, "groups"),
		marks: rapid.Bool().Draw(t, "marks"), deletes: rapid.Bool().Draw(t, "deletes"),
		delta: rapid.Bool().Draw(t, "delta"),
	}
	for range rapid.IntRange(1, 3).Draw(t, "workers") {
		h.setup.skews = append(h.setup.skews, skewOf(rapid.IntRange(0, 5).Draw(t, "skew"), 0))
	}
	h.events = rapid.SliceOfN(rapid.Custom(drawEvent), 1, 14).Draw(t, "events")
	return h
}

// names are those of the events, in a fixed order.
var names = func() (out []string) {
	for name := range happen {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}()

func drawEvent(t *rapid.T) event {
	e := event{
		what: rapid.SampledFrom(names).Draw(t, "what"),
		a:    rapid.IntRange(0, 11).Draw(t, "a"), b: rapid.IntRange(0, 11).Draw(t, "b"),
	}
	switch rapid.IntRange(0, 9).Draw(t, "pace") {
	case 0:
		e.then = time.Second
	case 8:
		e.then = time.Duration(rapid.IntRange(1, 30).Draw(t, "hours")) * time.Hour
	case 9:
		e.then = time.Duration(rapid.IntRange(2, 40).Draw(t, "days")) * day
	default:
		e.then = time.Duration(rapid.IntRange(1, 60).Draw(t, "seconds")) * time.Second
	}
	if rapid.IntRange(0, 2).Draw(t, "fair") > 0 {
		e.hazards = rapid.SliceOfN(rapid.Custom(drawHazard), 1, 3).Draw(t, "hazards")
	}
	return e
}

func drawHazard(t *rapid.T) hazard {
	h := hazard{
		place: rapid.SampledFrom([]string{redisInTask, redisBeside, atSource, atTenant, atFeed}).Draw(t, "place"),
		calls: rapid.SampledFrom([]int{1, 1, 1, 3, 30}).Draw(t, "calls"),
	}
	kinds, most := []string{failed, lost, twice, full, readOnly, delayed, answered}, 60
	switch h.place {
	case atSource, atFeed:
		kinds, most = []string{failed, refused, delayed, answered, stale, short}, 2
	case atTenant:
		kinds, most = []string{failed, lost, refused, throttled, delayed, answered, hanging}, 20
	}
	h.kind = rapid.SampledFrom(kinds).Draw(t, "kind")
	h.nth = rapid.IntRange(1, most).Draw(t, "nth")
	h.long = time.Duration(rapid.SampledFrom([]int{1, 7, 20, 40}).Draw(t, "long")) * time.Second
	if h.kind == stale || h.kind == short {
		h.place += " " + h.kind
	}
	return h
}

// carryOut lets an event happen, and the time after it pass.
func (s *sim) carryOut(e event) {
	s.note("%s", e)
	before := s.past.now()
	c := before.clone()
	happen[e.what](s, &c, e.a%len(c.people), e.b%max(1, len(c.people)))
	s.past.set(c)
	s.hazards.set(e.hazards)
	if c.staff != before.staff {
		s.restartAll(0)
	}
	const wait, step = 3 * time.Minute, 10 * time.Second
	if e.then <= wait {
		time.Sleep(e.then)
		return
	}
	waited := step
	for time.Sleep(step); waited < wait && s.busy(); waited += step {
		time.Sleep(step)
	}
	wake(s, nil, 0, 0)
	s.hazards.set(nil)
	s.restartAll(e.then - waited) // The workers are away meanwhile, because waiting workers cost time.
}

// lose gives Redis an older state, or none.
func (s *sim) lose(kept snapshot) {
	s.restore(kept)
	clear(s.accepted)
	s.orders = nil
	s.unpaused()
}

func (s *sim) withWorker(a int, do func(i int)) {
	if len(s.workers) > 0 {
		do(a % len(s.workers))
	}
}

// freshID returns a new id for the same person.
func (s *sim) freshID(id directory.ID) directory.ID {
	place, _, _ := strings.Cut(string(id), ".")
	return directory.ID(fmt.Sprintf("%s.%d", place, len(s.past.souls)))
}

// loseTask has a queue forget its oldest waiting task.
func (s *server) loseTask() {
	for _, queue := range []string{jobs.FullQueue, jobs.ObjectQueue} {
		if id, err := s.Pop("asynq:{" + queue + "}:pending"); err == nil {
			s.Del("asynq:{" + queue + "}:t:" + id)
			return
		}
	}
}

// repeatTask has a queue deliver a task again that a worker has.
func (s *server) repeatTask() {
	for _, queue := range []string{jobs.FullQueue, jobs.ObjectQueue} {
		if ids, err := s.List("asynq:{" + queue + "}:active"); err == nil && len(ids) > 0 {
			_, _ = s.Push("asynq:{"+queue+"}:pending", ids[0])
			return
		}
	}
}
