package gen

const sharedMail = "reception@" + domain

// lockedByAdmin is what OpenLDAP's ppolicy writes when an administrator disables an account; any other time is a
// lockout after wrong passwords, which ends by itself.
const (
	lockedByAdmin  = "000001010000Z"
	lockedByFailed = "20260301074512Z"
)

// special adds the people that make a directory what it is.
func (c *company) special() {
	for _, p := range []*person{
		// Names.
		{given: "Sukarni", sn: "Sukarni", cn: "Sukarni", latin: "Sukarni, who has one name", uid: "sukarni",
			unit: unitOf("Platform"), city: "Jakarta"},
		{sn: "Teeranai", cn: "Teeranai", latin: "Teeranai, who has one name and no givenName", uid: "teeranai",
			unit: unitOf("Logistics"), city: "Bangkok"},
		{given: "Hubert Blaine", sn: "Wolfeschlegelsteinhausenbergerdorff-Hohenzollern-Sigmaringen",
			cn: "Hubert B. Wolfeschlegelsteinhausenbergerdorff-Hohenzollern-Sigmaringen", latin: "Hubert, who has a long name",
			uid: "hwolfe", unit: unitOf("Finance")},
		{given: "Nguyễn Thị", sn: "Ánh", cn: "Nguyễn Thị Ánh", latin: "Nguyen Thi Anh", uid: "nanh", unit: unitOf("Quality"),
			city: "Hanoi"},
		{given: "Gianluca", sn: "D’Angelo", cn: "Gianluca D’Angelo", latin: "Gianluca D'Angelo, with a typographic " +
			"apostrophe", uid: "gdangelo", unit: unitOf("Marketing"), city: "Milan"},
		{given: "Mary Ann", sn: "van der Berg-O'Neill", cn: "Mary Ann van der Berg-O'Neill",
			latin: "Mary Ann van der Berg-O'Neill", uid: "mvanderberg", unit: unitOf("People Team"), city: "Cape Town"},
		// DNs.
		{given: "Chidi", sn: "Okafor", cn: "Okafor, Chidi", latin: "Okafor, Chidi: a comma in the DN", uid: "cokafor",
			rdn: "cn=" + escape("Okafor, Chidi"), unit: unitOf("R+D Lab"), city: "Lagos"},
		{given: "Ada", sn: "King", cn: `Ada "Countess" King`, latin: "Ada King: quotes in the DN", uid: "aking", rdn: "cn=" +
			escape(`Ada "Countess" King`), unit: unitOf("R+D Lab")},
		{given: "Lene", sn: "Sørbø", cn: "Lene Sørbø", latin: "Lene Soerboe: two attributes in the RDN", uid: "lsorbo",
			rdn: "cn=Lene Sørbø+uid=lsorbo", unit: unitOf("Sales EMEA"), city: "Copenhagen"},
		// Addresses.
		{given: "Tomasz", sn: "Bąk", cn: "Tomasz Bąk", latin: "Tomasz Bak, who has no mail", uid: "tbak",
			unit: unitOf("Logistics"), city: "Warsaw", description: "no mail"},
		{given: "Rosa", sn: "Contreras", cn: "Rosa Contreras", latin: "Rosa Contreras, a contractor with her own domain",
			uid: "x-rcontreras", mail: []string{"rosa@contreras.example"}, unit: unitOf("External"), city: "Madrid"},
		{given: "Petr", sn: "Novák", cn: "Petr Novák", latin: "Petr Novak, a contractor with an address of ours",
			uid: "x-pnovak", unit: unitOf("External"), city: "Prague"},
		{given: "Front Desk", sn: "Berlin", cn: "Front Desk Berlin", latin: "a shared mailbox", uid: "frontdesk-ber",
			mail: []string{sharedMail}, unit: unitOf("Customer Support")},
		{given: "Front Desk", sn: "Dublin", cn: "Front Desk Dublin", latin: "the same shared mailbox", uid: "frontdesk-dub",
			mail: []string{sharedMail}, unit: unitOf("Customer Support"), city: "Dublin"},
		{given: "Priscilla", sn: "Mensah", cn: "Priscilla Mensah", latin: "Priscilla Mensah, who has two addresses",
			uid: "pmensah", mail: []string{"Priscilla.Mensah@Example.COM", "press@" + domain}, unit: unitOf("Marketing"),
			city: "Accra"},
		// Accounts that are disabled, and one that only looks so.
		{given: "Oskar", sn: "Lindqvist", cn: "Oskar Lindqvist", latin: "Oskar Lindqvist, on parental leave",
			uid: "olindqvist", locked: lockedByAdmin, unit: unitOf("Firmware"), city: "Copenhagen"},
		{given: "Beatrix", sn: "Horváth", cn: "Beatrix Horváth", latin: "Beatrix Horvath, who retired", uid: "bhorvath",
			locked: lockedByAdmin, unit: unitFormer()},
		{given: "Emeka", sn: "Adeyemi", cn: "Emeka Adeyemi", latin: "Emeka Adeyemi, who left last month", uid: "eadeyemi",
			locked: lockedByAdmin, unit: unitFormer()},
		{given: "Pia", sn: "Lund", cn: "Pia Lund", latin: "Pia Lund, an intern whose account has expired", uid: "plund",
			expired: true, unit: unitFormer()},
		{given: "Samuel", sn: "Osei", cn: "Samuel Osei", latin: "Samuel Osei, locked out after wrong passwords: active",
			uid: "sosei", locked: lockedByFailed, unit: unitOf("IT"), city: "Accra"},
	} {
		if p.mail == nil && p.description != "no mail" {
			p.mail = []string{p.uid + "@" + domain}
		}
		if p.city == "" {
			p.city = "Berlin"
		}
		c.add(p)
	}
}

func unitFormer() *unit { return &units[len(units)-1] }

// morning is what happened until the next day. It stays within the guards, as three people leave and one is disabled,
// of some 250.
func (c *company) morning() {
	joiners := []*person{
		{given: "Yara", sn: "Haddad", cn: "Yara Haddad", latin: "Yara Haddad, who joined", uid: "yhaddad",
			unit: unitOf("Platform"), city: "Berlin"},
		{given: "Anna", sn: "Müller", cn: "Anna Müller", latin: "Anna Mueller, who joined", uid: "amueller",
			mail: []string{"anna.mueller@" + domain}, unit: unitOf("Finance"), city: "Berlin"},
		{given: "悠真", sn: "佐藤", cn: "佐藤 悠真", latin: "Sato Yuma, who joined", uid: "ysato", unit: unitOf("Sales APAC"),
			city: "Osaka"},
		{given: "Kwame", sn: "Boateng", cn: "Kwame Boateng", latin: "Kwame Boateng, who joined", uid: "kboateng",
			unit: unitOf("Customer Support"), city: "Dublin"},
	}
	for _, p := range joiners {
		if p.mail == nil {
			p.mail = []string{p.uid + "@" + domain}
		}
		c.add(p)
		c.join(p)
	}
	for _, uid := range leaversUIDs {
		p := c.must(uid)
		p.left = true
		c.leave(p)
	}
	// Agnieszka Wójcik has married. Her cn, sn and mail change, and the account stays.
	bride := c.must(renamedUID)
	bride.sn, bride.cn, bride.latin = "Nowak-"+bride.sn, bride.given+" Nowak-"+bride.sn, bride.latin+", now Nowak"
	bride.mail = []string{"agnieszka.nowak@" + domain}
	c.must(disabledUID).locked = lockedByAdmin
	c.must("olindqvist").locked = "" // back from parental leave
	// A person moves to another unit, which changes the DN and every reference to it.
	mover := c.must(movedUID)
	c.group(mover.unit.group).remove(mover)
	mover.unit, mover.title, mover.manager = unitOf("Sales EMEA"), "Sales Engineer", c.head(unitOf("Sales EMEA"))
	c.group("Sales EMEA").add(mover)
	c.regroup()
}
