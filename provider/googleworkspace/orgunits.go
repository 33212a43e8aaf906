package googleworkspace

import (
	"context"
	"slices"
	"sync"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/plan"
)

// orgUnitField is the field that must be the path of an existing organizational unit.
const orgUnitField = "orgUnitPath"

// The list of organizational units is kept for unitsKept. An optional scope that was refused is not asked for during
// scopeRefused.
const (
	unitsKept    = 10 * time.Minute
	scopeRefused = time.Hour
)

// unitCache has the organizational units that were listed last.
type unitCache struct {
	api *admin.Service

	mu    sync.Mutex
	known []plan.KnownValues
	until time.Time
}

// knownUnits returns the paths of the organizational units, if the mapping sets them and the scope to list them was
// granted. The list is a help and no need, so every failure means that it is unknown.
func (p *Provider) knownUnits(ctx context.Context) []plan.KnownValues {
	if !slices.Contains(p.userFields, orgUnitField) {
		return nil
	}
	p.units.mu.Lock()
	defer p.units.mu.Unlock()
	if p.now().Before(p.units.until) {
		return p.units.known
	}
	var units *admin.OrgUnits
	err := p.call(ctx, "orgunits.list", func(ctx context.Context) (err error) {
		units, err = p.units.api.Orgunits.List(p.cfg.Customer).Type("all").
			Fields("organizationUnits(orgUnitPath)").Context(ctx).Do()
		return err
	})
	if err == nil {
		err = haveIDs("orgunits.list", units.OrganizationUnits,
			func(u *admin.OrgUnit) string { return u.OrgUnitPath })
	}
	if err != nil {
		p.units.known, p.units.until = nil, p.now().Add(scopeRefused)
		return nil
	}
	paths := []string{"/"} // The list does not contain the root.
	for _, u := range units.OrganizationUnits {
		paths = append(paths, u.OrgUnitPath)
	}
	p.units.known = []plan.KnownValues{{Field: orgUnitField, Noun: "organizational unit", Values: paths}}
	p.units.until = p.now().Add(unitsKept)
	return p.units.known
}
