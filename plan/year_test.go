package plan_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// year is a company with days that a test lets pass.
type year struct {
	in     plan.Input
	remote *tenant
	spent  map[plan.Brake][]time.Time
	left   map[directory.ID][]time.Time
	next   int
}

func newYear(people int) *year {
	y := &year{in: plan.Input{Now: now, Policy: suspend}, remote: &tenant{objects: map[string]*plan.Object{}},
		spent: map[plan.Brake][]time.Time{}, left: map[directory.ID][]time.Time{}}
	for range people {
		y.join()
	}
	for g := range people / 25 {
		var members []string
		for i := range 25 {
			members = append(members, string(y.in.Desired[g*25+i].ID))
		}
		y.in.Desired = append(y.in.Desired, team(fmt.Sprintf("g%03d", g), fmt.Sprintf("g%03d@x", g), members...))
	}
	return y
}

func (y *year) join() {
	id := fmt.Sprintf("u%05d", y.next)
	y.next++
	y.in.Desired = append(y.in.Desired, want(id, id+"@x", "name", id))
}

func (y *year) recent(times []time.Time) (n int) {
	for _, at := range times {
		if y.in.Now.Sub(at) < 24*time.Hour {
			n++
		}
	}
	return n
}

// day carries out one run and returns what it holds.
func (y *year) day(t *testing.T, verdicts map[string]plan.Verdict) plan.Plan {
	y.in.State = y.remote.state()
	b := plan.Budget{User: y.recent(y.spent[plan.BrakeLeave]), Members: map[directory.ID]int{}}
	b.Reactivated.User, b.Renamed.User = y.recent(y.spent[plan.BrakeReactivate]), y.recent(y.spent[plan.BrakeRename])
	for id, times := range y.left {
		b.Members[id] = y.recent(times)
	}
	apply, waits := plan.Compute(y.in).Guard(plan.Limits{Verdicts: verdicts}, b)
	for _, c := range apply.Changes {
		y.remote.apply(t, c)
		switch brake := c.Brake(); {
		case c.Approved || brake == "":
		case brake == plan.BrakeMembers:
			y.left[c.ID] = append(y.left[c.ID], y.in.Now)
		default:
			y.spent[brake] = append(y.spent[brake], y.in.Now)
		}
	}
	return waits
}

func (y *year) people() (out []*plan.Desired) {
	for i := range y.in.Desired {
		if d := &y.in.Desired[i]; d.Kind == directory.User {
			out = append(out, d)
		}
	}
	return out
}

func TestTheBrakesLetOrdinaryDaysPass(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 1))
	y := newYear(1000)
	y.day(t, nil)
	for day := range 200 {
		y.in.Now = y.in.Now.Add(24 * time.Hour)
		people := y.people()
		pick := func() *plan.Desired { return people[r.IntN(len(people))] }
		if r.IntN(3) > 0 {
			y.join()
		}
		if r.IntN(3) > 0 {
			d := pick()
			d.Active, d.Why = false, plan.Disabled
		}
		for range r.IntN(3) { // marriages
			d := pick()
			d.Address, d.Fields = fmt.Sprintf("n%d-%s@x", day, d.ID), fields("name", fmt.Sprint("Married ", day))
		}
		for _, d := range people { // returns
			if !d.Active && r.IntN(30) == 0 {
				d.Active, d.Why = true, ""
			}
		}
		y.move(r)
		if waits := y.day(t, nil); !waits.Empty() {
			t.Fatalf("day %d holds %v", day, held(waits))
		}
	}
}

// move lets one or two people change teams.
func (y *year) move(r *rand.Rand) {
	var teams []*plan.Desired
	for i := range y.in.Desired {
		if d := &y.in.Desired[i]; d.Kind == directory.Group && len(d.Members) > 1 {
			teams = append(teams, d)
		}
	}
	from, to := teams[r.IntN(len(teams))], teams[r.IntN(len(teams))]
	m := from.Members[0]
	if from == to || slices.Contains(to.Members, m) {
		return
	}
	from.Members = slices.Clone(from.Members[1:])
	to.Members = append(slices.Clone(to.Members), m)
	slices.SortFunc(to.Members, func(a, b plan.Member) int { return a.Ref.Compare(b.Ref) })
}

func TestStartOfTermIsOneQuestion(t *testing.T) {
	t.Parallel()
	y := newYear(1000)
	y.day(t, nil)
	for i := range 300 { // Over the summer, slowly.
		y.in.Desired[i*3].Active, y.in.Desired[i*3].Why = false, plan.Disabled
		if i%20 == 19 {
			y.in.Now = y.in.Now.Add(24 * time.Hour)
			if waits := y.day(t, nil); !waits.Empty() {
				t.Fatalf("the summer holds %v", held(waits))
			}
		}
	}
	for i := range 300 {
		y.in.Desired[i*3].Active, y.in.Desired[i*3].Why = true, ""
	}
	y.in.Now = y.in.Now.Add(24 * time.Hour)
	waits := y.day(t, nil)
	reasons := map[string]bool{}
	verdicts := map[string]plan.Verdict{}
	for _, c := range waits.Changes {
		reasons[c.Held] = true
		verdicts[c.Fingerprint()] = plan.Approved
	}
	if len(waits.Changes) != 300 || len(reasons) != 1 || !strings.HasPrefix(waits.Changes[0].Held,
		"300 accounts would become active again") {
		t.Fatalf("%d are held, because %v", len(waits.Changes), reasons)
	}
	if waits = y.day(t, verdicts); !waits.Empty() {
		t.Errorf("after the approval %v is held", held(waits))
	}
	if waits = y.day(t, nil); !waits.Empty() {
		t.Errorf("the next run holds %v", held(waits))
	}
}
