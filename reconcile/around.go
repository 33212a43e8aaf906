package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/source"
)

// claimsVersion changes when claims are recorded in another way, so that older ones are not used.
const claimsVersion = "1 "

// neighbours returns the source if the entries of a limited scope can be decided without everything else. That needs
// the claims of a full run with the present configuration.
func (t tenant) neighbours(s Scope, v *view) (source.Neighbours, bool) {
	n, ok := t.cfg.Source.(source.Neighbours)
	return n, ok && s.limited() && !s.suspends && v.facts.Claims == claimsVersion+t.cfg.Scope
}

// readAround reads the neighbourhoods of the scope's entries in place of everything. What the tenant has under an
// entry's address or anchor leads to further entries, which are read in a second step.
func (t tenant) readAround(ctx context.Context, s Scope, v *view, near source.Neighbours) error {
	hood := directory.Neighbourhood{Refs: s.refs, Within: t.cfg.Within}
	if err := t.around(ctx, near, hood, v); err != nil {
		return err
	}
	first, err := t.cfg.Desire(v.snapshot, plan.State{}) // The domains are not known yet.
	if err != nil {
		return err
	}
	if err := t.state(ctx, s, provider.Query{Lookups: v.lookups(s, first.Desired)}, v); err != nil {
		return err
	}
	var keys []string
	hood.Names, keys = v.evidence(s, first.Desired)
	for _, ref := range s.refs {
		hood.Names = append(hood.Names, first.References[ref]...)
	}
	if hood.Also, err = t.cfg.Ledger.Claimants(ctx, keys...); err != nil {
		return err
	}
	owners, err := t.owners(ctx, v)
	if err != nil {
		return err
	}
	hood.Also = append(hood.Also, owners...)
	for i := range v.memory.Pins {
		if p := &v.memory.Pins[i]; p.Address != "" && slices.Contains(hood.Names, p.Address) {
			hood.Also = append(hood.Also, p.Ref)
		}
	}
	if err := t.around(ctx, near, hood, v); err != nil {
		return err
	}
	if v.desired, err = t.cfg.Desire(v.snapshot, v.state); err != nil {
		return err
	}
	v.rejectUnproven()
	v.addLinked(s)
	v.countOthers()
	return t.deleted(ctx, s, v)
}

// around reads a neighbourhood with its part of the ledger.
func (t tenant) around(ctx context.Context, near source.Neighbours, hood directory.Neighbourhood, v *view) (err error) {
	if v.snapshot, err = near.Around(ctx, hood); err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	v.readSource()
	refs := map[directory.Ref]bool{}
	mark(refs, slices.Concat(hood.Refs, hood.Also)...)
	for i := range v.snapshot.Entries {
		refs[v.snapshot.Entries[i].Ref()] = true
	}
	for i := range v.snapshot.Departed {
		refs[v.snapshot.Departed[i].Ref] = true
	}
	var groups []directory.ID
	for ref := range refs {
		if ref.Kind == directory.Group {
			groups = append(groups, ref.ID)
		}
	}
	if v.links, err = t.cfg.Ledger.LinksOf(ctx, slices.Collect(maps.Keys(refs))...); err != nil {
		return err
	}
	v.groups, err = t.cfg.Ledger.ConfirmedOf(ctx, groups...)
	return err
}

// evidence returns what other entries may share with those of the scope, as names and as claims. It is an address,
// one of the addresses that the entry may have, or the fact that outlives the entry. Of an entry that left, the ledger
// has the fact and the account has the address.
func (v *view) evidence(s Scope, desired []plan.Desired) (names, claims []string) {
	address := func(text string) {
		if text != "" {
			names, claims = append(names, textsOf(text)...), append(claims, addressClaim(text))
		}
	}
	rekey := func(k directory.Kind, text string) {
		if text != "" {
			names, claims = append(names, textsOf(text)...), append(claims, rekeyClaim(k, text))
		}
	}
	for i := range desired {
		d := &desired[i]
		if !s.has(d.Ref) {
			continue
		}
		for _, text := range addresses(d) {
			address(text)
		}
		rekey(d.Kind, d.Rekey)
	}
	for _, ref := range s.refs {
		rekey(ref.Kind, v.links[ref].Rekey)
	}
	for i := range v.state.Objects {
		if o := &v.state.Objects[i]; s.has(o.Ref) {
			address(o.Address)
		}
	}
	for i := range v.memory.Pins {
		if p := &v.memory.Pins[i]; s.has(p.Ref) {
			address(p.Address)
		}
	}
	return names, claims
}

// addresses returns the address of an entry and those that it may have instead.
func addresses(d *plan.Desired) []string {
	out := slices.Clone(d.Options.Values(plan.AddressField))
	if d.Address != "" {
		out = append(out, d.Address)
	}
	return out
}

// textsOf returns the names under which the owner of an address or fact may be found.
func textsOf(text string) []string {
	out := []string{text}
	if local, _, ok := strings.Cut(text, "@"); ok {
		out = append(out, local)
	}
	return out
}

func addressClaim(address string) string { return "address " + address }

func rekeyClaim(k directory.Kind, rekey string) string {
	return "rekey " + k.String() + " " + strings.ToLower(rekey)
}

// referenceClaim is the claim of the entries with a field that depends on the entry with a DN.
func referenceClaim(dn string) string { return "reference " + mapping.DNKey(dn) }

// owners returns the entries that the anchors of the objects name. Members of a group that carry no known anchor are
// looked up among all links, because a link is found by its entry only.
func (t tenant) owners(ctx context.Context, v *view) ([]directory.Ref, error) {
	known := map[string]bool{}
	for _, link := range v.links {
		known[link.RemoteID] = true
	}
	var out []directory.Ref
	unknown := map[string]bool{}
	for i := range v.state.Objects {
		o := &v.state.Objects[i]
		known[o.RemoteID] = true
		if o.Anchored() {
			out = append(out, o.Ref)
		}
		mark(unknown, o.Members...)
	}
	maps.DeleteFunc(unknown, func(id string, _ bool) bool { return known[id] })
	if len(unknown) == 0 {
		return out, nil
	}
	all, err := t.cfg.Ledger.Links(ctx)
	for ref, link := range all {
		if unknown[link.RemoteID] {
			out = append(out, ref)
		}
	}
	return out, err
}

// countOthers tells the guards how many more objects there are.
func (v *view) countOthers() {
	rest := v.facts.Linked
	for i := range v.state.Objects {
		switch o := &v.state.Objects[i]; {
		case !o.Anchored():
		case o.Kind == directory.User:
			rest.User--
		default:
			rest.Group--
		}
	}
	v.state.Others = plan.Tally{User: max(0, rest.User), Group: max(0, rest.Group), Membership: rest.Membership}
}

// claims returns the claims of all entries that their names do not tell.
func (a *applier) claims() ledger.Claims {
	out := ledger.Claims{}
	entries := a.view.snapshot.Entries
	here := make(map[directory.Ref]bool, len(entries))
	for i := range a.view.desired.Desired {
		d := &a.view.desired.Desired[i]
		for len(entries) > 0 && entries[0].Ref().Compare(d.Ref) < 0 {
			entries = entries[1:]
		}
		if len(entries) == 0 || entries[0].Ref() != d.Ref {
			continue
		}
		here[d.Ref] = true
		names := entries[0].Names()
		told := func(text string) bool {
			return slices.ContainsFunc(textsOf(text), func(t string) bool {
				return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(strings.TrimSpace(n), t) })
			})
		}
		for _, address := range addresses(d) {
			if !told(address) {
				out[addressClaim(address)] = append(out[addressClaim(address)], d.Ref)
			}
		}
		if d.Rekey != "" && !told(d.Rekey) {
			out[rekeyClaim(d.Kind, d.Rekey)] = append(out[rekeyClaim(d.Kind, d.Rekey)], d.Ref)
		}
	}
	for ref, dns := range a.view.desired.References {
		for _, dn := range dns {
			out[referenceClaim(dn)] = append(out[referenceClaim(dn)], ref)
		}
	}
	for ref := range a.view.links {
		if link := a.link(ref); link.Rekey != "" && !here[ref] { // The names of an entry that left may be forgotten.
			out[rekeyClaim(ref.Kind, link.Rekey)] = append(out[rekeyClaim(ref.Kind, link.Rekey)], ref)
		}
	}
	return out
}

// linked counts the links after the run.
func (a *applier) linked() plan.Tally {
	counts := a.report.Apply.Counts
	t := plan.Tally{Membership: max(counts.Anchored.Membership, counts.Desired.Membership)}
	lost := make(map[directory.Ref]bool, len(a.lost))
	mark(lost, a.lost...)
	count := func(ref directory.Ref, link plan.Link) {
		switch {
		case lost[ref] || link.RemoteID == "":
		case ref.Kind == directory.User:
			t.User++
		default:
			t.Group++
		}
	}
	for ref, link := range a.links {
		count(ref, link)
	}
	for ref, link := range a.view.links {
		if _, newer := a.links[ref]; !newer {
			count(ref, link)
		}
	}
	return t
}

// mark adds keys to a set.
func mark[K comparable](set map[K]bool, keys ...K) {
	for _, k := range keys {
		set[k] = true
	}
}
