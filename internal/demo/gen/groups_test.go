package gen

import (
	"fmt"
	"slices"
	"strings"
)

const backupDN = "uid=svc-backup,ou=services," + suffix

// group is one entry below ou=groups.
type group struct {
	cn, latin   string
	description string
	people      []*person
	groups      []*group
	// outside are DNs of members that are neither people nor groups here.
	outside []string
	unique  bool
}

func (g *group) dn() string { return "cn=" + escape(g.cn) + "," + groupsDN }

func (g *group) key() string { return g.cn }

func (g *group) comment() string {
	if g.latin != "" {
		return "group " + g.latin
	}
	return "group " + g.cn
}

// members are the DNs in two spellings. Every third is written with capitals, blanks and hexadecimal escapes (RFC
// 4514, section 2.4, allows all three).
func (g *group) members() []string {
	var out []string
	for _, p := range g.people {
		dn := p.dn()
		if p.number%3 == 2 {
			dn = otherSpelling(dn)
		}
		out = append(out, dn)
	}
	for _, m := range g.groups {
		out = append(out, m.dn())
	}
	return append(out, g.outside...)
}

func otherSpelling(dn string) string {
	dn = strings.NewReplacer(`\,`, `\2C`, `\+`, `\2B`, `\"`, `\22`, ",ou=", ", OU=", ",dc=", ", DC=").Replace(dn)
	return strings.NewReplacer("uid=", "UID=", "cn=", "CN=").Replace(dn)
}

func (g *group) add(people ...*person) {
	for _, p := range people {
		if !slices.Contains(g.people, p) {
			g.people = append(g.people, p)
		}
	}
}

func (g *group) remove(p *person) {
	g.people = slices.DeleteFunc(g.people, func(m *person) bool { return m == p })
}

// form makes a group.
func (c *company) form(cn, description string, people ...*person) *group {
	g := &group{cn: cn, description: description}
	g.add(people...)
	c.groups = append(c.groups, g)
	return g
}

func (c *company) group(cn string) *group {
	for _, g := range c.groups {
		if g.cn == cn {
			return g
		}
	}
	panic("no group " + cn)
}

// every returns the present people for which yes is true.
func (c *company) every(yes func(i int, p *person) bool) []*person {
	var out []*person
	for i, p := range c.people {
		if !p.left && p.unit != unitFormer() && yes(i, p) {
			out = append(out, p)
		}
	}
	return out
}

// nth takes every n-th person, from the first on.
func (c *company) nth(n, first int) []*person {
	return c.every(func(i int, _ *person) bool { return i%n == first })
}

// organise forms the groups, which are nested units and offices and some groups across them.
func (c *company) organise() {
	for i := range units {
		u := &units[i]
		if u.group != "" {
			c.form(u.group, u.department(), c.every(func(_ int, p *person) bool { return p.unit == u })...)
		}
	}
	c.form("Engineering", "Everybody in Engineering").groups = c.named("Platform", "Firmware", "Hardware", "Quality")
	c.form("Sales", "Everybody in Sales").groups = c.named("Sales EMEA", "Sales APAC")
	c.form("Operations", "IT and Logistics").groups = c.named("IT", "Logistics")
	c.form("All Staff", "Everybody but contractors").groups = c.named("Engineering", "R+D Lab", "Sales", "Marketing",
		"Customer Support", "Finance", "People Team", "Operations")
	for _, city := range []string{"Berlin", "Dublin", "Paris", "Sofia", "Osaka"} {
		c.form("Office "+city, "Who works in "+city, c.every(func(_ int, p *person) bool { return p.city == city })...)
	}
	heads := c.form("Management", "Heads of units", c.heads()...)
	board := c.form("Board, Secretariat", "A comma in the name", c.must("aking"), c.must("mvanderberg"), c.must("cokafor"))
	board.groups = []*group{heads}
	c.form("On Call", "Who can be woken up", c.unitNth("Platform", 3)...).add(c.unitNth("IT", 2)...)
	c.form("Works Council", "Elected every four years", c.nth(37, 5)...)
	c.form("First Aiders", "In every office", c.nth(17, 3)...)
	c.form("Running Club", "Thursdays", c.nth(19, 7)...).add(c.must("cokafor"), c.must("lsorbo"))
	c.form("Project Aurora", "The new spectrometer", c.nth(23, 2)...).groups = c.named("R+D Lab")
	c.form("Project Borealis", "Its cheaper sister", c.nth(29, 11)...).groups = c.named("Hardware", "Project Aurora")
	c.form("VPN Users", "May come in from outside", c.nth(6, 1)...).groups = c.named("On Call", "External")
	c.form("Security Champions", "One in each team", c.nth(31, 4)...)
	editors := c.form("Wiki Editors", "They contain the admins, who contain them", c.nth(41, 9)...)
	admins := c.form("Wiki Admins", "They contain the editors, who contain them", c.nth(83, 12)...)
	editors.groups, admins.groups = []*group{admins}, []*group{editors}
	c.local("Équipe Lumière", "Equipe Lumiere", "Optique, à Paris", "Paris")
	c.local("大阪チーム", "Osaka Team", "大阪オフィスの営業担当", "Osaka")
	c.local("Български клуб", "Bulgarian Club", "Клуб на софийския офис", "Sofia")
	c.form("Backup Operators", "Nobody in it is a person: a group needs a member").outside = []string{backupDN}
	retired := c.form("Alumni", "Who left and is still on file", c.must("bhorvath"), c.must("eadeyemi"))
	retired.outside = []string{"uid=long-gone," + peopleDN}
	legacy := c.form("Legacy Printers", "Of another class, so that the filter leaves it out", c.must("cokafor"),
		c.must("sosei"))
	legacy.unique = true
}

// local forms a group that is named in the language of an office.
func (c *company) local(cn, latin, description, city string) {
	c.form(cn, description, c.every(func(i int, p *person) bool { return p.city == city && i%2 == 0 })...).latin = latin
}

func (c *company) named(names ...string) (out []*group) {
	for _, n := range names {
		out = append(out, c.group(n))
	}
	return out
}

func (c *company) heads() (out []*person) {
	for i := range units {
		if h := c.head(&units[i]); h != nil && units[i].weight > 0 {
			out = append(out, h)
		}
	}
	return out
}

// unitNth takes every n-th member of a unit.
func (c *company) unitNth(cn string, n int) (out []*person) {
	for i, p := range c.group(cn).people {
		if i%n == 0 {
			out = append(out, p)
		}
	}
	return out
}

// join puts a joiner into the groups of unit and office; leave takes a leaver out of all.
func (c *company) join(p *person) {
	c.group(p.unit.group).add(p)
	c.group("Office " + p.city).add(p)
}

func (c *company) leave(p *person) {
	for _, g := range c.groups {
		g.remove(p)
	}
}

// regroup is what else changed in groups overnight.
func (c *company) regroup() {
	aurora, club := c.group("Project Aurora"), c.group("Running Club")
	aurora.add(c.must("aking"), c.must("gdangelo"))
	aurora.remove(aurora.people[1])
	club.remove(c.must("cokafor"))
	c.group("VPN Users").groups = c.named("On Call", "External", "Customer Support")
	c.group("Alumni").outside = nil
}

func (c *company) must(uid string) *person {
	p := c.byUID[uid]
	if p == nil {
		panic(fmt.Sprintf("nobody has the uid %q", uid))
	}
	return p
}
