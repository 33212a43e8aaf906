package scim_test

import (
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/scim"
)

// vendors are servers that keep to the documentation of a vendor. The pages are those in the profiles.
func vendors() map[string]vendor {
	get := func(c *scim.Config) { c.Members = "get" }
	return map[string]vendor{
		"Slack":     {profile: "slack", letter: &letter{quirks: quirks{deletion: http.StatusNoContent, answers: true}}},
		"Atlassian": {profile: "atlassian", letter: &letter{quirks: quirks{deletion: http.StatusNoContent, fixed: true}}},
		"GitHub": {profile: "github-emu", letter: &letter{quirks: quirks{agent: true, hides: true, answers: true,
			filters: []string{"userName", "externalId", "id", "displayName"}}}},
		"AWS": {profile: "aws", letter: &letter{cursors: true, quirks: quirks{memberless: true, few: 100, unique: true,
			answers: true, single: true, required: []string{"username", "displayname", "name.familyname"},
			filters: []string{"userName", "externalId", "groups.value", "displayName"}}}},
		"Salesforce": {letter: &letter{quirks: quirks{unpublished: true, deletion: http.StatusMethodNotAllowed,
			texts: true, answers: true}}},
		"Databricks": {profile: "databricks", letter: &letter{alone: true, quirks: quirks{immutable: true}}},
		"Snowflake":  {profile: "snowflake", letter: &letter{quirks: quirks{sample: true, unpublished: true}}},
		"Figma":      {profile: "figma", letter: &letter{quirks: quirks{removes: true}}},
		"Zscaler":    {profile: "zscaler", letter: &letter{quirks: quirks{texts: true}}},
		"Zoom":       {profile: "zoom", letter: &letter{put: true, quirks: quirks{patchGroups: true, keeps: true}}},
		"Quickbase": {letter: &letter{put: true, quirks: quirks{keeps: true, numbers: true,
			filters: []string{"userName"}}}},
		"HCP Terraform": {profile: "hcp-terraform", letter: &letter{quirks: quirks{unique: true, bare: true}}},
		"Mirantis":      {letter: &letter{quirks: quirks{filters: []string{"userName"}, countless: true}}},
		// https://jfrog.com/help: implemented SCIM endpoints (neither users nor groups can be renamed).
		"JFrog": {letter: &letter{quirks: quirks{immutable: true, fixed: true}}},
		// docs.snowflake.com, release notes, bundle 2026_03 (bcr-2276): lists have pages, other filters are refused.
		"Snowflake from 2026_03": {profile: "snowflake", letter: &letter{quirks: quirks{unpublished: true,
			filters: []string{"userName", "externalId", "displayName"}}}},
		// api.cloudflare.com, accounts/{id}/scim/v2/Users: active: false removes the user from the account.
		"Cloudflare":           {letter: &letter{quirks: quirks{removes: true, answers: true}}},
		"versions everywhere":  {letter: &letter{quirks: quirks{matched: true}}},
		"versions and members": {letter: &letter{alone: true, quirks: quirks{matched: true}}, change: get},
		"canonical numbers":    {letter: &letter{quirks: quirks{canonical: true, answers: true}}},
		"members alone":        {letter: &letter{alone: true}},
		"few members":          {letter: &letter{quirks: quirks{few: 2, answers: true}}},
		"blind to externalId":  {letter: &letter{quirks: quirks{blind: true}}},
	}
}

type vendor struct {
	profile string
	change  func(*scim.Config)
	*letter
}

// TestVendors provisions users to servers that keep to the documentation of their vendors.
func TestVendors(t *testing.T) {
	t.Parallel()
	for name, v := range vendors() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCompany(t, losing(t, v.start(t), 7), "token")
			c.cfg.Profile, c.policy.Adoption = v.profile, plan.AdoptByAddress
			if v.change != nil {
				v.change(&c.cfg)
			}
			c.restart()
			yearOfACompany(c, v.letter)
		})
	}
}

// yearOfACompany lets people and groups come, change and go. After each step the next plan is empty, and the server has
// what the directory has.
func yearOfACompany(c *company, l *letter) {
	guest := l.add("Users", map[string]any{"username": "guest@example.com", "active": true, "displayname": "Guest",
		"name": map[string]any{"familyname": "Guest"}})
	var known *entity
	if !l.sample {
		known = l.add("Users", map[string]any{"username": "user3@example.com", "active": true, "displayname": "Old",
			"name": map[string]any{"familyname": "Old"}})
	}
	var refs []directory.Ref
	for n := range 12 {
		refs = append(refs, c.user(n).Ref)
	}
	all, some := c.group(1, refs...), c.group(2, refs[:5]...)
	check := func(step string) {
		c.t.Helper()
		c.agree(l, step)
		c.looks(step, refs[1], refs[5], refs[7], all.Ref, some.Ref)
		if u := l.find(guest.id); u.attrs["active"] != true || u.attrs["externalid"] != nil {
			c.t.Errorf("%s: the guest = %+v, want it untouched", step, u)
		}
	}
	c.settle()
	check("first sync")
	if known != nil && l.find(known.id).attrs["externalid"] != string(refs[3].ID) {
		c.t.Errorf("the user that existed = %+v, want it adopted", l.find(known.id))
	}

	c.set(refs[1], "title", "Manager")
	c.set(refs[2], "phoneNumbers.work", "")
	c.set(refs[4], "title", "")
	if !l.fixed {
		c.set(all.Ref, "displayName", "All")
	}
	some.Members = append(slices.Clone(some.Members[1:]), plan.Member{Ref: refs[7]})
	c.settle()
	check("changes")

	leaver := c.desired[refs[5]]
	delete(c.desired, refs[5])
	c.desired[refs[6]].Active = false
	c.settle()
	check("suspension")
	c.desired[refs[5]], c.desired[refs[6]].Active = leaver, true
	c.settle()
	check("return")

	c.policy.UserDeleteAction = plan.ActionDelete
	delete(c.desired, refs[5])
	delete(c.desired, some.Ref)
	c.settle()
	check("deletion")
	c.desired[refs[5]] = leaver
	c.settle()
	check("return after the deletion")

	c.user(20).Address = "refused@example.com"
	c.user(21)
	c.desired[refs[8]].Address = "renamed@example.com"
	_, errs := c.attempt(1 << 30)
	want := 1
	if l.immutable {
		want = 2
	}
	if len(errs) != want {
		c.t.Errorf("%d refusals, want %d: %v", len(errs), want, errs)
	}
	delete(c.desired, c.user(20).Ref)
	if l.immutable {
		c.desired[refs[8]].Address = "user8@example.com"
	}
	c.settle()
	check("refusals")
}

// agree fails the test unless the server has each entry once, as the directory has it. Others are not active.
func (c *company) agree(l *letter, step string) {
	c.t.Helper()
	has, ids := l.anchored(c.t), map[string]string{}
	for anchor, e := range has {
		ids[e.id] = anchor
		if c.desired[userRef(directory.ID(anchor))] == nil && e.kind == "Users" && e.attrs["active"] != false {
			c.t.Errorf("%s: user %s left and is active", step, anchor)
		}
	}
	for ref, d := range c.desired {
		e := has[string(ref.ID)]
		if e == nil && !d.Active && l.removes {
			continue
		}
		if e == nil {
			c.t.Errorf("%s: the server has no %s", step, d.Label)
			continue
		}
		if ref.Kind == directory.User {
			title, _ := e.attrs["title"].(string)
			if e.attrs["username"] != d.Address || e.attrs["active"] != d.Active || title != d.Fields.Get("title") {
				c.t.Errorf("%s: user %+v, want %+v", step, e.attrs, *d)
			}
			continue
		}
		var want, got []string
		for _, m := range c.active(d.Members) {
			want = append(want, string(m.Ref.ID))
		}
		for _, id := range e.members {
			if u := c.desired[userRef(directory.ID(ids[id]))]; u != nil && u.Active {
				got = append(got, ids[id])
			}
		}
		slices.Sort(want)
		if slices.Sort(got); !slices.Equal(got, want) {
			c.t.Errorf("%s: members of %s = %v, want %v", step, d.Label, got, want)
		}
	}
}

// looks reads single entries, with and without a ledger, and fails the test unless each is as the directory has it.
func (c *company) looks(step string, refs ...directory.Ref) {
	c.t.Helper()
	for _, ref := range refs {
		d := c.desired[ref]
		if d == nil || !d.Active {
			continue
		}
		for _, id := range []string{"", c.links[ref].RemoteID} {
			lookup := provider.Lookup{Ref: ref, RemoteID: id, Address: d.Address}
			for other := range c.desired {
				if ref.Kind == directory.User && other.Kind == directory.Group {
					lookup.Groups = append(lookup.Groups, provider.GroupRef{ID: other.ID, RemoteID: c.links[other].RemoteID})
				}
			}
			state, err := c.provider.Read(c.t.Context(), provider.Query{Lookups: []provider.Lookup{lookup}, Known: c.links,
				Now: time.Now()})
			if err != nil {
				c.t.Errorf("%s: Read(%+v) = %v", step, lookup, err)
			}
			c.sees(step, d, state.Objects)
		}
	}
}

// sees fails the test unless the objects that were looked up have the entry and its memberships.
func (c *company) sees(step string, d *plan.Desired, objects []plan.Object) {
	c.t.Helper()
	found := 0
	for i := range objects {
		o := &objects[i]
		if o.Ref == d.Ref {
			found++
			if n := len(c.active(d.Members)); !o.Active || d.Kind == directory.Group && len(o.Members) < n {
				c.t.Errorf("%s: %s is looked up as %+v, want it active with %d members", step, d.Label, *o, n)
			}
			continue
		}
		if group := c.desired[o.Ref]; group != nil && o.Kind == directory.Group {
			in := slices.ContainsFunc(group.Members, func(m plan.Member) bool { return m.Ref == d.Ref })
			if has := slices.Contains(o.Members, c.links[d.Ref].RemoteID); has != in {
				c.t.Errorf("%s: %s is in %s: %v, want %v", step, d.Label, group.Label, has, in)
			}
		}
	}
	if found != 1 {
		c.t.Errorf("%s: %s is looked up %d times", step, d.Label, found)
	}
}

// active returns the members that have an active account.
func (c *company) active(all []plan.Member) []plan.Member {
	return slices.DeleteFunc(c.members(all), func(m plan.Member) bool { return m.Passive })
}

// set changes a field of an entry.
func (c *company) set(ref directory.Ref, name, value string) {
	d := c.desired[ref]
	d.Fields = d.Fields.Clone().Set(name, value)
}

// find returns a copy of a resource.
func (l *letter) find(id string) entity {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.IndexFunc(l.all, func(e *entity) bool { return e.id == id })
	if i < 0 {
		return entity{}
	}
	e := *l.all[i]
	e.attrs = maps.Clone(e.attrs)
	return e
}
