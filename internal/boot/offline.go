package boot

import (
	"context"
	"sync"

	"rollcall/container"
	"rollcall/jobs"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// Offline plans a container without Redis and without writing to any system. For a provider it first reads the
// sources into a local directory in this process. The App must be connected to Embedded.
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
	if c.Name.Kind() != container.LDAP {
		for _, slug := range c.Sources {
			if _, err := fill(ctx, all, container.Source(slug), said); err != nil {
				return reconcile.Report{}, said.lines, err
			}
		}
	}
	report, err := c.Engine().Plan(ctx)
	return report, said.lines, err
}

// fill reads a source into the local directory.
func fill(ctx context.Context, all []jobs.Container, id container.ID, said *listener) (reconcile.Report, error) {
	source, err := Container(all, id.String())
	if err != nil {
		return reconcile.Report{}, err
	}
	said.prefix = id.String() + ": "
	run := reconcile.Run{ID: "plan", Scope: reconcile.Full(), Lease: open{}, Journal: said}
	return source.Engine().Execute(ctx, run)
}

// open is the lease of a process that is alone.
type open struct{}

func (open) Check(ctx context.Context) error { return ctx.Err() }
func (open) Lock(ctx context.Context, _ string) (func(), bool, error) {
	return func() {}, true, ctx.Err()
}
func (open) Draining() <-chan struct{} { return nil }

// listener keeps messages.
type listener struct {
	mu     sync.Mutex
	prefix string
	lines  []string
}

func (l *listener) Read(int, int, int)                                  {}
func (l *listener) Planned(context.Context, plan.Plan, plan.Plan) error { return nil }
func (l *listener) Done(*plan.Change, provider.Result)                  {}
func (l *listener) Applied(*reconcile.Report, error)                    {}

func (l *listener) Say(_ reconcile.Level, event string, _ map[string]any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, l.prefix+event)
}
