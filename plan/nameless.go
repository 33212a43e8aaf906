package plan

import (
	"fmt"
	"strings"

	"rollcall/directory"
)

// Nameless has the entries that a source gave without a readable ID, by what they show. A known entry that is absent
// may be one of them. It is then no departure.
type Nameless map[string]*directory.Finding

// FindNameless returns the findings without an ID. Nil means that there are none.
func FindNameless(findings []directory.Finding) Nameless {
	var n Nameless
	for i := range findings {
		f := &findings[i]
		if f.ID != "" {
			continue
		}
		if n == nil {
			n = Nameless{}
		}
		shown := attributeFacts(f.Kind, f.Attributes)
		if len(shown) == 0 { // It may have moved, and shows nothing else.
			shown = append(shown, fact(factRDN, f.Kind, firstRDN(f.DN)))
		}
		for _, s := range append(shown, fact(factDN, f.Kind, f.DN)) {
			n[s] = f
		}
	}
	return n
}

// Present notes an entry with a readable ID. What it shows tells nothing about others.
func (n Nameless) Present(k directory.Kind, fields directory.Attributes) {
	if len(n) == 0 {
		return
	}
	for _, f := range attributeFacts(k, fields) {
		delete(n, f)
	}
}

// Of returns the entry without an ID that an absent entry may be, or nil. fields are what was known of it.
func (n Nameless) Of(k directory.Kind, fields directory.Attributes) *directory.Finding {
	if len(n) == 0 {
		return nil
	}
	for _, f := range append(attributeFacts(k, fields), fact(factRDN, k, firstRDN(fields.Get(MirrorDN)))) {
		if found := n[f]; found != nil {
			return found
		}
	}
	return nil
}

// factRDN is the fact of an entry that shows nothing but its DN.
const factRDN = "rdn "

// firstRDN returns the first part of a DN as it is written.
func firstRDN(dn string) string {
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',':
			return dn[:i]
		}
	}
	return dn
}

// nameless holds the absent entries that may be among those without a readable ID. All others leave. Where too many
// known entries lost their ID, it is more likely hidden, and everything is in doubt (laws 10 and 13).
func (c *computer) nameless() {
	if !c.in.Capabilities.Mirror || len(c.only) > 0 {
		return
	}
	nameless := FindNameless(c.in.Findings)
	if nameless == nil {
		return
	}
	for i := range c.in.Desired {
		nameless.Present(c.in.Desired[i].Kind, c.in.Desired[i].Fields)
	}
	lost := map[directory.Kind]int{}
	for i := range c.in.State.Objects {
		o := &c.in.State.Objects[i]
		if !o.Anchored() || c.desired[o.Ref] != nil || c.unusable[o.Ref] {
			continue
		}
		f := nameless.Of(o.Kind, o.Fields)
		if f == nil {
			continue
		}
		lost[o.Kind]++
		c.unusable[o.Ref] = true
		c.report(o.Ref, c.label(o), Unusable, "no entry has its unique id, and %s has no readable one and may be it: "+
			"it stays as it is until that entry is repaired or deleted", strings.TrimSpace(f.Label+" ("+f.DN+")"))
	}
	for _, k := range directory.Kinds {
		if had := c.plan.Counts.Anchored.Of(k); fellFar(had, had-lost[k]) {
			c.plan.Doubts = append(c.plan.Doubts, fmt.Sprintf("%d of %d known %ss no longer have a readable unique id "+
				"(see the findings): the account that reads the source may not see it", lost[k], had, k))
		}
	}
}
