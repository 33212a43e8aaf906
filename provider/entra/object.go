package entra

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/remote"
)

// user is the stored part of a user.
type user struct {
	ID string `json:"i"`
	// UPN is the userPrincipalName as Graph returns it, Anchor the onPremisesImmutableId.
	UPN    string `json:"u,omitempty"`
	Anchor string `json:"a,omitempty"`
	// Disabled is set unless accountEnabled is true. Synced is onPremisesSyncEnabled.
	Disabled bool `json:"d,omitempty"`
	Synced   bool `json:"s,omitempty"`
	// Fields are the values of the mapped fields, in the order of Provider.userFields.
	Fields []string `json:"f,omitempty"`
}

// group is the stored part of a group.
type group struct {
	ID string `json:"i"`
	// Name is the uniqueName, Nickname the mailNickname.
	Name     string `json:"n,omitempty"`
	Nickname string `json:"k,omitempty"`
	// Dynamic, Roles, Synced and Mail are reasons not to write the group. They stand for a membership rule,
	// assignable roles, synchronisation from another directory, and management by Exchange.
	Dynamic bool     `json:"d,omitempty"`
	Roles   bool     `json:"r,omitempty"`
	Synced  bool     `json:"s,omitempty"`
	Mail    bool     `json:"m,omitempty"`
	Fields  []string `json:"f,omitempty"`
	// Members are the sorted members of a group of ours. Those of other groups are not stored.
	Members []string `json:"o,omitempty"`
	// Unlisted is set while the members are unknown. Either the group has become ours since it was read, or its
	// members could not be read.
	Unlisted bool `json:"x,omitempty"`
	// unreadable is the reason why the members could not be read.
	unreadable string
}

// userSelection returns a $select of users with mapped fields.
func userSelection(fields []string) string {
	properties := []string{"id", "userPrincipalName", "accountEnabled", "onPremisesImmutableId", "onPremisesSyncEnabled"}
	for _, field := range fields {
		property, _, _ := strings.Cut(field, ".")
		if property != managerField && !slices.Contains(properties, property) {
			properties = append(properties, property)
		}
	}
	return "$select=" + strings.Join(properties, ",")
}

// withManager returns the selection of a list or of a single user. The manager is a relationship, which is expanded
// without options: $levels works for single users only, and reads from an index that lags.
func withManager(fields []string) string {
	if !slices.Contains(fields, managerField) {
		return userSelection(fields)
	}
	return userSelection(fields) + "&$expand=manager"
}

// trackManager returns the selection of a delta query, which names the relationship among the properties.
func trackManager(fields []string) string {
	if !slices.Contains(fields, managerField) {
		return userSelection(fields)
	}
	return userSelection(fields) + "," + managerField
}

// userForm identifies what is stored of a user: the selection, and the parts of properties that it does not name.
func userForm(fields []string) string {
	form := userSelection(fields)
	for _, field := range fields {
		if strings.Contains(field, ".") || field == managerField {
			form += " " + field
		}
	}
	return form
}

// groupSelection returns a $select of groups with mapped fields.
func groupSelection(fields []string) string {
	if !slices.Contains(fields, "mailNickname") {
		fields = append([]string{"mailNickname"}, fields...)
	}
	return "$select=" + strings.Join(append([]string{"id", "uniqueName", "groupTypes", "mailEnabled",
		"isAssignableToRole", "onPremisesSyncEnabled"}, fields...), ",")
}

// raw is the JSON of one object. A missing property is unchanged, and null is empty.
type raw map[string]json.RawMessage

// take reads a property that is present.
func take[T string | bool](r raw, name string, to *T) {
	if value, ok := r[name]; ok {
		*to = *new(T)
		_ = json.Unmarshal(value, to)
	}
}

// fields reads mapped fields. Of an array it reads the first element.
func (r raw) fields(names []string, to *[]string) {
	if len(*to) != len(names) {
		*to = make([]string, len(names))
	}
	for i, name := range names {
		if name == managerField {
			r.manager(&(*to)[i])
			continue
		}
		if property, part, is := strings.Cut(name, "."); is {
			var parts raw
			if value, ok := r[property]; ok && json.Unmarshal(value, &parts) == nil {
				(*to)[i] = ""
				take(parts, part, &(*to)[i])
			}
			continue
		}
		if !isList(name) {
			take(r, name, &(*to)[i])
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

// manager reads the id of the manager, from an expanded relationship or from its changes in a delta query.
func (r raw) manager(to *string) {
	if value, ok := r[managerField]; ok {
		var one raw
		_ = json.Unmarshal(value, &one)
		*to = ""
		take(one, "id", to)
	}
	var changes []raw
	_ = json.Unmarshal(r[managerField+"@delta"], &changes)
	for _, removed := range []bool{true, false} { // One that came stands, whatever the order.
		for _, m := range changes {
			id := ""
			take(m, "id", &id)
			if _, is := m["@removed"]; is != removed {
				continue
			}
			if !removed {
				*to = id
			} else if *to == id {
				*to = ""
			}
		}
	}
}

// merge copies the properties that are present to the user.
func (u *user) merge(r raw, fields []string) {
	take(r, "id", &u.ID)
	take(r, "userPrincipalName", &u.UPN)
	take(r, "onPremisesImmutableId", &u.Anchor)
	take(r, "onPremisesSyncEnabled", &u.Synced)
	if _, ok := r["accountEnabled"]; ok {
		enabled := false
		take(r, "accountEnabled", &enabled)
		u.Disabled = !enabled
	}
	r.fields(fields, &u.Fields)
}

// merge copies the properties that are present, without members, to the group.
func (g *group) merge(r raw, fields []string) {
	take(r, "id", &g.ID)
	take(r, "uniqueName", &g.Name)
	take(r, "mailNickname", &g.Nickname)
	take(r, "isAssignableToRole", &g.Roles)
	take(r, "onPremisesSyncEnabled", &g.Synced)
	take(r, "mailEnabled", &g.Mail)
	if value, ok := r["groupTypes"]; ok {
		var types []string
		_ = json.Unmarshal(value, &types)
		g.Dynamic = slices.Contains(types, "DynamicMembership")
	}
	r.fields(fields, &g.Fields)
}

// readUser decodes one user from an answer.
func (p *Provider) readUser(body json.RawMessage) (*user, bool) {
	var r raw
	_ = json.Unmarshal(body, &r) // What is no object has no id.
	u := p.userOf(r)
	return u, u.ID != ""
}

func (p *Provider) userOf(r raw) *user {
	u := &user{}
	u.merge(r, p.userFields)
	return u
}

// readGroup decodes one group from an answer, without members.
func (p *Provider) readGroup(body json.RawMessage) (*group, bool) {
	var r raw
	_ = json.Unmarshal(body, &r) // What is no object has no id.
	g := p.groupOf(r)
	return g, g.ID != ""
}

func (p *Provider) groupOf(r raw) *group {
	g := &group{}
	g.merge(r, p.groupFields)
	return g
}

// describeUser describes a user in the planner's terms.
func (p *Provider) describeUser(u *user, q *provider.Query, administrators map[string]bool) plan.Object {
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.User}, RemoteID: u.ID, Address: strings.ToLower(u.UPN), Active: !u.Disabled,
		Fields: p.userValues(u), Protected: p.protects(u, administrators),
	}
	if id, ours := decodeAnchor(u.Anchor); ours {
		o.ID = id
		o.Unproven = "it carries an onPremisesImmutableId that may be another system's"
	} else if u.Anchor != "" && o.Protected == "" {
		o.Protected = "it carries the onPremisesImmutableId of another system"
	}
	if u.Synced {
		o.ReadOnly = "it is synchronised from another directory (onPremisesSyncEnabled)"
	}
	o.Suspender = remote.Suspender(&o, q.Known[o.Ref])
	if !o.Active && o.Anchored() && p.returning.has(u.ID) {
		o.Suspender = plan.Us
		p.marks.set(u.ID, true)
	}
	return o
}

// protects returns why a user is never adopted, suspended or deleted, or "".
func (p *Provider) protects(u *user, administrators map[string]bool) string {
	if administrators[u.ID] {
		return "administrator"
	}
	return p.cfg.Protects(u.ID, u.UPN)
}

// describeGroup describes a group in the planner's terms, with the members of a group that is ours.
func (p *Provider) describeGroup(g *group, q *provider.Query) plan.Object {
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.Group, ID: p.entryOf(g)}, RemoteID: g.ID, Active: true,
		Fields: attributes(p.groupFields, g.Fields), ReadOnly: g.readOnly(), Unreadable: g.unreadable != "",
		Protected: p.cfg.Protects(g.ID),
	}
	if !o.Anchored() || g.unreadable != "" {
		return o
	}
	o.Members, o.Listed, o.Witness = g.Members, true, witness(g.Members)
	if c := q.Groups[o.ID]; c.Holds(o.Witness, q.Now) {
		o.Members, o.Listed = c.Members, false
	}
	return o
}

// readOnly returns why a group is never written, or "".
func (g *group) readOnly() string {
	switch {
	case g.unreadable != "":
		return g.unreadable
	case g.Synced:
		return "it is synchronised from another directory (onPremisesSyncEnabled)"
	case g.Dynamic:
		return "its members come from a rule (dynamic membership)"
	case g.Roles:
		return "it can be assigned to administrators' roles (isAssignableToRole)"
	case g.Mail:
		return "it is enabled for mail: Exchange or Microsoft 365 manages it"
	}
	return ""
}

// witness returns a digest of members. The ledger keeps members for object jobs, and is not written while the digest
// is the same.
func witness(members []string) string {
	h := sha256.New()
	for _, m := range members {
		_, _ = io.WriteString(h, m)
		_, _ = h.Write([]byte{'\n'})
	}
	return hex.EncodeToString(h.Sum(nil)[:12])
}

func attributes(names, values []string) directory.Attributes {
	out := make(directory.Attributes, 0, len(names))
	for i, name := range names {
		if i < len(values) && values[i] != "" {
			out = append(out, directory.Attribute{Name: name, Values: values[i : i+1 : i+1]})
		}
	}
	return out
}
