//go:build samba

package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/internal/sambatest"
)

// Domains of the company. The tenants have all but the foreign one.
const (
	ours, second, foreign = "example.com", "example.net", "partner.test"
)

// human is a person of the domain as the test knows it. Expectations are computed from humans and teams only.
type human struct {
	n                     int
	cn, sam               string
	given, sn, display    string
	mail                  string
	disabled, expired     bool
	title, department     string
	phone, mobile, office string
	country, number       string
	manager               *human
	// proxies are the values of proxyAddresses. former are the addresses that the account had.
	proxies, former []string
	ou              string
	primary         *team // nil is Domain Users
	gone            bool
	// photo, street and locked change nothing at the tenants.
	photo, street, locked bool
	// remote has the ids of the accounts, google first.
	remote [2]string
}

// team is a group of the domain. address is that of the group at Google.
type team struct {
	cn, mail, address string
	kind              int
	people            map[*human]bool
	teams             map[*team]bool
}

// Kinds of groups: the flags of groupType.
const (
	global, domainLocal, universal, distribution = -2147483646, -2147483644, -2147483640, 8
)

// twin is the number of a person who has the address of another one at first. Neither is a manager.
const twin = 152

const company = "OU=Company," + sambatest.Base

// escaped writes a value for a DN (RFC 4514, section 2.4).
func escaped(value string) string {
	var b strings.Builder
	for i, r := range value {
		edge := i == 0 && (r == ' ' || r == '#') || i == len(value)-1 && r == ' '
		if edge || strings.ContainsRune(`,+"\<>;=`, r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (h *human) dn() string { return "CN=" + escaped(h.cn) + "," + h.ou }
func (t *team) dn() string  { return "CN=" + escaped(t.cn) + ",OU=Groups," + company }

// control is userAccountControl: a normal account that needs no password, disabled or not.
func (h *human) control() string {
	if h.disabled {
		return "546"
	}
	return "544"
}

// never and others are values of accountExpires.
func (h *human) expires() string {
	switch {
	case h.expired:
		return "132223104000000000"
	case h.n%5 == 1:
		return "0"
	case h.n%5 == 3:
		return strconv.FormatInt((time.Now().AddDate(1, 0, 0).Unix()+11_644_473_600)*10_000_000, 10)
	}
	return "9223372036854775807"
}

// names are a given name and a family name, and how a mail address writes them.
var names = [][3]string{
	{"Ada", "King", "ada.king"}, {"Jörg", "Müller", "joerg.mueller"}, {"Zoë", "O'Brien", "zoe.o'brien"},
	{"伟", "王", "wang.wei"}, {"さくら", "佐藤", "sakura.sato"}, {"Дмитрий", "Иванов", "d.ivanov"},
	{"محمد", "الأحمد", "m.alahmad"}, {"Ελένη", "Παπαδοπούλου", "eleni"}, {"Łukasz", "Żółć", "lukasz.zolc"},
	{"Anne-Marie", "d'Arc de la Tour", "am.darc"}, {"지민", "김", "jimin.kim"}, {"Nguyễn Thị", "Ánh", "anh.nguyen"},
	{"Bjørn", "Ødegård", "bjorn"}, {"José María", "Núñez y Peña", "jm_nunez"}, {"İlker", "Işık", "ilker-isik"},
	{"Ada", "King", "ada.king"},
}

// newHuman makes the person with a number. Each oddity comes with a period of its own, so that they meet.
func newHuman(n int, bosses []*human) *human {
	name := names[n%len(names)]
	h := &human{n: n, given: name[0], sn: name[1], sam: fmt.Sprintf("u%04d", n), disabled: n%13 == 4,
		expired: n%17 == 6, photo: n%19 == 1, street: n%4 == 1, locked: n%23 == 2}
	full := h.given + " " + h.sn
	h.display = full
	h.cn = []string{
		fmt.Sprintf("%s %04d", full, n), fmt.Sprintf("%s, %s %04d", h.sn, h.given, n),
		fmt.Sprintf(`%s "Nick" %04d`, full, n), fmt.Sprintf("%04d %s ", n, full), fmt.Sprintf("#%04d %s", n, full),
		fmt.Sprintf("%s+%s=%04d", h.given, h.sn, n), fmt.Sprintf(`%s\%04d`, full, n), fmt.Sprintf("<%s>; %04d", full, n),
		fmt.Sprintf("%04d %s", n, strings.Repeat("x", 59)), fmt.Sprintf(" %s %04d", full, n),
	}[n%10]
	h.mail = fmt.Sprintf("%s.%04d@%s", name[2], n, ours)
	h.department = []string{"R&D", "Vertrieb Süd", "経理部", `Legal, "Tax"`, ""}[n%5]
	h.title = []string{"Ingenieur/in", "Chief <Everything>", "部長", "", "Engineer"}[n%5]
	h.phone = []string{"+41 (0)61 / 555-01 02 ext. 7", "", "tel: 061", "０３-1234", "+49 30 1234"}[n%5]
	h.mobile = []string{"", "+41 79 000 " + h.sam[1:], ""}[n%3]
	h.office = []string{"", "B-2.17, Süd"}[n%2]
	h.country = []string{"CH", "DE", "JP"}[n%3]
	if n%2 == 0 {
		h.number = fmt.Sprintf("E%05d", n)
	}
	h.ou = []string{company, "OU=Zürich," + company, `OU=Sales\, West,` + company, "OU=営業部," + company,
		"OU=Deep,OU=Zürich," + company, "CN=Users," + sambatest.Base}[n%6]
	switch {
	case n%11 == 5:
		h.mail = ""
	case n%29 == 7:
		h.mail = fmt.Sprintf("%s.%04d@%s", name[2], n, foreign)
	case n%31 == 9:
		h.mail = fmt.Sprintf("%s.%04d@%s", name[2], n, second)
	case n%7 == 3:
		h.mail = strings.ToUpper(h.mail)
	}
	switch {
	case n%37 == 8:
		h.given = ""
	case n == 62:
		h.given = strings.Repeat("Maximilian ", 5) + "Fritzchen"
	}
	if n%9 == 0 {
		h.display = ""
	}
	local := fmt.Sprintf("alias.%04d", n)
	switch n % 4 {
	case 0:
		h.proxies = []string{"SMTP:" + h.mail, "smtp:" + local + "@" + ours, "smtp:" + local + "@" + foreign}
	case 1:
		h.proxies = []string{"smtp:" + strings.ToUpper(local) + "@" + ours, "X500:/o=First/cn=" + h.sam,
			"sip:" + h.sam + "@" + ours, "SMTP:" + local + "@" + second}
	}
	if h.mail == "" && n%4 == 0 {
		h.proxies = h.proxies[1:]
	}
	if n > 8 {
		h.manager = bosses[n/8]
	}
	return h
}

// pairs are the attributes of the entry of a new person.
func (h *human) pairs() []string {
	out := []string{"objectClass", "user", "sAMAccountName", h.sam, "userAccountControl", h.control(),
		"userPrincipalName", h.sam + "@corp.internal", "sn", h.sn, "c", h.country}
	if h.expired || h.n%5 != 4 {
		out = append(out, "accountExpires", h.expires())
	}
	for name, value := range map[string]string{"givenName": h.given, "displayName": h.display, "mail": h.mail,
		"title": h.title, "department": h.department, "telephoneNumber": h.phone, "mobile": h.mobile,
		"physicalDeliveryOfficeName": h.office, "employeeID": h.number} {
		if value != "" {
			out = append(out, name, value)
		}
	}
	for _, p := range h.proxies {
		out = append(out, "proxyAddresses", p)
	}
	if h.street {
		out = append(out, "streetAddress", "Haus am See\r\nHintereingang\r\n3. Stock", "postalAddress", "a$b")
	}
	if h.photo {
		out = append(out, "thumbnailPhoto", "\xff\xd8\xff\xe0\x00\x10JFIF", "jpegPhoto", "\xff\xd8\xff\x00")
	}
	return out
}

// domain is the company: the model, and the controller that has it.
type domain struct {
	*testing.T
	dc    *sambatest.Domain
	conn  *goldap.Conn
	who   []*human
	teams []*team
	byCN  map[string]*team
}

func (d *domain) must(what string, err error) {
	d.Helper()
	if err != nil {
		d.Fatalf("%s: %v", what, err)
	}
}

func (d *domain) add(dn string, pairs ...string) {
	d.Helper()
	req := goldap.NewAddRequest(dn, nil)
	values := map[string][]string{}
	for i := 0; i+1 < len(pairs); i += 2 {
		values[pairs[i]] = append(values[pairs[i]], pairs[i+1])
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		req.Attribute(name, values[name])
	}
	d.must("add "+dn, d.conn.Add(req))
}

// set replaces an attribute; no value removes it.
func (d *domain) set(dn, name string, values ...string) {
	d.Helper()
	req := goldap.NewModifyRequest(dn, nil)
	req.Replace(name, slices.DeleteFunc(values, func(v string) bool { return v == "" }))
	d.must("set "+name+" of "+dn, d.conn.Modify(req))
}

func (d *domain) rename(dn, rdn, parent string) {
	d.Helper()
	d.must("rename "+dn, d.conn.ModifyDN(goldap.NewModifyDNRequest(dn, rdn, true, parent)))
}

// member adds a member to a group, or removes it.
func (d *domain) member(t *team, dn string, in bool) {
	d.Helper()
	req := goldap.NewModifyRequest(t.dn(), nil)
	if in {
		req.Add("member", []string{dn})
	} else {
		req.Delete("member", []string{dn})
	}
	d.must("members of "+t.cn, d.conn.Modify(req))
}

func (d *domain) enter(t *team, h *human) { d.Helper(); d.member(t, h.dn(), true); t.people[h] = true }
func (d *domain) quit(t *team, h *human)  { d.Helper(); d.member(t, h.dn(), false); delete(t.people, h) }
func (d *domain) nest(t, in *team)        { d.Helper(); d.member(in, t.dn(), true); in.teams[t] = true }
func (d *domain) unnest(t, in *team)      { d.Helper(); d.member(in, t.dn(), false); delete(in.teams, t) }

// makePrimary makes a group the primary group of a member. Domain Users, which nil is, becomes what it was before. The
// domain then makes the former primary group an ordinary one of the person.
func (d *domain) makePrimary(h *human, t *team) {
	d.Helper()
	if t != nil {
		d.dc.MakePrimary(d, t.dn(), h.dn())
		delete(t.people, h)
	} else {
		d.set(h.dn(), "primaryGroupID", "513")
	}
	if h.primary != nil {
		h.primary.people[h] = true
	}
	h.primary = t
}

func (d *domain) hire(h *human) {
	d.Helper()
	d.add(h.dn(), h.pairs()...)
	if h.manager != nil {
		d.set(h.dn(), "manager", h.manager.dn())
	}
	d.who = append(d.who, h)
}

func (d *domain) found(t *team) *team {
	d.Helper()
	t.people, t.teams = map[*human]bool{}, map[*team]bool{}
	pairs := []string{"objectClass", "group", "sAMAccountName", fmt.Sprintf("g%04d", len(d.teams)), "groupType",
		fmt.Sprint(t.kind)}
	if t.mail != "" {
		pairs = append(pairs, "mail", t.mail)
	}
	d.add(t.dn(), pairs...)
	d.teams = append(d.teams, t)
	d.byCN[t.cn] = t
	return t
}

// newDomain fills a domain.
func newDomain(t *testing.T, people int) *domain {
	t.Helper()
	d := &domain{T: t, dc: sambatest.Start(t, "tls enabled=yes"), byCN: map[string]*team{}}
	d.conn = d.dc.Conn(t)
	for _, ou := range []string{company, "OU=Zürich," + company, `OU=Sales\, West,` + company, "OU=営業部," + company,
		"OU=Deep,OU=Zürich," + company, "OU=Groups," + company, "OU=Leavers," + company} {
		d.add(ou, "objectClass", "organizationalUnit")
	}
	for n := range people {
		d.hire(newHuman(n, d.who))
	}
	// Circles of managers: two people, three, and one.
	for _, circle := range [][]int{{1, 2}, {3, 7, 5}, {0}} {
		for i, n := range circle {
			h, boss := d.who[n], d.who[circle[(i+1)%len(circle)]]
			d.set(h.dn(), "manager", boss.dn())
			h.manager = boss
		}
	}
	d.who[twin].mail = d.who[twin-2].mail
	d.set(d.who[twin].dn(), "mail", d.who[twin].mail)
	for i, name := range []string{"scan", "backup", "sql, old"} {
		d.add("CN=svc-"+escaped(name)+","+company, "objectClass", "user", "sAMAccountName", fmt.Sprintf("svc%d", i),
			"userAccountControl", "66048")
	}
	contact := "CN=Law Firm\\, AG," + company
	d.add(contact, "objectClass", "contact", "mail", "lawfirm@"+foreign, "sn", "Firm", "givenName", "Law")
	d.add("CN=PC1,CN=Computers,"+sambatest.Base, "objectClass", "computer", "sAMAccountName", "PC1$",
		"userAccountControl", "4096")
	d.add("CN=Robot,"+company, "objectClass", "msDS-GroupManagedServiceAccount", "sAMAccountName", "robot$",
		"msDS-ManagedPasswordInterval", "30")
	d.groups(contact)
	return d
}

// groups makes the groups.
func (d *domain) groups(contact string) {
	d.Helper()
	for _, t := range []*team{
		{cn: "All Staff", address: "all-staff@" + ours, kind: universal},
		{cn: "Staff Basel", address: "staff-basel@" + ours, kind: global},
		{cn: "Größe & Co", address: "grosse-and-co@" + ours, kind: global},
		{cn: `R+D, Team "A"`, address: "r-d-team-a@" + ours, kind: universal},
		{cn: "東京チーム", mail: "Tokyo@" + ours, address: "tokyo@" + ours, kind: universal},
		{cn: "Visitors List", mail: "reception@" + second, address: "reception@" + second, kind: distribution},
		{cn: "Partners", mail: "partners@" + foreign, kind: universal},
		{cn: "Empty", address: "empty@" + ours, kind: domainLocal},
		{cn: "Outsiders", address: "outsiders@" + ours, kind: domainLocal},
		{cn: "Level 1", address: "level-1@" + ours, kind: domainLocal},
		{cn: "Level 2", address: "level-2@" + ours, kind: universal},
		{cn: "Level 3", address: "level-3@" + ours, kind: global},
		{cn: "Circle A", address: "circle-a@" + ours, kind: universal},
		{cn: "Circle B", address: "circle-b@" + ours, kind: universal},
		{cn: "Circle C", address: "circle-c@" + ours, kind: universal},
	} {
		d.found(t)
	}
	for i := range len(d.who) / 20 {
		d.found(&team{cn: fmt.Sprintf("Team %03d", i), address: fmt.Sprintf("team-%03d@%s", i, ours), kind: global})
	}
	for i, t := range d.teams {
		if t.cn == "Empty" || t.cn == "Outsiders" {
			continue
		}
		for n, h := range d.who {
			if t.cn == "All Staff" || n%(len(d.teams)+3) == i || n%41 == i {
				t.people[h] = true
			}
		}
		var dns []string
		for _, h := range d.who {
			if t.people[h] {
				dns = append(dns, h.dn())
			}
		}
		d.set(t.dn(), "member", dns...)
	}
	for _, pair := range [][2]string{{"Level 3", "Level 2"}, {"Level 2", "Level 1"}, {"Circle A", "Circle B"},
		{"Circle B", "Circle C"}, {"Circle C", "Circle A"}, {"Team 001", "Level 2"}} {
		d.nest(d.byCN[pair[0]], d.byCN[pair[1]])
	}
	out := d.byCN["Outsiders"]
	for _, dn := range []string{contact, "CN=PC1,CN=Computers," + sambatest.Base, "CN=Robot," + company,
		"CN=Domain Users,CN=Users," + sambatest.Base, "CN=svc-scan," + company} {
		d.member(out, dn, true)
	}
	basel := d.byCN["Staff Basel"]
	for n, h := range d.who {
		if n%30 == 0 {
			if !basel.people[h] {
				d.enter(basel, h)
			}
			d.makePrimary(h, basel)
		}
	}
}
