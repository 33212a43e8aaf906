package boot

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"rollcall/directory"
	"rollcall/internal/config"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/source/ldap"
)

// samples are the entries on the first pages of the sources that were checked, by the slug.
type samples map[string][]directory.Entry

// add stores the entries that a server showed. Several servers of one source have the same ones.
func (s samples) add(slug string, r *ldap.Report) {
	s[slug] = nil
	for _, e := range slices.Concat(r.Users.Entries, r.Groups.Entries) {
		e.Source = slug
		s[slug] = append(s[slug], e)
	}
}

// of returns a function that returns the entries of some sources.
func (s samples) of(slugs []string) func() []directory.Entry {
	return func() (out []directory.Entry) {
		for _, slug := range slugs {
			out = append(out, s[slug]...)
		}
		return out
	}
}

// foreseen are the reasons that a sample of the entries shows, whatever accounts the tenant has.
var foreseen = []plan.Reason{plan.ForeignDomain, plan.SameAddress, plan.BadMapping}

// foresee names entries that a sync would hold, because the tenant does not take their values or addresses.
func foresee(ctx context.Context, c *config.Provider, tenant provider.Provider, sample []directory.Entry) []string {
	if len(sample) == 0 {
		return nil
	}
	now := time.Now()
	// The entry does not exist. The answer has the tenant's domains.
	nothing := provider.Lookup{Ref: directory.Ref{Kind: directory.User, ID: directory.ID(uuid.NewString())}}
	state, err := tenant.Read(ctx, provider.Query{Lookups: []provider.Lookup{nothing}, Now: now})
	if err != nil {
		return []string{"warning: which addresses the tenant takes is not known: " + err.Error()}
	}
	r, err := c.Mapping.Desire(mapping.Input{Snapshot: directory.Snapshot{Entries: sample, Partial: true},
		Domains: state.Domains})
	if err != nil {
		return []string{"warning: the mapping fails: " + err.Error()}
	}
	p := plan.Compute(plan.Input{Desired: r.Desired, State: plan.State{Domains: state.Domains, Known: state.Known},
		Capabilities: tenant.Capabilities(), Policy: c.Settings.Policy(), Now: now})
	var lines []string
	for _, reason := range foreseen {
		var of []plan.Held
		for _, h := range p.Held {
			if h.Reason == reason {
				of = append(of, h)
			}
		}
		if len(of) > 0 {
			lines = append(lines, fmt.Sprintf("warning: entries on the first page that will be held (%s): %d, such as "+
				"%s %s: %s; `rollcall plan %s` names all", reason, len(of), of[0].Kind, plan.Clean(of[0].Label),
				plan.Clean(of[0].Detail), c.Container()))
		}
	}
	return lines
}
