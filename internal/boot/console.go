package boot

import (
	"context"
	"errors"
	"strings"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/internal/console"
	"rollcall/internal/session"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider/pace"
)

// console returns what makes the web pages behind the API.
func (a *App) console(known session.Tokens, people *session.People, log audit.Sink) (func(*api.API) (api.Page, error),
	error) {
	limits := map[container.ID][]quota{}
	for i := range a.Config.Providers {
		p := &a.Config.Providers[i]
		if !p.On() {
			continue
		}
		quotas, err := a.quotas(p)
		if err != nil {
			return nil, err
		}
		limits[p.Container()] = quotas
	}
	return func(acts *api.API) (api.Page, error) {
		desk := session.New(session.Config{Redis: a.Redis, Tokens: known, Home: console.Home, SignIn: console.SignIn,
			SignOut: console.SignOut, People: people, PeopleAt: console.SignIn, Signatures: a.signatures(), Log: a.Log,
			Audit: log, Refused: acts.RefuseToken, Client: acts.Client})
		return console.New(console.Config{
			API: acts, Desk: desk, Status: a.Status, Decisions: a.Decisions, Log: a.Log, Policy: a.policy,
			Ledger: func(c container.ID) *ledger.Redis { return ledger.NewRedis(a.Redis, string(c)) },
			Search: a.search, Entries: a.known,
			Quotas: func(ctx context.Context, c container.ID) ([]pace.State, error) { return used(ctx, limits[c]) },
		})
	}, nil
}

// facts returns the stored facts of a container.
func (a *App) facts(c container.ID) api.Facts { return ledger.NewRedis(a.Redis, string(c)) }

// policy returns the leaver policy of a provider.
func (a *App) policy(c container.ID) (plan.Policy, bool) {
	p := a.Config.Provider(c)
	if p == nil {
		return plan.Policy{}, false
	}
	return p.Policy(), true
}

// used returns the use of every limit of a tenant.
func used(ctx context.Context, quotas []quota) (out []pace.State, err error) {
	for _, q := range quotas {
		states, problem := q.States(ctx)
		for _, s := range states {
			s.Bucket = q.Lane(s.Bucket)
			out = append(out, s)
		}
		err = errors.Join(err, problem)
	}
	return out, err
}

// search finds entries of every source by the beginning of a name, an address or an id.
func (a *App) search(ctx context.Context, text string, limit int) ([]console.Found, bool, error) {
	found, whole, err := a.reader(a.allSlugs()).Search(ctx, text, limit)
	out := make([]console.Found, len(found))
	for i, m := range found {
		out[i] = console.Found{Ref: m.Ref, Label: m.Label, Name: m.Name, Source: m.Source, Departed: m.Departed}
	}
	return out, whole, err
}

func (a *App) allSlugs() []string {
	out := make([]string, len(a.Config.Sources.LDAP))
	for i := range a.Config.Sources.LDAP {
		out[i] = a.Config.Sources.LDAP[i].Slug
	}
	return out
}

// known returns what the local directory says of entries.
func (a *App) known(ctx context.Context, refs []directory.Ref) (map[directory.Ref]console.Known, error) {
	out := make(map[directory.Ref]console.Known, len(refs))
	for _, slug := range a.allSlugs() {
		found, err := a.part(slug).Labels(ctx, refs)
		if err != nil {
			return nil, err
		}
		for ref, n := range found {
			if _, has := out[ref]; !has {
				_, unit, _ := strings.Cut(n.DN, ",")
				out[ref] = console.Known{Label: n.Label, Unit: unit}
			}
		}
	}
	return out, nil
}
