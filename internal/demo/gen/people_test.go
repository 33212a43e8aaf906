package gen

import (
	"fmt"
	"slices"
	"strings"
)

// person is one entry below ou=people.
type person struct {
	key         string // what the entryUUID is made of: it outlives every change
	uid         string
	rdn         string // uid=<uid> unless something else is to be shown
	given, sn   string
	cn          string
	latin       string // for the comment in the file
	mail        []string
	number      int
	unit        *unit
	title       string
	city        string
	mobile      bool
	manager     *person
	locked      string // pwdAccountLockedTime
	expired     bool   // shadowExpire is past
	description string
	left        bool // no longer in the directory
}

func (p *person) dn() string { return p.rdn + "," + p.unit.dn() }

// unit is an organisational unit below ou=people, with the titles that people in it have, the head's first.
type unit struct {
	path   []string // topmost first
	group  string   // the cn of its group
	weight int
	titles []string
}

func (u *unit) dn() string {
	dn := peopleDN
	for _, name := range u.path {
		dn = "ou=" + escape(name) + "," + dn
	}
	return dn
}

// number is the unit's cost centre.
func (u *unit) number() string {
	return fmt.Sprint(4000 + 10*slices.IndexFunc(units, func(o unit) bool { return o.dn() == u.dn() }))
}

func (u *unit) department() string { return strings.Join(u.path, " / ") }

var units = []unit{
	{[]string{"Engineering", "Platform"}, "Platform", 9,
		list("Head_of_Platform Software_Engineer Senior_Software_Engineer Site_Reliability_Engineer")},
	{[]string{"Engineering", "Firmware"}, "Firmware", 7,
		list("Head_of_Firmware Firmware_Engineer Senior_Firmware_Engineer")},
	{[]string{"Engineering", "Hardware"}, "Hardware", 6,
		list("Head_of_Hardware Electronics_Engineer Mechanical_Engineer")},
	{[]string{"Engineering", "Quality"}, "Quality", 4, list("Head_of_Quality Test_Engineer Calibration_Technician")},
	{[]string{"Research + Development"}, "R+D Lab", 5, list("Chief_Scientist Researcher Optics_Researcher")},
	{[]string{"Sales", "EMEA"}, "Sales EMEA", 7, list("Sales_Director_EMEA Account_Manager Sales_Engineer")},
	{[]string{"Sales", "APAC"}, "Sales APAC", 6, list("Sales_Director_APAC Account_Manager Sales_Engineer")},
	{[]string{"Marketing"}, "Marketing", 3, list("Head_of_Marketing Content_Editor Event_Manager")},
	{[]string{"Customer Support"}, "Customer Support", 7, list("Head_of_Support Support_Agent Support_Engineer")},
	{[]string{"Finance"}, "Finance", 4, list("Chief_Financial_Officer Accountant Controller")},
	{[]string{"People"}, "People Team", 3, list("Chief_People_Officer Recruiter HR_Partner")},
	{[]string{"Operations", "IT"}, "IT", 4, list("Head_of_IT System_Administrator Service_Desk_Analyst")},
	{[]string{"Operations", "Logistics"}, "Logistics", 5, list("Head_of_Logistics Warehouse_Operator Buyer")},
	{[]string{"External"}, "External", 0, list("Contractor")},
	{[]string{"Former"}, "", 0, list("Former_employee")},
}

func unitOf(group string) *unit {
	for i := range units {
		if units[i].group == group {
			return &units[i]
		}
	}
	panic("no unit has the group " + group)
}

// company is one state of the directory.
type company struct {
	people []*person
	groups []*group
	byUID  map[string]*person
}

// hire makes people of the pools, the same ones every time.
func (c *company) hire() {
	var deck []*unit
	for i := range units {
		for range units[i].weight {
			deck = append(deck, &units[i])
		}
	}
	n := 0
	for _, cu := range cultures {
		for i := range cu.count {
			woman := i%2 == 1
			given := cu.men
			if woman {
				given = cu.women
			}
			// Two steps that share no factor with the lengths go through the combinations.
			p := cu.person(given[i/2%len(given)], cu.families[(i+i/len(cu.families))%len(cu.families)], woman)
			p.unit = deck[n*29%len(deck)]
			c.add(p)
			n++
		}
	}
}

func (cu *culture) person(given, family string, woman bool) *person {
	g, latinGiven := forms(given, woman)
	f, latinFamily := forms(family, woman)
	p := &person{given: g, sn: f, city: cu.city, latin: latinGiven + " " + latinFamily}
	p.cn = g + " " + f
	if cu.familyFirst {
		p.cn = f + cu.glue + g
	}
	local := strings.ReplaceAll(strings.ToLower(latinGiven+"."+latinFamily), "'", "")
	p.mail = []string{local + "@" + domain}
	p.uid = strings.ReplaceAll(local[:1]+local[strings.Index(local, ".")+1:], "-", "")
	return p
}

// add gives the person what the directory needs, and a name of his own.
func (c *company) add(p *person) *person {
	for base, i := p.uid, 2; c.byUID[p.uid] != nil; i++ {
		p.uid = fmt.Sprintf("%s%d", base, i)
	}
	for i := 2; len(p.mail) > 0 && p.mail[0] != sharedMail && c.taken(p.mail[0]); i++ {
		local, host, _ := strings.Cut(p.mail[0], "@")
		p.mail[0] = fmt.Sprintf("%s%d@%s", strings.TrimRight(local, "0123456789"), i, host)
	}
	if p.rdn == "" {
		p.rdn = "uid=" + p.uid
	}
	p.number = 10001 + len(c.people)
	if p.title == "" {
		p.title = p.unit.titles[0]
		if n := len(p.unit.titles); n > 1 && c.head(p.unit) != nil {
			p.title = p.unit.titles[1+p.number%(n-1)]
		}
	}
	p.title = strings.ReplaceAll(p.title, "_", " ")
	p.mobile, p.key = p.number%3 == 0, p.uid
	if head := c.head(p.unit); head != nil {
		p.manager = head
	}
	c.people = append(c.people, p)
	c.byUID[p.uid] = p
	return p
}

func (c *company) taken(mail string) bool {
	for _, p := range c.people {
		if slices.Contains(p.mail, mail) {
			return true
		}
	}
	return false
}

// head is who was the first in a unit.
func (c *company) head(u *unit) *person {
	for _, p := range c.people {
		if p.unit == u {
			return p
		}
	}
	return nil
}
