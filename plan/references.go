package plan

import (
	"slices"
	"strings"

	"rollcall/directory"
)

// references moves the fields that name other accounts out of the creations and updates of users, into updates of
// their own. These come when all accounts exist. A field that names an account which neither exists nor is about to
// is left to a later run, and one that names an account which is renamed follows it by itself.
func (c *computer) references() {
	refers := c.in.Capabilities.Refers
	if len(refers) == 0 {
		return
	}
	arriving, renamed := map[string]bool{}, map[string]string{}
	for i := range c.plan.Changes {
		ch := &c.plan.Changes[i]
		arriving[ch.Address] = true
		if before := ch.FormerAddress(); before != "" {
			renamed[before] = ch.Address
		}
	}
	kept := c.plan.Changes[:0]
	var own []Change
	for _, ch := range c.plan.Changes {
		if ch.Kind != directory.User || ch.Op != Create && ch.Op != Undelete && ch.Op != Update {
			kept = append(kept, ch)
			continue
		}
		ref := Change{Op: Update, Ref: ch.Ref, RemoteID: ch.RemoteID, Label: ch.Label, Address: ch.Address,
			Source: ch.Source, Version: ch.Version, Refers: true}
		all := ch.Fields
		ch.Fields = slices.DeleteFunc(slices.Clone(all), func(f FieldChange) bool {
			if !slices.Contains(refers, f.Name) {
				return false
			}
			before, after := strings.ToLower(strings.Join(f.Before, "")), strings.ToLower(strings.Join(f.After, ""))
			if after == "" || renamed[before] != after && c.exists(after, arriving) {
				ref.Fields = append(ref.Fields, f)
			}
			return true
		})
		if len(ref.Fields) > 0 {
			own = append(own, ref)
		}
		if ch.Op != Update || len(ch.Fields) > 0 {
			kept = append(kept, ch)
		}
	}
	c.plan.Changes = append(kept, own...)
}

// exists reports whether an account of ours has the address, now or after this plan. A plan for some entries does not
// know all accounts, and leaves the answer to the provider.
func (c *computer) exists(address string, arriving map[string]bool) bool {
	return len(c.only) > 0 || arriving[address] || slices.ContainsFunc(c.byAddress[address],
		func(o *Object) bool { return o.Anchored() && o.Address == address })
}
