package entra

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"rollcall/fault"
)

// Check tries what a run needs, without writing: an access token, the domains, and a first page of users, groups, members,
// deleted users and administrators. It returns a line for each thing that is right; the error joins what is wrong, each
// with what to do about it. What is learnt of the domains serves the next run: a domain that was verified today is known.
func (p *Provider) Check(ctx context.Context) (good []string, err error) {
	domains, err := p.readDomains(ctx)
	if err != nil {
		if e, ok := errors.AsType[*fault.Error](err); !ok || e.Op == tokenOp || fault.KindOf(err) != fault.Denied {
			return nil, err
		}
	} else {
		good = append(good, "access token for the tenant; verified domains: "+strings.Join(domains, ", "))
	}
	bad := []error{err}
	for _, c := range []struct {
		what string
		item *item
	}{
		{"users can be read, with every mapped field", get("users.list", "/users?"+userSelection(p.userFields)+"&$top=1")},
		{"groups can be read, with every mapped field", get("groups.list", "/groups?"+groupSelection(p.groupFields)+"&$top=1")},
		{"deleted users can be read", get("deletedItems.list", "/directory/deletedItems/microsoft.graph.user?$select=id&$top=1")},
	} {
		if p.send(ctx, c.item); c.item.err != nil {
			bad = append(bad, c.item.err)
			continue
		}
		good = append(good, c.what)
	}
	if administrators, err := p.readAdministrators(ctx); err != nil {
		bad = append(bad, err)
	} else {
		good = append(good, fmt.Sprintf("administrators can be read: there are %d, who are never suspended or deleted", len(administrators)))
	}
	return good, errors.Join(bad...)
}
