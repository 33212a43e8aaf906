//go:build samba

package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
)

// account is what a tenant has of a person, by the names of the fields. Empty fields are left out.
type account map[string]string

// state is what a tenant has: accounts by address, and the members of groups by address and name.
type state struct {
	accounts map[string]account
	groups   map[string][]string
}

// The tenants in the order in which a human has its accounts.
const (
	inGoogle = iota
	inEntra
)

// usable reports whether the person's address can be that of an account.
func (h *human) usable() bool {
	return strings.HasSuffix(strings.ToLower(h.mail), "@"+ours) || strings.HasSuffix(strings.ToLower(h.mail), "@"+second)
}

// taken reports whether another person who is there has the address as well.
func (d *domain) taken(h *human) bool {
	return slices.ContainsFunc(d.who, func(o *human) bool {
		return o != h && !o.gone && !o.disabled && !o.expired && o.mail != "" && strings.EqualFold(o.mail, h.mail)
	})
}

// joins reports whether the person gets an account, or keeps it active.
func (d *domain) joins(h *human, tenant int) bool {
	if h.gone || h.disabled || h.expired || !h.usable() {
		return false
	}
	if h.remote[tenant] == "" && d.taken(h) {
		return false
	}
	return tenant == inEntra || h.given != "" && utf8.RuneCountInString(h.given) <= 60
}

// has reports whether the person has an account after a sync, active or not.
func (d *domain) has(h *human, tenant int) bool { return h.remote[tenant] != "" || d.joins(h, tenant) }

// members returns the people of a team and of the teams below it.
func (t *team) members(seen map[*team]bool) map[*human]bool {
	out := maps.Clone(t.people)
	seen[t] = true
	for below := range t.teams {
		if !seen[below] {
			maps.Copy(out, below.members(seen))
		}
	}
	return out
}

// expected is what both tenants should have.
func (d *domain) expected(tenant int) state {
	s := state{map[string]account{}, map[string][]string{}}
	for _, h := range d.who {
		if !d.has(h, tenant) {
			continue
		}
		a := account{"active": fmt.Sprint(d.joins(h, tenant))}
		if a["active"] == "true" { // What a leaver's account shows is judged by its state alone.
			d.fields(h, tenant, a)
		}
		s.accounts[strings.ToLower(h.mail)] = a
	}
	for _, t := range d.teams {
		name := t.cn
		if tenant == inGoogle {
			if t.address == "" {
				continue
			}
			name = t.address + " " + name
		}
		all := t.members(map[*team]bool{})
		for _, h := range d.who {
			for below := range t.below(map[*team]bool{}) {
				if h.primary == below && !h.gone {
					all[h] = true
				}
			}
		}
		list := []string{}
		for h := range all {
			if d.has(h, tenant) && !h.gone {
				list = append(list, strings.ToLower(h.mail))
			}
		}
		slices.Sort(list)
		s.groups[name] = list
	}
	return s
}

// below returns the team and all that are nested in it.
func (t *team) below(seen map[*team]bool) map[*team]bool {
	seen[t] = true
	for n := range t.teams {
		if !seen[n] {
			n.below(seen)
		}
	}
	return seen
}

// fields are what the mappings that init writes make of a person.
func (d *domain) fields(h *human, tenant int, a account) {
	put := func(name, value string) {
		if value != "" {
			a[name] = value
		}
	}
	put("given", h.given)
	put("family", h.sn)
	put("title", h.title)
	put("department", h.department)
	put("phone", h.phone)
	put("mobile", h.mobile)
	put("number", h.number)
	if h.manager != nil && d.joins(h.manager, tenant) {
		put("manager", strings.ToLower(h.manager.mail))
	}
	if tenant == inEntra {
		put("display", strings.TrimSpace(cmp.Or(h.display, h.cn)))
		put("office", h.office)
		put("country", h.country)
		return
	}
	aliases := map[string]bool{}
	for _, p := range h.proxies {
		kind, address, ok := strings.Cut(strings.ToLower(p), ":")
		if _, of, _ := strings.Cut(address, "@"); ok && kind == "smtp" && (of == ours || of == second) {
			aliases[address] = true
		}
	}
	for _, f := range h.former {
		aliases[f] = true
	}
	delete(aliases, strings.ToLower(h.mail))
	put("aliases", strings.Join(slices.Sorted(maps.Keys(aliases)), " "))
}

// foreseen are the warnings of a check: who has an address of a foreign domain, or what Google does not take. One team
// has such an address, too.
func (d *domain) foreseen() []string {
	elsewhere, refused := 0, 0
	for _, h := range d.who {
		switch {
		case h.disabled || h.expired || h.mail == "":
		case !h.usable():
			elsewhere++
		case !d.joins(h, inGoogle) && !d.taken(h):
			refused++
		}
	}
	const held = "warning: entries on the first page that will be held (%s): %d, such as "
	return []string{tenants[inGoogle] + ": " + fmt.Sprintf(held, "foreign_domain", elsewhere+1),
		tenants[inGoogle] + ": " + fmt.Sprintf(held, "mapping", refused),
		tenants[inGoogle] + ": " + fmt.Sprintf(held, "same_address", 2),
		tenants[inEntra] + ": " + fmt.Sprintf(held, "foreign_domain", elsewhere),
		tenants[inEntra] + ": " + fmt.Sprintf(held, "same_address", 2)}
}

// element returns the value of a key in the element of a list with this type.
func element(doc map[string]any, list, kind, key string) string {
	all, _ := doc[list].([]any)
	for _, one := range all {
		m, _ := one.(map[string]any)
		if kind == "" || m["type"] == kind {
			if v, ok := m[key].(string); ok {
				return v
			}
		}
	}
	return ""
}

// ofGoogle returns the state of the tenant.
func ofGoogle(t *googleworkspace.Tenant) (state, map[string]string) {
	s, ids := state{map[string]account{}, map[string][]string{}}, map[string]string{}
	for _, u := range t.Users() {
		if u.IsAdmin {
			continue
		}
		ids[u.PrimaryEmail] = u.ID
		a := account{"active": fmt.Sprint(!u.Suspended)}
		s.accounts[u.PrimaryEmail] = a
		if u.Suspended {
			continue
		}
		slices.Sort(u.Aliases)
		number := ""
		for _, e := range u.ExternalIDs {
			if e.Type == "organization" {
				number = e.Value
			}
		}
		for name, value := range map[string]string{"given": u.GivenName, "family": u.FamilyName,
			"title":      element(u.Resource, "organizations", "", "title"),
			"department": element(u.Resource, "organizations", "", "department"),
			"phone":      element(u.Resource, "phones", "work", "value"),
			"mobile":     element(u.Resource, "phones", "mobile", "value"),
			"manager":    element(u.Resource, "relations", "manager", "value"),
			"number":     number, "aliases": strings.Join(u.Aliases, " ")} {
			if value != "" {
				a[name] = value
			}
		}
	}
	for _, g := range t.Groups() {
		list := []string{}
		for _, m := range t.Members(g.Email) {
			list = append(list, m.Email)
		}
		slices.Sort(list)
		s.groups[g.Email+" "+g.Name] = list
	}
	return s, ids
}

// ofEntra returns the state of the tenant.
func ofEntra(t *graph.Tenant) (state, map[string]string) {
	s, ids := state{map[string]account{}, map[string][]string{}}, map[string]string{}
	address := map[string]string{}
	for _, u := range t.Users() {
		address[u.ID] = u.UserPrincipalName
		if strings.HasPrefix(u.UserPrincipalName, "boss@") {
			continue
		}
		ids[u.UserPrincipalName] = u.ID
	}
	for _, u := range t.Users() {
		if ids[u.UserPrincipalName] == "" {
			continue
		}
		a := account{"active": fmt.Sprint(!u.Disabled)}
		s.accounts[u.UserPrincipalName] = a
		if u.Disabled {
			continue
		}
		of := func(name string) string { v, _ := u.Properties[name].(string); return v }
		phone := ""
		if all, _ := u.Properties["businessPhones"].([]string); len(all) > 0 {
			phone = all[0]
		}
		boss, _ := t.Manager(u.ID)
		for name, value := range map[string]string{"given": u.GivenName, "family": u.Surname, "title": u.JobTitle,
			"department": u.Department, "phone": phone, "mobile": of("mobilePhone"), "number": u.EmployeeID,
			"display": u.DisplayName, "office": of("officeLocation"), "country": of("usageLocation"),
			"manager": boss} {
			if value != "" {
				a[name] = value
			}
		}
	}
	for _, g := range t.Groups() {
		list := []string{}
		for _, m := range t.Members(g.ID) {
			list = append(list, address[m])
		}
		slices.Sort(list)
		s.groups[g.DisplayName] = list
	}
	return s, ids
}
