package googleworkspace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider/remote"
)

// Check tests the prerequisites of a run without writing. These are an access token with every scope, the domains,
// the delegated subject's rights, and a first page of users, groups and members. It returns a line for each success.
// The error joins the failures, each with advice.
func (p *Provider) Check(ctx context.Context) ([]string, error) {
	c := &check{p: p, ctx: ctx}
	// The token is requested with all scopes at once, so any answer to the first call shows that all are delegated.
	if !c.domains() {
		return c.good, errors.Join(c.bad...)
	}
	c.subject()
	c.lists()
	c.schemas()
	c.room()
	c.sessions()
	return c.good, errors.Join(c.bad...)
}

type check struct {
	p    *Provider
	ctx  context.Context
	good []string
	bad  []error
}

func (c *check) ok(format string, args ...any) { c.good = append(c.good, fmt.Sprintf(format, args...)) }

func (c *check) wrong(err error, advice string) {
	c.bad = append(c.bad, fmt.Errorf("%w: %s", err, advice))
}

// domains checks the domains and reports whether further checks make sense.
func (c *check) domains() bool {
	names, err := c.p.readDomains(c.ctx)
	if err != nil {
		if e, ok := errors.AsType[*fault.Error](err); ok && e.Op == remote.TokenOp {
			c.bad = append(c.bad, err) // The error contains its advice.
			c.scopes(err)
		} else {
			c.wrong(err, "enable the Admin SDK API in the service account's project, "+
				"and give the delegated subject an administrator role that may read domains")
		}
		return false
	}
	c.ok("access token with all scopes; verified domains: %s", remote.Clean(strings.Join(names, ", ")))
	if d := c.p.cfg.DefaultGroupEmailDomain; !slices.Contains(names, d) {
		c.bad = append(c.bad,
			fault.Errorf(fault.Invalid, "default_group_email_domain: %s is not a verified domain of this account", d))
	}
	return true
}

// scopes names the scopes that the delegation lacks. Google's refusal of all of them names none.
func (c *check) scopes(refused error) {
	if !strings.Contains(refused.Error(), unauthorized) {
		return
	}
	var missing []string
	for _, scope := range Scopes {
		switch err := c.p.granted(scope); {
		case fault.KindOf(err) == fault.Denied:
			missing = append(missing, scope)
		case err != nil:
			return
		}
	}
	switch len(missing) {
	case 0: // The delegation was changed between the requests.
	case len(Scopes):
		c.bad = append(c.bad, fault.Errorf(fault.Denied, "the delegation has none of the scopes: compare its client ID with "+
			"client_id in credentials_file; a new delegation may take up to 24 hours"))
	default:
		c.bad = append(c.bad, fault.Errorf(fault.Denied, "the delegation lacks: %s", strings.Join(missing, ",")))
	}
}

func (c *check) subject() {
	subject := c.p.cfg.DelegatedSubject
	u, found, err := c.p.getUser(c.ctx, subject, nil)
	switch {
	case err != nil:
		c.wrong(err, "the delegated subject needs an administrator role that may read users")
	case !found:
		c.bad = append(c.bad, fault.Errorf(fault.Denied, "delegated_subject: the user %s does not exist", subject))
	case !u.IsAdmin && !u.IsDelegatedAdmin:
		c.bad = append(c.bad, fault.Errorf(fault.Denied, "delegated_subject: %s is not an administrator", subject))
	case u.IsAdmin:
		c.ok("%s is a super administrator", subject)
	default:
		c.ok("%s is a delegated administrator; it needs the rights to read, create, update and delete users and groups",
			subject)
	}
}

// room says what is visible of the limits of the account.
func (c *check) room() {
	if slices.Contains(c.p.userFields, orgUnitField) {
		if known := c.p.knownUnits(c.ctx); known != nil {
			c.ok("%d organizational units can be read", len(known[0].Values))
			c.unit(known[0].Values)
		} else {
			c.ok("organizational units are not visible: the optional scope %s was not granted, so an unknown one is named "+
				"when Google refuses it", UnitScope)
		}
	}
	c.ok("free licences are not visible to the Directory API: compare Billing, Subscriptions in the Admin console with " +
		"what `rollcall plan` creates")
}

// unit reports a mapping of orgUnitPath to one unit that does not exist. The plan names those of single people.
func (c *check) unit(known []string) {
	path := strings.TrimSpace(c.p.cfg.UserPropertyMappings[orgUnitField])
	if len(path) < 2 || path[0] != path[len(path)-1] || !strings.Contains("\"'`", path[:1]) {
		return
	}
	path = path[1 : len(path)-1]
	if strings.HasPrefix(path, "/") && !strings.ContainsAny(path, "\"'`\\") &&
		!slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, path) }) {
		c.bad = append(c.bad, fault.Errorf(fault.Invalid, "user_property_mappings.%s: the tenant has no organizational unit "+
			"%q: create it (Directory, Organizational units) or correct the path", orgUnitField, path))
	}
}

// lists reads one user, one group and one member.
func (c *check) lists() {
	err := c.p.call(c.ctx, "users.list", func(ctx context.Context) error {
		_, err := c.p.api.Users.List().Customer(c.p.cfg.Customer).MaxResults(1).Fields("users(id)").Context(ctx).Do()
		return err
	})
	if err != nil {
		c.wrong(err, "the delegated subject needs the privilege Users, Read, in the whole organization")
	} else {
		c.ok("users can be listed")
	}
	var groups *admin.Groups
	err = c.p.call(c.ctx, "groups.list", func(ctx context.Context) (err error) {
		groups, err = c.p.api.Groups.List().Customer(c.p.cfg.Customer).MaxResults(1).Fields("groups(id)").Context(ctx).Do()
		return err
	})
	if err != nil {
		c.wrong(err, "the delegated subject needs the privilege Groups")
		return
	}
	c.ok("groups can be listed")
	if len(groups.Groups) == 0 {
		return
	}
	err = c.p.call(c.ctx, "members.list", func(ctx context.Context) error {
		_, err := c.p.api.Members.List(groups.Groups[0].Id).MaxResults(1).Fields("members(id)").Context(ctx).Do()
		return err
	})
	if err != nil {
		c.wrong(err, "the delegated subject needs the privilege Groups")
		return
	}
	c.ok("members can be listed")
}

// domainsKept is how long writes use a list of domains. A full read always fetches it.
const domainsKept = 10 * time.Minute

type domainCache struct {
	now func() time.Time

	mu    sync.Mutex
	at    time.Time
	names []string
}

func (c *domainCache) get() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at.IsZero() || c.now().Sub(c.at) > domainsKept {
		return nil
	}
	return c.names
}

func (c *domainCache) set(names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.names = c.now(), names
}

// readDomains lists the verified domains of the account, in lower case.
func (p *Provider) readDomains(ctx context.Context) ([]string, error) {
	var list *admin.Domains2
	err := p.call(ctx, "domains.list", func(ctx context.Context) (err error) {
		list, err = p.api.Domains.List(p.cfg.Customer).Fields("domains(domainName,verified)").Context(ctx).Do()
		return err
	})
	if err == nil {
		err = haveIDs("domains.list", list.Domains, func(d *admin.Domains) string { return d.DomainName })
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range list.Domains {
		if d.Verified {
			names = append(names, strings.ToLower(d.DomainName))
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		return nil, fault.Errorf(fault.Unavailable,
			"domains.list: the account has no verified domain, although the delegated subject needs one")
	}
	p.domains.set(names)
	return names, nil
}

// verifiedDomains returns the verified domains as of the last few minutes.
func (p *Provider) verifiedDomains(ctx context.Context) ([]string, error) {
	if names := p.domains.get(); names != nil {
		return names, nil
	}
	return p.readDomains(ctx)
}

// checkDomain returns an error for an address outside the verified domains.
func (p *Provider) checkDomain(ctx context.Context, address string) error {
	names, err := p.verifiedDomains(ctx)
	if err != nil {
		return err
	}
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" {
		return fault.Errorf(fault.Invalid, "%q is not an address", address)
	}
	if !slices.Contains(names, strings.ToLower(domain)) {
		return fault.Errorf(fault.Invalid, "%s is not in a verified domain of this account (%s)", address,
			strings.Join(names, ", "))
	}
	return nil
}

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
