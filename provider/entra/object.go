package entra

import (
	"encoding/json"
	"slices"
	"strings"
)

// user is what is kept of a user.
type user struct {
	ID string `json:"i"`
	// UPN is the userPrincipalName as Graph shows it, Anchor the onPremisesImmutableId.
	UPN    string `json:"u,omitempty"`
	Anchor string `json:"a,omitempty"`
	// Disabled is set unless accountEnabled is true; Synced for onPremisesSyncEnabled.
	Disabled bool `json:"d,omitempty"`
	Synced   bool `json:"s,omitempty"`
	// Fields are the values of the mapped fields, in the order of Provider.userFields.
	Fields []string `json:"f,omitempty"`
}

// group is what is kept of a group.
type group struct {
	ID string `json:"i"`
	// Name is the uniqueName, Nickname the mailNickname.
	Name     string `json:"n,omitempty"`
	Nickname string `json:"k,omitempty"`
	// Dynamic, Roles, Synced and Mail say why it is not ours to write: a membership rule, assignable to roles, synchronised
	// from elsewhere, managed by Exchange.
	Dynamic bool     `json:"d,omitempty"`
	Roles   bool     `json:"r,omitempty"`
	Synced  bool     `json:"s,omitempty"`
	Mail    bool     `json:"m,omitempty"`
	Fields  []string `json:"f,omitempty"`
	// Members of a group of ours, sorted; those of other groups are not kept.
	Members []string `json:"o,omitempty"`
	// Unlisted is set while the members are not known: the group has become ours since it was read, or could not be read.
	Unlisted bool `json:"x,omitempty"`
	// unreadable is why the members could not be read.
	unreadable string
}

// selection returns a $select of users, with mapped fields.
func userSelection(fields []string) string {
	return "$select=" + strings.Join(append([]string{"id", "userPrincipalName", "accountEnabled", "onPremisesImmutableId", "onPremisesSyncEnabled"}, fields...), ",")
}

// groupSelection returns a $select of groups, with mapped fields.
func groupSelection(fields []string) string {
	if !slices.Contains(fields, "mailNickname") {
		fields = append([]string{"mailNickname"}, fields...)
	}
	return "$select=" + strings.Join(append([]string{"id", "uniqueName", "groupTypes", "mailEnabled", "isAssignableToRole", "onPremisesSyncEnabled"}, fields...), ",")
}

// raw is one object as JSON gave it. A property that is not there is as it was; null is empty.
type raw map[string]json.RawMessage

func (r raw) text(name string, to *string) {
	value, ok := r[name]
	if !ok {
		return
	}
	*to = ""
	_ = json.Unmarshal(value, to)
}

func (r raw) flag(name string, to *bool) {
	value, ok := r[name]
	if !ok {
		return
	}
	*to = false
	_ = json.Unmarshal(value, to)
}

// fields reads mapped fields; of an array its first element.
func (r raw) fields(names []string, to *[]string) {
	if len(*to) != len(names) {
		*to = make([]string, len(names))
	}
	for i, name := range names {
		if !isList(name) {
			r.text(name, &(*to)[i])
			continue
		}
		if value, ok := r[name]; ok {
			var list []string
			_ = json.Unmarshal(value, &list)
			(*to)[i] = ""
			if len(list) > 0 {
				(*to)[i] = list[0]
			}
		}
	}
}

// merge takes over what Graph says of the user.
func (u *user) merge(r raw, fields []string) {
	r.text("id", &u.ID)
	r.text("userPrincipalName", &u.UPN)
	r.text("onPremisesImmutableId", &u.Anchor)
	r.flag("onPremisesSyncEnabled", &u.Synced)
	if _, ok := r["accountEnabled"]; ok {
		enabled := false
		r.flag("accountEnabled", &enabled)
		u.Disabled = !enabled
	}
	r.fields(fields, &u.Fields)
}

// merge takes over what Graph says of the group, without its members.
func (g *group) merge(r raw, fields []string) {
	r.text("id", &g.ID)
	r.text("uniqueName", &g.Name)
	r.text("mailNickname", &g.Nickname)
	r.flag("isAssignableToRole", &g.Roles)
	r.flag("onPremisesSyncEnabled", &g.Synced)
	r.flag("mailEnabled", &g.Mail)
	if value, ok := r["groupTypes"]; ok {
		var types []string
		_ = json.Unmarshal(value, &types)
		g.Dynamic = slices.Contains(types, "DynamicMembership")
	}
	r.fields(fields, &g.Fields)
}

// readUser reads one user out of an answer.
func (p *Provider) readUser(body json.RawMessage) (*user, bool) {
	var r raw
	if json.Unmarshal(body, &r) != nil {
		return nil, false
	}
	u := &user{}
	u.merge(r, p.userFields)
	return u, u.ID != ""
}

// readGroup reads one group out of an answer, without members.
func (p *Provider) readGroup(body json.RawMessage) (*group, bool) {
	var r raw
	if json.Unmarshal(body, &r) != nil {
		return nil, false
	}
	g := &group{}
	g.merge(r, p.groupFields)
	return g, g.ID != ""
}
