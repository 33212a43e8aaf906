package entra

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/fault"
	"rollcall/provider"
	"rollcall/provider/remote"
)

const (
	// factsKept is how long reads use known domains and administrators.
	factsKept = 24 * time.Hour
	// domainsKept is how long writes use a list of domains.
	domainsKept = 10 * time.Minute
)

// facts are the domains and administrators of the tenant. They are read before writes, otherwise once a day.
type facts struct {
	mu   sync.Mutex
	have knowledge
}

// knowledge is the part of the facts that is kept.
type knowledge struct {
	Made      string    `json:"made"`
	Domains   []string  `json:"domains"`
	DomainsAt time.Time `json:"domains_at"`
	// Roles are the ids of the activated roles.
	Roles    []string  `json:"roles"`
	Admins   []string  `json:"admins"`
	AdminsAt time.Time `json:"admins_at"`
}

// known returns the facts, from the cache where another process may have read newer ones.
func (p *Provider) known(ctx context.Context) knowledge {
	p.facts.mu.Lock()
	defer p.facts.mu.Unlock()
	if p.opts.Cache == nil {
		return p.facts.have
	}
	blob, err := p.opts.Cache.Load(ctx, "tenant")
	var k knowledge
	if err == nil && blob != nil && json.Unmarshal(blob, &k) == nil && k.Made == p.made("") {
		if k.DomainsAt.After(p.facts.have.DomainsAt) {
			p.facts.have.Domains, p.facts.have.DomainsAt = k.Domains, k.DomainsAt
		}
		if k.AdminsAt.After(p.facts.have.AdminsAt) {
			p.facts.have.Roles, p.facts.have.Admins, p.facts.have.AdminsAt = k.Roles, k.Admins, k.AdminsAt
		}
	}
	return p.facts.have
}

// learn changes the facts and keeps them. A failure to keep them is ignored, because they are read again.
func (p *Provider) learn(ctx context.Context, change func(*knowledge)) {
	p.facts.mu.Lock()
	defer p.facts.mu.Unlock()
	change(&p.facts.have)
	if p.opts.Cache == nil {
		return
	}
	k := p.facts.have
	k.Made = p.made("")
	if blob, err := json.Marshal(k); err == nil {
		_ = p.opts.Cache.Save(ctx, "tenant", blob)
	}
}

// factsOf returns the verified domains and the administrators for a read.
func (p *Provider) factsOf(ctx context.Context) (domains []string, administrators map[string]bool, err error) {
	k := p.known(ctx)
	if domains = k.Domains; p.now().Sub(k.DomainsAt) >= factsKept {
		if domains, err = p.readDomains(ctx); err != nil {
			return nil, nil, err
		}
	}
	administrators, err = p.administrators(ctx, k)
	return domains, administrators, err
}

// administrators returns the administrators for a read.
func (p *Provider) administrators(ctx context.Context, k knowledge) (map[string]bool, error) {
	if p.now().Sub(k.AdminsAt) < factsKept {
		known := make(map[string]bool, len(k.Admins))
		for _, id := range k.Admins {
			known[id] = true
		}
		return known, nil
	}
	return p.readAdministrators(ctx)
}

// readDomains lists the verified domains, in lower case.
func (p *Provider) readDomains(ctx context.Context) ([]string, error) {
	names, _, err := p.listDomains(ctx)
	return names, err
}

// listDomains lists the verified domains and the others, in lower case.
func (p *Provider) listDomains(ctx context.Context) (names, unverified []string, err error) {
	err = p.listWhole(ctx, []*item{get("domains.list", "/domains?$select=id,isVerified")}, func(r raw) {
		name, verified := "", false
		take(r, "id", &name)
		name = strings.ToLower(name)
		switch take(r, "isVerified", &verified); {
		case name == "":
		case verified:
			names = append(names, name)
		default:
			unverified = append(unverified, name)
		}
	})
	if err != nil {
		return nil, nil, err
	}
	if len(names) == 0 {
		return nil, nil, fault.Errorf(fault.Unavailable, "domains.list: the tenant has no verified domain")
	}
	slices.Sort(names)
	p.learn(ctx, func(k *knowledge) { k.Domains, k.DomainsAt = names, p.now() })
	return names, unverified, nil
}

// writableDomains returns the verified domains as of the last few minutes.
func (p *Provider) writableDomains(ctx context.Context) ([]string, error) {
	p.facts.mu.Lock()
	names, fresh := p.facts.have.Domains, p.now().Sub(p.facts.have.DomainsAt) < domainsKept
	p.facts.mu.Unlock()
	if fresh {
		return names, nil
	}
	return p.readDomains(ctx)
}

// inDomain returns an error for an address outside the verified domains.
func inDomain(address string, names []string) error {
	local, domain, ok := strings.Cut(address, "@")
	if !ok || local == "" {
		return fault.Errorf(fault.Invalid, "%q is not an address", address)
	}
	if !slices.Contains(names, strings.ToLower(domain)) {
		return fault.Errorf(fault.Invalid, "%s is not in a verified domain of this tenant (%s)", address,
			remote.Clean(strings.Join(names, ", ")))
	}
	return nil
}

// readAdministrators returns the ids of the members of every activated role. The requests in others are sent together
// with its own, and their outcomes are left to the caller.
func (p *Provider) readAdministrators(ctx context.Context, others ...*item) (map[string]bool, error) {
	a := &roles{p: p, members: map[string]*item{}, ids: map[string]bool{}}
	for _, id := range p.known(ctx).Roles {
		a.ask(id)
	}
	list := get("directoryRoles.list", "/directoryRoles?$select=id")
	p.send(ctx, slices.Concat(others, []*item{list}, slices.Collect(maps.Values(a.members)))...)
	active, err := a.active(ctx, list)
	if err != nil {
		return nil, err
	}
	if err := a.collect(ctx, active); err != nil {
		return nil, err
	}
	p.learn(ctx, func(k *knowledge) {
		k.Roles, k.Admins, k.AdminsAt = active, slices.Sorted(maps.Keys(a.ids)), p.now()
	})
	return a.ids, nil
}

// roles reads the members of roles.
type roles struct {
	p       *Provider
	members map[string]*item // by role
	ids     map[string]bool
}

func (a *roles) ask(role string) {
	a.members[role] = get("directoryRoles.members", "/directoryRoles/"+role+"/members?$select=id")
}

// active returns the activated roles, and requests the members of those that were not known before.
func (a *roles) active(ctx context.Context, list *item) ([]string, error) {
	var active []string
	var unknown []*item
	err := a.p.finish(ctx, []*item{list}, func(r raw) {
		id := ""
		if take(r, "id", &id); !isObjectID(id) {
			return
		}
		active = append(active, id)
		if a.members[id] == nil {
			a.ask(id)
			unknown = append(unknown, a.members[id])
		}
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(active)
	a.p.send(ctx, unknown...)
	return active, nil
}

// collect gathers the members of the roles, and of the groups with a role.
func (a *roles) collect(ctx context.Context, active []string) error {
	var groups []string
	each := func(r raw) {
		id, kind := "", ""
		take(r, "id", &id)
		take(r, "@odata.type", &kind)
		a.ids[id] = true
		if strings.HasSuffix(kind, ".group") && isObjectID(id) {
			groups = append(groups, id)
		}
	}
	var first []*item
	for _, role := range active {
		first = append(first, a.members[role])
	}
	if err := a.p.finish(ctx, first, each); err != nil {
		return err
	}
	members, failed, err := a.p.listMembers(ctx, groups)
	for _, list := range members {
		for _, id := range list {
			a.ids[id] = true
		}
	}
	for _, group := range slices.Sorted(maps.Keys(failed)) {
		if err == nil && !notFound(failed[group]) { // Without these administrators no account may be suspended.
			err = fault.Errorf(fault.Denied, "the administrators in group %s cannot be read: %w", group, failed[group])
		}
	}
	return err
}

// Check tests the prerequisites of a run without writing. These are an access token, the domains, and a first page of
// users, groups, deleted users and administrators. Whether they may be written is read from the access token. It
// returns a line for each success. The error joins the failures, each with advice. The next run uses the domains, too.
func (p *Provider) Check(ctx context.Context) (good []string, err error) {
	domains, unverified, err := p.listDomains(ctx)
	if err != nil {
		e, ok := errors.AsType[*fault.Error](err)
		if !ok || e.Op == remote.TokenOp || fault.KindOf(err) != fault.Denied {
			return nil, err
		}
	} else {
		good = append(good, "access token for the tenant; verified domains: "+
			remote.Clean(strings.Join(domains, ", ")))
	}
	if len(unverified) > 0 {
		good = append(good, "domains that are not verified: "+strings.Join(unverified, ", ")+
			"; people with an address there are held until an administrator verifies the domain")
	}
	if token, err := p.tokens.get(ctx, ""); err == nil && token.roles != nil {
		good = append(good, permitted(token.roles))
	}
	bad := []error{err}
	for _, c := range []struct {
		what  string
		item  *item
		write string // the request that has to be permitted, too
	}{
		{"users can be read, with every mapped field",
			get("users.list", "/users?"+withManager(p.userFields)+"&$top=1"), "users.update"},
		{"groups can be read, with every mapped field",
			get("groups.list", "/groups?"+groupSelection(p.groupFields)+"&$top=1"), "groups.update"},
		{"deleted users can be read", get("deletedItems.list",
			"/directory/deletedItems/microsoft.graph.user?$select=id&$top=1"), "deletedItems.restore"},
	} {
		if p.send(ctx, c.item); c.item.err != nil {
			bad = append(bad, c.item.err)
			continue
		}
		good = append(good, c.what)
		if lacks(c.write, c.item.answer.token.roles) {
			bad = append(bad, fault.Errorf(fault.Denied, "%s: the access token does not permit it: %s", c.write,
				grant(c.write)))
		}
	}
	if administrators, err := p.readAdministrators(ctx); err != nil {
		bad = append(bad, err)
	} else {
		good = append(good, fmt.Sprintf("administrators can be read; the tenant has %d, which are never suspended or "+
			"deleted", len(administrators)))
	}
	if room, err := p.Room(ctx); err != nil {
		bad = append(bad, err)
	} else {
		good = append(good, room.String())
	}
	if err == nil {
		good = append(good, p.checkSessions(ctx))
	}
	return good, errors.Join(bad...)
}

// permitted compares the permissions in an access token with those that are needed. The checks of the requests say what
// follows from a missing one.
func permitted(roles []string) string {
	var missing []string
	for _, permission := range Permissions {
		for kind, enough := range needs {
			if enough[0] == permission && lacks(kind, roles) && !slices.Contains(missing, permission) {
				missing = append(missing, permission)
			}
		}
	}
	text := "permissions in the access token: " + cmp.Or(strings.Join(slices.Sorted(slices.Values(roles)), ", "), "none") +
		"; needed: " + strings.Join(Permissions, ", ")
	if len(missing) > 0 {
		text += "; missing: " + strings.Join(missing, ", ")
	}
	return text
}

// Room implements provider.Roomer. Graph v1.0 shows directorySizeQuota without documenting it there, so its absence
// and a refusal are no errors.
func (p *Provider) Room(ctx context.Context) (provider.Room, error) {
	it := get("organization.list", "/organization")
	var list struct {
		Value []struct {
			DirectorySizeQuota struct{ Used, Total int } `json:"directorySizeQuota"`
		} `json:"value"`
	}
	p.send(ctx, it)
	switch err := it.decode(&list); {
	case fault.KindOf(err).Retryable():
		return provider.Room{}, err
	case err != nil || len(list.Value) == 0:
		return provider.Room{}, nil
	}
	return provider.Room(list.Value[0].DirectorySizeQuota), nil
}
