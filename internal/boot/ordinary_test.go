package boot_test

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"rollcall/container"
	"rollcall/plan"
)

var (
	ordinaryDays   = flag.Int("ordinary.days", 30, "how many days TestLaw12OrdinaryDaysHoldNothing lets pass")
	ordinaryPeople = flag.Int("ordinary.people", 200, "how many people the company of these days has")
)

// The brakes let ordinary days pass, through both hops: nothing is held, and both tenants follow the directory. In a
// company of 20 each person is 5 %.
func TestLaw12OrdinaryDaysHoldNothing(t *testing.T) {
	t.Parallel()
	for _, people := range []int{20, *ordinaryPeople} {
		t.Run(fmt.Sprint(people), func(t *testing.T) {
			t.Parallel()
			ordinary(t, people)
		})
	}
}

func ordinary(t *testing.T, people int) {
	c := newCompany(t, rand.New(rand.NewPCG(7, 2)), people)
	c.holdsNothing(c.sync(0, nil))
	changes := 0
	for day := range *ordinaryDays {
		c.live(day)
		reports := c.sync(1, nil)
		c.holdsNothing(reports)
		changes += reports[workspace].Applied
	}
	if changes < *ordinaryDays {
		t.Errorf("%d days have %d changes", *ordinaryDays, changes)
	}
	for name, r := range c.sync(0, nil) {
		if len(r.Apply.Changes) > 0 {
			t.Errorf("%s: %d changes are planned after the last day, the first: %s of %s", name, len(r.Apply.Changes),
				r.Apply.Changes[0].Op, r.Apply.Changes[0].Label)
		}
	}
}

// The start of term: 30 % of the people leave over the summer, and come back on one day. Each tenant asks once, with
// one reason, and goes on after one approval. While they are disabled, the same holds for the local directory if the
// attribute that says so is gone from all of them.
func TestLaw12StartOfTermIsOneQuestionInEachHop(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		set  func(p *colleague, away bool)
		asks []container.ID
	}{
		"disabled": {func(p *colleague, away bool) { p.locked = away }, []container.ID{corp, workspace, entra}},
		"removed":  {func(p *colleague, away bool) { p.away = away }, []container.ID{workspace, entra}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompany(t, rand.New(rand.NewPCG(7, 3)), *ordinaryPeople)
			c.holdsNothing(c.sync(0, nil))
			away := len(c.people) * 3 / 10
			perDay := len(c.people) / 33 // below the limit of departures
			for i, n := range c.Perm(len(c.people))[:away] {
				tc.set(c.people[n], true)
				if i%perDay == perDay-1 || i == away-1 {
					c.holdsNothing(c.sync(1, nil))
				}
			}
			for _, p := range c.people {
				tc.set(p, false)
			}
			c.asked(tc.asks, away)
		})
	}
}

// asked fails the test unless each of these containers asks once about so many people. Each goes on after its
// approval, and nothing is held then.
func (c *company) asked(asks []container.ID, people int) {
	c.Helper()
	var asked []container.ID
	days, approved := 1, map[string]plan.Verdict{}
	for range len(asks) + 1 {
		reports := c.sync(days, approved)
		days = 0
		waits := false
		for _, name := range []container.ID{corp, workspace, entra} {
			reasons, held := map[string]bool{}, reports[name].Held.Changes
			for i := range held {
				reasons[held[i].Held] = true
				approved[held[i].Fingerprint()] = plan.Approved
			}
			if len(held) == 0 {
				continue
			}
			asked, waits = append(asked, name), true
			if len(reasons) != 1 || len(held) != people {
				c.Errorf("%s holds %d changes for %v, want %d for one reason", name, len(held), slices.Collect(maps.Keys(reasons)),
					people)
			}
		}
		if !waits {
			c.holdsNothing(reports)
			break
		}
	}
	if !slices.Equal(asked, asks) {
		c.Errorf("asked: %v, want %v", asked, asks)
	}
	c.holdsNothing(c.sync(1, nil))
}
