package googleworkspace

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
)

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
