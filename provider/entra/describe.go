package entra

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// describeUser describes a user in the planner's words.
func (p *Provider) describeUser(u *user, q *provider.Query, administrators map[string]bool) plan.Object {
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.User}, RemoteID: u.ID, Address: strings.ToLower(u.UPN), Active: !u.Disabled,
		Fields: attributes(p.userFields, u.Fields), Protected: p.protects(u, administrators),
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
	o.Suspender = suspender(&o, q.Known[o.Ref])
	if !o.Active && o.Anchored() && p.returning.has(u.ID) {
		o.Suspender = plan.Us
		p.marks.set(u.ID, true)
	}
	return o
}

// suspender says who suspended an account, which the ledger alone knows. An account that is active though we suspended it
// was activated by hand, or is shown as it was before: either way the mark has to go before somebody else suspends it.
func suspender(o *plan.Object, link plan.Link) plan.Suspender {
	known := o.Anchored() && link.RemoteID == o.RemoteID
	switch {
	case known && link.Suspended:
		return plan.Us
	case o.Active:
		return plan.Nobody
	case known:
		return plan.Else
	}
	return plan.Unknown
}

// protects says why a user is never adopted, suspended or deleted; "" when it may be.
func (p *Provider) protects(u *user, administrators map[string]bool) string {
	if administrators[u.ID] {
		return "administrator"
	}
	if pattern := p.cfg.Protects(u.ID, strings.ToLower(u.UPN)); pattern != "" {
		return "protected by the configuration (" + pattern + ")"
	}
	return ""
}

// describeGroup describes a group in the planner's words, with the members that are known of one of ours.
func (p *Provider) describeGroup(g *group, q *provider.Query) plan.Object {
	o := plan.Object{
		Ref: directory.Ref{Kind: directory.Group, ID: p.entryOf(g)}, RemoteID: g.ID, Active: true,
		Fields: attributes(p.groupFields, g.Fields), ReadOnly: g.readOnly(),
	}
	if pattern := p.cfg.Protects(g.ID); pattern != "" {
		o.Protected = "protected by the configuration (" + pattern + ")"
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

// readOnly says why a group is never written.
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

// witness is a digest of members: the ledger keeps them for object jobs, and needs no writing where they did not change.
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
