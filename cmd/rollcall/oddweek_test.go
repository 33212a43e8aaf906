//go:build samba

package main

import (
	"fmt"
	"strings"

	goldap "github.com/go-ldap/ldap/v3"
)

// day is what happens on one day, and whether the runs after it read only the changes.
type day struct {
	name  string
	delta bool
	// asks is set where a guard of both tenants holds what happens, until a person approves it.
	asks bool
	do   func(*domain)
	// again is set for further runs of the day.
	again bool
}

// anyone returns the first person from a number on who has accounts, no reports and fits.
func (d *domain) anyone(from int, fits func(*human) bool) *human {
	d.Helper()
	for _, h := range d.who[from:] {
		if h.gone || h.remote[inGoogle] == "" || !d.joins(h, inEntra) || fits != nil && !fits(h) {
			continue
		}
		return h
	}
	d.Fatalf("no person from %d on fits", from)
	return nil
}

// boss reports whether the person is the manager of another person.
func (d *domain) boss(h *human) bool {
	for _, o := range d.who {
		if o.manager == h && !o.gone && o != h {
			return true
		}
	}
	return false
}

func (d *domain) worker(h *human) bool { return !d.boss(h) }

func (d *domain) disable(h *human, disabled bool) {
	d.Helper()
	h.disabled = disabled
	d.set(h.dn(), "userAccountControl", h.control())
}

// fire deletes the entry. The domain takes the person out of all groups, and away from all reports.
func (d *domain) fire(h *human) {
	d.Helper()
	d.must("delete "+h.cn, d.conn.Del(goldap.NewDelRequest(h.dn(), nil)))
	h.gone = true
	for _, t := range d.teams {
		delete(t.people, h)
	}
	for _, o := range d.who {
		if o.manager == h {
			o.manager = nil
		}
	}
}

func (d *domain) move(h *human, ou string) {
	d.Helper()
	rdn := "CN=" + escaped(h.cn)
	d.rename(h.dn(), rdn, ou)
	h.ou = ou
}

// marry gives the person another family name, a name of the entry and an address. The former address goes on in
// proxyAddresses.
func (d *domain) marry(h *human, sn string) {
	d.Helper()
	before := h.dn()
	h.cn = fmt.Sprintf("%s, %s (%s) %04d", sn, h.given, h.sn, h.n)
	d.rename(before, "CN="+escaped(h.cn), "")
	former := strings.ToLower(h.mail)
	h.sn, h.display = sn, h.given+" "+sn
	h.mail = fmt.Sprintf("married.%04d@%s", h.n, ours)
	h.proxies = append([]string{"SMTP:" + h.mail, "smtp:" + former}, h.proxies...)
	h.proxies = without(h.proxies, "SMTP:"+former)
	h.former = append(h.former, former)
	for name, value := range map[string]string{"sn": h.sn, "displayName": h.display, "mail": h.mail} {
		d.set(h.dn(), name, value)
	}
	d.set(h.dn(), "proxyAddresses", h.proxies...)
}

// without leaves out a value in any letter case.
func without(list []string, value string) (out []string) {
	for _, v := range list {
		if !strings.EqualFold(v, value) {
			out = append(out, v)
		}
	}
	return out
}

func (d *domain) join(manager *human) *human {
	d.Helper()
	h := newHuman(len(d.who), d.who)
	h.manager = manager
	h.disabled, h.expired = false, false
	if h.mail == "" || !h.usable() {
		h.mail = fmt.Sprintf("new.%04d@%s", h.n, ours)
	}
	d.hire(h)
	return h
}

// week is seven days of a company.
func week() []day {
	zurich, leavers := "OU=Zürich,"+company, "OU=Leavers,"+company
	return []day{
		{name: "joiners, a leaver, a wedding and another title", do: func(d *domain) {
			h := d.join(d.who[9])
			d.enter(d.byCN["Staff Basel"], h)
			d.enter(d.byCN["Level 3"], d.join(h))
			d.disable(d.anyone(20, d.worker), true)
			d.marry(d.anyone(30, nil), "Bernoulli-Öttinger")
			h = d.anyone(40, nil)
			h.title = `Head of "Everything", <all> & more`
			d.set(h.dn(), "title", h.title)
		}},
		{name: "a deleted leaver, a move, other groups and another manager, as changes", delta: true, do: func(d *domain) {
			d.fire(d.anyone(60, d.worker))
			d.move(d.anyone(70, func(h *human) bool { return h.ou == company }), zurich)
			h := d.anyone(75, func(h *human) bool { return d.byCN["All Staff"].people[h] && !d.byCN["Level 3"].people[h] })
			d.quit(d.byCN["All Staff"], h)
			d.enter(d.byCN["Level 3"], h)
			h = d.anyone(80, nil)
			h.manager = d.anyone(90, nil)
			d.set(h.dn(), "manager", h.manager.dn())
		}},
		{name: "a leaver who is moved away, a manager who leaves, addresses of all kinds", do: func(d *domain) {
			h := d.anyone(100, d.worker)
			d.disable(h, true)
			d.move(h, leavers)
			d.fire(d.anyone(9, d.boss))
			h = d.anyone(110, nil)
			h.proxies = append(without(h.proxies, "smtp:"+fmt.Sprintf("alias.%04d@%s", h.n, ours)),
				fmt.Sprintf("smtp:Second.Alias.%04d@%s", h.n, second))
			d.set(h.dn(), "proxyAddresses", h.proxies...)
		}},
		{name: "primary groups and a nested group, as changes", delta: true, do: func(d *domain) {
			basel, first := d.byCN["Staff Basel"], d.byCN["Team 000"]
			h := d.anyone(0, func(h *human) bool { return h.primary == basel })
			d.makePrimary(h, nil)
			h = d.anyone(120, func(h *human) bool { return h.primary == nil && !first.people[h] })
			d.enter(first, h)
			d.makePrimary(h, first)
			d.nest(d.byCN["Team 002"], d.byCN["Level 2"])
		}},
		{name: "a nested group less, another name of a group, a contact and a circle cut", asks: true, do: func(d *domain) {
			d.unnest(d.byCN["Team 002"], d.byCN["Level 2"])
			t := d.byCN["Team 003"]
			d.rename(t.dn(), "CN="+escaped("Équipe, 3"), "")
			t.cn, t.address = "Équipe, 3", "equipe-3@"+ours
			d.member(t, "CN=Law Firm\\, AG,"+company, true)
			d.unnest(d.byCN["Circle C"], d.byCN["Circle A"])
		}},
		{name: "a leaver who comes back, a first address and another number, as changes", delta: true, do: func(d *domain) {
			for _, h := range d.who {
				if h.disabled && h.remote[inGoogle] != "" {
					d.disable(h, false)
					break
				}
			}
			for _, h := range d.who {
				if h.mail == "" && !h.disabled && !h.expired && h.given != "" {
					h.mail = fmt.Sprintf("late.%04d@%s", h.n, ours)
					d.set(h.dn(), "mail", h.mail)
					break
				}
			}
			h := d.anyone(130, nil)
			h.number = "E-NEW"
			d.set(h.dn(), "employeeID", h.number)
		}},
		{name: "a unit that is renamed, an address that is shared no longer, an account that expires", do: func(d *domain) {
			d.rename(zurich, "OU=Zürich 'West'\\, Altstetten", "")
			for _, h := range d.who {
				h.ou = strings.Replace(h.ou, zurich, "OU=Zürich 'West'\\, Altstetten,"+company, 1)
			}
			h := d.who[twin]
			h.mail = fmt.Sprintf("own.%04d@%s", h.n, ours)
			d.set(h.dn(), "mail", h.mail)
			h = d.anyone(140, d.worker)
			h.expired = true
			d.set(h.dn(), "accountExpires", h.expires())
		}},
	}
}
