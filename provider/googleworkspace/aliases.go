package googleworkspace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider/remote"
)

// foundMark precedes the digest of an alias that the account had already. It is wanted, and another party added it, so
// it is never removed. Such a party is also Google, which keeps a former primary address as an alias.
const foundMark = "~"

// aliasMarks are the aliases that the mapping gave to an account, by digest. The value says whether we added them.
func (m marks) aliasMarks() map[string]bool {
	out := map[string]bool{}
	for mark := range strings.SplitSeq(m.owned[plan.AliasesField], "+") {
		if found, was := strings.CutPrefix(mark, foundMark); found != "" {
			out[found] = !was
		}
	}
	return out
}

// readAliases returns the aliases of an account that the mapping gave to it.
func readAliases(u *admin.User, m marks) []string {
	known := m.aliasMarks()
	return slices.DeleteFunc(aliases(u.PrimaryEmail, u.Aliases),
		func(alias string) bool { _, ok := known[digest(alias)]; return !ok })
}

// aliasEdit is what one write changes among the aliases of an account.
type aliasEdit struct{ remove, add []string }

// setAliases plans the aliases of a write, and notes in the marks which are ours.
func (e *edit) setAliases(wanted []string) {
	known, have := e.marks.aliasMarks(), aliases("", e.current.Aliases, []string{e.current.PrimaryEmail})
	var marks []string
	for _, alias := range wanted {
		mark := digest(alias)
		ours := known[mark]
		switch {
		case !slices.Contains(have, alias):
			e.aliases.add = append(e.aliases.add, alias)
		case !ours:
			mark = foundMark + mark
		}
		marks = append(marks, mark)
	}
	for _, alias := range have {
		if known[digest(alias)] && !slices.Contains(wanted, alias) && !strings.EqualFold(alias, e.current.PrimaryEmail) {
			e.aliases.remove = append(e.aliases.remove, alias)
		}
	}
	if delete(e.marks.owned, plan.AliasesField); len(marks) > 0 {
		slices.Sort(marks)
		e.marks.owned[plan.AliasesField] = strings.Join(marks, "+")
	}
	e.marked = true
}

// write removes aliases, writes the user and adds aliases, in this order. An alias of ours thus has its mark as long as
// it exists.
func (p *Provider) write(ctx context.Context, c *plan.Change, e *edit, withMarks bool) error {
	for _, alias := range e.aliases.remove {
		if err := p.deleteAlias(ctx, &holder{kind: directory.User, id: c.RemoteID}, alias); err != nil {
			return err
		}
	}
	body := e.seal(withMarks)
	if err := p.putUser(ctx, c, body); err != nil {
		return err
	}
	return p.addAliases(ctx, c.RemoteID, e.aliases.add)
}

// addAliases adds aliases to a user. Each is tried, and the error joins the refusals.
func (p *Provider) addAliases(ctx context.Context, id string, list []string) error {
	var errs []error
	for _, alias := range list {
		err := p.callAs(ctx, "users.aliases.insert", p.settling(true, false, id), func(ctx context.Context) error {
			_, err := p.api.Users.Aliases.Insert(id, &admin.Alias{Alias: alias}).Fields("id").Context(ctx).Do()
			return err
		})
		if err == nil {
			continue
		}
		if !remote.OfOneObject(err) {
			return err
		}
		if status, _ := code(err); status == http.StatusConflict {
			if err = p.aliasTaken(ctx, id, alias); err == nil {
				continue
			}
		}
		errs = append(errs, fmt.Errorf("alias %s: %w", alias, err))
	}
	if len(errs) == 0 {
		return nil
	}
	return fault.New(fault.Conflict, "", errors.Join(errs...))
}

// aliasTaken names the object that has an address. It returns nil if this is the user itself.
func (p *Provider) aliasTaken(ctx context.Context, id, alias string) error {
	h, err := p.find(ctx, directory.User, alias)
	switch {
	case err != nil:
		return err
	case h == nil:
		return fault.Errorf(fault.Conflict,
			"an object that is not visible has the address, or an earlier change of the address is still settling")
	case h.kind == directory.User && h.id == id:
		return nil
	}
	return fault.Errorf(fault.Conflict, "%s has the address", h)
}
