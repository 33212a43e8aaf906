package boot

import (
	"context"
	"errors"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/container"
	"rollcall/internal/console"
	"rollcall/internal/session"
	"rollcall/ledger"
	"rollcall/plan"
	"rollcall/provider/pace"
)

// console returns what makes the web pages behind the API.
func (a *App) console(known session.Tokens, log audit.Sink) (func(*api.API) (api.Page, error), error) {
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
	desk := session.New(session.Config{Redis: a.Redis, Tokens: known, Home: console.Home, SignIn: console.SignIn,
		SignOut: console.SignOut, Log: a.Log, Audit: log})
	return func(acts *api.API) (api.Page, error) {
		return console.New(console.Config{
			API: acts, Desk: desk, Status: a.Status, Decisions: a.Decisions, Log: a.Log, Facts: a.facts, Policy: a.policy,
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
