package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"rollcall/directory"
)

const domain = "example.com"

// person is a person of the company. Its place in company.people stays the same, whatever id the directory gives it.
type person struct {
	id      directory.ID
	name    string // the login name, which is also the local part of the address
	title   string
	number  string // the employee number; empty for some
	present bool
	active  bool
}

func (p *person) address() string { return p.name + "@" + domain }

// group is a group of the company, by the places of its members.
type group struct {
	id      directory.ID
	name    string
	members map[int]bool
}

// company is the truth at one time: what the directory says, and what the configuration makes of it.
type company struct {
	people []person
	groups []group
	// staff is set where the configuration leaves out people with the title extern.
	staff bool
}

// wanted reports whether a person should have an active account.
func (c *company) wanted(i int) bool {
	p := &c.people[i]
	return p.present && p.active && !(c.staff && p.title == extern)
}

const extern = "extern"

func (c company) clone() company {
	out := company{people: slices.Clone(c.people), groups: slices.Clone(c.groups), staff: c.staff}
	for i := range out.groups {
		out.groups[i].members = maps.Clone(out.groups[i].members)
	}
	return out
}

// snapshot returns the company as a source reads it.
func (c *company) snapshot(version int) directory.Snapshot {
	var s directory.Snapshot
	for _, p := range c.people {
		if p.present {
			s.Entries = append(s.Entries, directory.Entry{
				Kind: directory.User, ID: p.id, Source: "corp", DN: "uid=" + p.name, Active: p.active,
				Attributes: directory.Attributes{}.Set(directory.UserName, p.name).Set(directory.Mail, p.address()).
					Set(directory.Description, p.title).Set(directory.EmployeeNumber, p.number),
			})
		}
	}
	for _, g := range c.groups {
		e := directory.Entry{
			Kind: directory.Group, ID: g.id, Source: "corp", DN: "cn=" + g.name, Active: true,
			Attributes: directory.Attributes{}.Set(directory.CommonName, g.name),
		}
		for i := range g.members {
			if c.people[i].present {
				e.Members = append(e.Members, directory.Ref{Kind: directory.User, ID: c.people[i].id})
			}
		}
		slices.SortFunc(e.Members, directory.Ref.Compare)
		s.Entries = append(s.Entries, e)
	}
	slices.SortFunc(s.Entries, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) })
	s.Position = directory.Position{Server: "dc1", Name: "ldap://dc1",
		Seen: map[string]string{"dc1": strconv.Itoa(version)}}
	return s
}

// coverage counts the people with a title.
func (c *company) coverage() []directory.Coverage {
	titles := directory.Coverage{Kind: directory.User, Name: "description", Attributes: []string{directory.Description}}
	for _, p := range c.people {
		if p.present && p.title != "" {
			titles.Entries++
		}
	}
	return []directory.Coverage{titles}
}

// facts returns what should be on in the tenant: "active 3" for a person, "member g1 3" for a membership.
func (c *company) facts() map[string]bool {
	out := map[string]bool{}
	for i := range c.people {
		if c.wanted(i) {
			out[fmt.Sprint("active ", i)] = true
		}
	}
	for _, g := range c.groups {
		for i := range g.members {
			if c.wanted(i) {
				out[fmt.Sprint("member ", g.id, " ", i)] = true
			}
		}
	}
	return out
}

// epoch is the company as it was from a time on.
type epoch struct {
	from time.Time
	company
	facts map[string]bool
}

// past is the company with its history. The directory answers from it, sometimes with an older state.
type past struct {
	mu     sync.Mutex
	epochs []epoch
	// souls are the places of the people, by every id that they ever had.
	souls map[directory.ID]int
}

func (p *past) now() company {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epochs[len(p.epochs)-1].clone()
}

// set makes a change of the company from now on.
func (p *past) set(c company) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range c.people {
		p.souls[c.people[i].id] = i
	}
	p.epochs = append(p.epochs, epoch{time.Now(), c, c.facts()})
}

// at returns the company as it was so many changes ago, and its version.
func (p *past) at(ago int) (company, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := max(0, len(p.epochs)-1-ago)
	return p.epochs[i].clone(), i
}

// since returns from when on the directory tells the state that was so many changes ago; the present for none.
func (p *past) since(ago int) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ago == 0 {
		return time.Now()
	}
	return p.epochs[max(0, len(p.epochs)-1-ago)].from
}

// always reports whether a fact held at every moment since a time, while the directory told that the account was the
// person's.
func (p *past) always(fact string, of *owned, since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range slices.Backward(p.epochs) {
		if !e.facts[fact] || !e.tells(of) {
			return false
		}
		if !e.from.After(since) {
			return true
		}
	}
	return false
}

// told reports whether the directory told at every moment since a time that an account is a person's.
func (p *past) told(of *owned, since time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range slices.Backward(p.epochs) {
		if !e.tells(of) {
			return false
		}
		if !e.from.After(since) {
			break
		}
	}
	return true
}

// tells reports whether the directory shows that an account is the one of a person. A person who gets a new id and a
// new name at once, and has no employee number, is another person to each reader.
func (c *company) tells(of *owned) bool {
	p := &c.people[of.soul]
	return p.id == of.id || p.address() == of.address || of.numbered && p.number != ""
}

// soul returns the place of a person by its id.
func (p *past) soul(ref directory.Ref) (int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	i, ok := p.souls[ref.ID]
	return i, ok && ref.Kind == directory.User
}
