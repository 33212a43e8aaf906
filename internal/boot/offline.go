package boot

import (
	"context"
	"sync"

	"rollcall/directory"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
	"rollcall/status"
)

// Offline plans a container without Redis and without writing anywhere: for a provider its sources are read into a
// local directory that lives in this process, and only then is the provider planned. App must be connected to Embedded.
func (a *App) Offline(ctx context.Context, name string) (reconcile.Report, []string, error) {
	all, err := a.Containers()
	if err != nil {
		return reconcile.Report{}, nil, err
	}
	c, err := Container(all, name)
	if err != nil {
		return reconcile.Report{}, nil, err
	}
	said := &listener{}
	if c.Name.Kind() != status.LDAP {
		for _, slug := range c.Sources {
			if err := fill(ctx, all, slug, said); err != nil {
				return reconcile.Report{}, said.lines, err
			}
		}
	}
	report, err := c.Engine().Plan(ctx)
	return report, said.lines, err
}

func fill(ctx context.Context, all []jobs.Container, slug string, said *listener) error {
	source, err := Container(all, "ldap:"+slug)
	if err != nil {
		return err
	}
	said.prefix = string(source.Name) + ": "
	_, err = source.Engine().Execute(ctx, reconcile.Run{ID: "plan", Gate: open{}, Journal: said})
	return err
}

// open is the gate of a process that is alone.
type open struct{}

func (open) Check(ctx context.Context) error { return ctx.Err() }
func (open) Lock(ctx context.Context, _ string) (func(), bool, error) {
	return func() {}, true, ctx.Err()
}
func (open) Spent(context.Context) (plan.Budget, error)                { return plan.Budget{}, nil }
func (open) Pins(context.Context) ([]plan.Pin, error)                  { return nil, nil }
func (open) Pin(context.Context, []plan.Pin) error                     { return nil }
func (open) Repin(context.Context, []plan.Pin, []directory.Ref) error  { return nil }
func (open) Verdicts(context.Context) (map[string]plan.Verdict, error) { return nil, nil }
func (open) Spend(context.Context, *plan.Change, int) (func(bool), bool, error) {
	return func(bool) {}, true, nil
}
func (open) Draining() <-chan struct{} { return nil }

// listener keeps what a person should read.
type listener struct {
	mu     sync.Mutex
	prefix string
	lines  []string
}

func (l *listener) Read(int, int, int)                                  {}
func (l *listener) Planned(context.Context, plan.Plan, plan.Plan) error { return nil }
func (l *listener) Done(*plan.Change, provider.Result)                  {}

func (l *listener) Say(level reconcile.Level, event string, attributes map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := l.prefix + event
	if dn, ok := attributes["dn"].(string); ok && dn != "" {
		line += " (" + dn + ")"
	}
	l.lines = append(l.lines, line)
}
