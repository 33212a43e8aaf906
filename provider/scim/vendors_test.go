package scim_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider/scim"
)

const patchOp = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

// quirks are what vendors document, and what the RFCs allow, of servers that a client meets.
type quirks struct {
	// unpublished has no ServiceProviderConfig under that name (Salesforce).
	unpublished bool
	// agent asks for a User-Agent (GitHub).
	agent bool
	// matched asks for If-Match on every change of a resource (RFC 6585, section 3).
	matched bool
	// keeps lets a PUT keep what its body leaves out (Quickbase; RFC 7644, section 3.5.1, allows it).
	keeps bool
	// patchGroups has PATCH of groups beside PUT of users (Zoom).
	patchGroups bool
	// answers has PATCH answer with the resource.
	answers bool
	// immutable refuses another userName (Databricks, Tealium).
	immutable bool
	// fixed refuses another displayName of a group (Atlassian).
	fixed bool
	// required are the attributes without which no user is created (AWS).
	required []string
	// deletion is the status of DELETE of a user that stays: 204 deactivates it (Slack, Atlassian, LaunchDarkly), and
	// another one refuses (Salesforce).
	deletion int
	// removes deletes a user that is not active (Figma).
	removes bool
	// hides leaves users that are not active out of the members (GitHub).
	hides bool
	// memberless shows no members. Users are found by groups.value (AWS).
	memberless bool
	// filters are the attributes that a filter takes. Others are refused. Nil takes all.
	filters []string
	// blind answers a filter of externalId with an empty list (Snowflake, to filters that it does not know).
	blind bool
	// sample answers a list without a filter with one resource that does not exist (Snowflake).
	sample bool
	// countless has no totalResults.
	countless bool
	// few is the largest number of members that a PATCH changes (AWS).
	few int
	// unique refuses groups of one name (AWS).
	unique bool
	// bare refuses without a body.
	bare bool
	// texts shows booleans as texts (Zscaler).
	texts bool
	// numbers shows ids as numbers (Quickbase).
	numbers bool
}

// objects returns the refusal of a request before its resource counts, or zero.
func (l *letter) objects(r *http.Request, kind string) (status int, code string) {
	q := r.URL.Query()
	media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch asked := filter.FindStringSubmatch(q.Get("filter")); {
	case l.agent && r.Header.Get("User-Agent") == "":
		return http.StatusForbidden, ""
	case l.unpublished && kind == "ServiceProviderConfig":
		return http.StatusNotFound, ""
	case r.Method == http.MethodPost && media != "application/scim+json",
		(r.Method == http.MethodPut || r.Method == http.MethodPatch) && media != "application/scim+json":
		return http.StatusUnsupportedMediaType, ""
	case q.Has("filter") && asked == nil, asked != nil && l.filters != nil && !slices.Contains(l.filters, asked[1]):
		return http.StatusBadRequest, "invalidFilter"
	case l.memberless && kind == "Users" && (q.Has("excludedAttributes") || q.Has("startIndex")):
		return http.StatusBadRequest, ""
	}
	return 0, ""
}

// resists returns the refusal of the attributes that a resource is to have, or zero.
func (l *letter) resists(e *entity, next map[string]any) (status int, code string) {
	name, old := fmt.Sprint(next["username"]), fmt.Sprint(e.attrs["username"])
	lacks := func(path string) bool {
		outer, inner, _ := strings.Cut(path, ".")
		object, _ := next[outer].(map[string]any)
		return next[outer] == nil || inner != "" && object[inner] == nil
	}
	switch {
	case l.taken(e, next):
		return http.StatusConflict, "uniqueness"
	case strings.HasPrefix(name, "refused"):
		return http.StatusBadRequest, "invalidValue"
	case l.immutable && e.version > 0 && e.kind == "Users" && !strings.EqualFold(name, old),
		l.fixed && e.version > 0 && e.kind == "Groups" && next["displayname"] != e.attrs["displayname"]:
		return http.StatusBadRequest, "mutability"
	case e.kind == "Users" && slices.ContainsFunc(l.required, lacks):
		return http.StatusBadRequest, "invalidValue"
	}
	return 0, ""
}

// sweep deletes the users that are not active, where the server does.
func (l *letter) sweep() {
	l.all = slices.DeleteFunc(l.all, func(e *entity) bool { return l.removes && e.attrs["active"] == false })
}

// visible returns the members that a group shows.
func (l *letter) visible(group *entity) []string {
	return slices.DeleteFunc(slices.Clone(group.members), func(id string) bool {
		return slices.ContainsFunc(l.all, func(e *entity) bool { return e.id == id && l.hides && e.attrs["active"] == false })
	})
}

// matches reports whether a filter finds a resource.
func (l *letter) matches(e *entity, attribute, value string) bool {
	switch {
	case attribute == "groups.value":
		return slices.ContainsFunc(l.all, func(g *entity) bool { return g.id == value && slices.Contains(g.members, e.id) })
	case attribute == "externalId" && l.blind:
		return false
	}
	return fmt.Sprint(e.attrs[strings.ToLower(attribute)]) == value
}

// synthetic returns the resource of a list that shows no real ones.
func (l *letter) synthetic(kind string, filtered bool) (list []any) {
	if l.sample && !filtered {
		list = append(list, map[string]any{"id": "1", "externalId": "synthesis", "userName": "synthesis", "active": false,
			"displayName": "synthesis " + kind})
	}
	return list
}

// asTexts returns a value with its booleans as texts.
func asTexts(v any) any {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)
	case map[string]any:
		out := map[string]any{}
		for name, inner := range v {
			out[name] = asTexts(inner)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = asTexts(v[i])
		}
		return out
	}
	return v
}

// add creates a resource as an administrator of the server does.
func (l *letter) add(kind string, attrs map[string]any) *entity {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	e := &entity{kind: kind, id: strconv.Itoa(l.last), version: 1, attrs: attrs}
	l.all = append(l.all, e)
	return e
}

// anchored returns the resources with an externalId. It fails the test where two have the same one.
func (l *letter) anchored(t *testing.T) map[string]*entity {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	out := map[string]*entity{}
	for _, e := range l.all {
		if id, _ := e.attrs["externalid"].(string); id != "" {
			if out[id] != nil {
				t.Errorf("%s %s and %s have the externalId %s", e.kind, out[id].id, e.id, id)
			}
			copied := *e
			copied.attrs, copied.members = maps.Clone(e.attrs), slices.Clone(e.members)
			out[id] = &copied
		}
	}
	return out
}

// vendors are servers that keep to the documentation of a vendor. The pages are those in the profiles.
func vendors() map[string]vendor {
	get := func(c *scim.Config) { c.Members = "get" }
	return map[string]vendor{
		"Slack":     {profile: "slack", letter: &letter{quirks: quirks{deletion: http.StatusNoContent, answers: true}}},
		"Atlassian": {profile: "atlassian", letter: &letter{quirks: quirks{deletion: http.StatusNoContent, fixed: true}}},
		"GitHub": {profile: "github-emu", letter: &letter{quirks: quirks{agent: true, hides: true, answers: true,
			filters: []string{"userName", "externalId", "id", "displayName"}}}},
		"AWS": {profile: "aws", letter: &letter{cursors: true, quirks: quirks{memberless: true, few: 100, unique: true,
			answers: true, required: []string{"username", "displayname", "name.familyname"},
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
		"HCP Terraform":        {profile: "hcp-terraform", letter: &letter{quirks: quirks{unique: true, bare: true}}},
		"Mirantis":             {letter: &letter{quirks: quirks{filters: []string{"userName"}, countless: true}}},
		"versions everywhere":  {letter: &letter{quirks: quirks{matched: true}}},
		"versions and members": {letter: &letter{alone: true, quirks: quirks{matched: true}}, change: get},
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
		for _, m := range d.Members {
			if u := c.desired[m.Ref]; u != nil && u.Active {
				want = append(want, string(m.Ref.ID))
			}
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
