package simulate

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/internal/redisclock"
	"rollcall/jobs"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/reconcile"
	"rollcall/status"
)

const (
	corp  = container.ID("ldap:corp")
	cloud = container.ID("google_workspace:1")
)

// every is the schedule of the source.
const every = 10 * time.Minute

// mappings are those of the two configurations: without a filter, and for staff only.
var mappings = sync.OnceValue(func() (out [2]*mapping.Mapping) {
	for i, filter := range []string{"", `description != "` + extern + `"`} {
		m, err := mapping.Compile(mapping.Spec{
			UserAddress: "mail", GroupAddress: `cn + "@" + domain`,
			User:  []mapping.Field{{Name: "title", Default: "description"}},
			Group: []mapping.Field{{Name: "name", Default: "cn"}},
		}, mapping.Options{Domain: domain, UserFilter: filter})
		if err != nil {
			panic(err)
		}
		out[i] = m
	}
	return out
})

// process is a worker, or the API.
type process struct {
	gate

	sim       *sim
	name      string
	rdb       *redis.Client
	clock     *redisclock.Clock
	measure   func(context.Context) error
	status    *status.Store
	decisions *decisions.Store
	client    *jobs.Client
	api       *api.API     // nil in a worker
	worker    *jobs.Worker // nil in the API
	staff     bool         // its configuration
	end       func()
}

// newProcess connects a process with a clock that is off.
func (s *sim) newProcess(name string, skew time.Duration) *process {
	p := &process{sim: s, name: name, staff: s.past.now().staff}
	p.rdb = redis.NewClient(&redis.Options{
		Dialer: func(context.Context, string, string) (net.Conn, error) {
			conn, err := s.redis.Dial()
			return wide{conn}, err
		},
		PoolSize: 200, DisableIdentity: true, Protocol: 2, MaxRetries: -1,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	p.rdb.AddHook(redisHook{gate: &p.gate, hazards: s.hazards, server: s.redis})
	p.clock = redisclock.New(p.rdb, func() time.Time { return time.Now().Add(skew) })
	ctx, stop := context.WithCancel(context.Background())
	var kept sync.WaitGroup
	p.measure = func(context.Context) error { return nil } // An unmeasured clock shows the time of its host.
	if skew != 0 {
		p.measure = p.clock.Measure
		_ = p.measure(ctx)
		kept.Go(func() { p.clock.Keep(ctx) })
	}
	p.status = status.New(p.rdb, status.Config{Now: p.clock.Now})
	p.decisions = decisions.New(p.rdb, decisions.Config{Now: p.clock.Now})
	p.client = jobs.NewClient(p.rdb, p.status)
	p.end = func() { stop(); kept.Wait(); _ = p.rdb.Close() }
	return p
}

// wide is a connection that takes a long pipeline at once, as a socket does. Miniredis answers the first commands of a
// pipeline before it reads the last ones, and a net.Pipe would stop both ends then.
type wide struct{ net.Conn }

// Write implements net.Conn. The client writes again only after it has read all answers.
func (w wide) Write(b []byte) (int, error) {
	if len(b) < 1<<10 {
		return w.Conn.Write(b)
	}
	b = slices.Clone(b)
	go func() { _, _ = w.Conn.Write(b) }()
	return len(b), nil
}

// start starts a worker, as the program does: it ends when its worker does not start, and is started again.
func (p *process) start() {
	for {
		w, err := jobs.NewWorker(jobs.WorkerConfig{
			Redis: p.rdb, Status: p.status, Decisions: p.decisions, Containers: p.containers(), Name: p.name,
			Now: p.clock.Now, Measure: p.measure, Skew: p.clock.Offset, TaskCheckInterval: 500 * time.Millisecond,
			ShutdownTimeout: 10 * time.Second,
		})
		if err != nil {
			panic(err)
		}
		p.worker = w
		if w.Start(context.Background()) == nil {
			return
		}
		w.Shutdown()
		if p.gate.pass() != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// leave ends a worker. A part that did not stop in time still uses the connection, which a program leaves open then.
func (p *process) leave() {
	p.worker.Shutdown()
	if p.worker.Hung() {
		p.sim.gone.Go(func() { time.Sleep(10 * time.Minute); p.end() })
		return
	}
	p.end()
}

func (p *process) containers() []jobs.Container {
	source := []string{"corp"}
	part := func() *store.Part {
		return store.New(store.Config{Redis: p.rdb, Slug: "corp", Now: p.clock.Now})
	}
	first, second := ledger.NewRedis(p.rdb, string(corp)), ledger.NewRedis(p.rdb, string(cloud))
	m := mappings()[0]
	if p.staff {
		m = mappings()[1]
	}
	engine := func(c reconcile.Config) *reconcile.Engine {
		c.Now = p.clock.Now
		p.feed(&c, part(), first, second)
		return reconcile.New(c)
	}
	return []jobs.Container{
		{Name: corp, Digest: "corp", Schedule: "@every " + every.String(), Watch: p.watch(part(), first),
			Engine: func() *reconcile.Engine {
				return engine(reconcile.Config{
					Source: directoryPort{p}, Provider: part(), Ledger: first, Container: string(corp),
					Desire: func(s directory.Snapshot, _ plan.State) (mapping.Result, error) {
						return mapping.Result{Desired: store.Desired(s)}, nil
					},
				})
			}},
		{Name: cloud, Digest: m.Digest(), Sources: source, Schedule: jobs.AfterSource, Engine: func() *reconcile.Engine {
			return engine(reconcile.Config{
				Source: copyPort{store.NewReader(part()), p}, Provider: tenantPort{p}, Ledger: second,
				Container: string(cloud), Policy: p.sim.policy, Scope: m.Digest(),
				Approval: p.sim.approval,
				Desire: func(s directory.Snapshot, state plan.State) (mapping.Result, error) {
					return m.Desire(mapping.Input{Snapshot: s, Domains: state.Domains})
				},
			})
		}},
	}
}

// directoryPort is the source as a process reads it.
type directoryPort struct{ *process }

// Read implements source.Source.
func (d directoryPort) Read(ctx context.Context, q directory.Query) (directory.Snapshot, error) {
	ago := d.sim.hazards.ago(atSource)
	began := d.sim.past.since(ago)
	s, err := call(ctx, &d.gate, d.sim.hazards, atSource, func() (directory.Snapshot, error) {
		c, version := d.sim.past.at(ago)
		s := c.snapshot(version)
		if d.sim.covers {
			s.Coverage = c.coverage()
		}
		return s, nil
	})
	if err != nil {
		return directory.Snapshot{}, err
	}
	if q.All() {
		if task, ok := asynq.GetTaskID(ctx); ok {
			d.sim.noteRead(task, began)
		}
		if kind, _ := d.sim.hazards.next(atSource + " " + short); kind != "" {
			s = d.without(s, len(s.Entries)/2)
		}
		return s, nil
	}
	return only(s, q.Refs), nil
}

// only returns the part of a snapshot that was asked for.
func only(all directory.Snapshot, refs []directory.Ref) directory.Snapshot {
	s := all
	s.Entries = nil
	for _, ref := range refs {
		found := false
		for _, e := range all.Entries {
			if e.Ref() == ref {
				s.Entries, found = append(s.Entries, e), true
			}
		}
		if !found {
			s.Absent = append(s.Absent, ref)
		}
	}
	return s
}

// without returns a snapshot that lacks one entry. It returns the whole where the local directory does not have the
// entry, because nothing can know then that the entry was ever there. That is so after a loss of Redis.
func (d directoryPort) without(all directory.Snapshot, at int) directory.Snapshot {
	gone := all.Entries[at].Ref()
	if d.sim.redis.HGet("rollcall:{"+string(corp)+"}:dir:"+gone.Kind.String(), string(gone.ID)) == "" {
		return all
	}
	s := all
	s.Entries = slices.Delete(slices.Clone(all.Entries), at, at+1)
	for i := range s.Entries {
		e := &s.Entries[i]
		e.Members = slices.DeleteFunc(slices.Clone(e.Members), func(m directory.Ref) bool { return m == gone })
	}
	return s
}

// copyPort is the local directory as the second hop reads it.
type copyPort struct {
	*store.Reader

	*process
}

// Read implements source.Source.
func (c copyPort) Read(ctx context.Context, q directory.Query) (directory.Snapshot, error) {
	if task, ok := asynq.GetTaskID(ctx); ok {
		c.sim.noteCopy(task)
	}
	return c.Reader.Read(ctx, q)
}

// tenantPort is the tenant as a process reads and writes it.
type tenantPort struct{ *process }

var _ provider.Restorer = tenantPort{}

// Capabilities implements provider.Provider.
func (t tenantPort) Capabilities() plan.Capabilities {
	return plan.Capabilities{BatchSize: 1, Concurrency: 3, UndeleteWithin: undeleteWithin}
}

// Read implements provider.Provider.
func (t tenantPort) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	return call(ctx, &t.gate, t.sim.hazards, atTenant, func() (plan.State, error) {
		return t.sim.tenant.read(func(a *account) bool {
			if len(q.Lookups) == 0 {
				return true
			}
			for _, l := range q.Lookups {
				if a.Ref == l.Ref || a.RemoteID == l.RemoteID || l.Address != "" && a.Address == l.Address {
					return true
				}
				for _, g := range l.Groups {
					if a.RemoteID == g.RemoteID {
						return true
					}
				}
			}
			return false
		}, q.Groups, q.Now), nil
	})
}

// Deleted implements provider.Restorer.
func (t tenantPort) Deleted(ctx context.Context) ([]plan.Deleted, error) {
	return call(ctx, &t.gate, t.sim.hazards, atTenant, func() ([]plan.Deleted, error) {
		return t.sim.tenant.undeletable(), nil
	})
}

// Apply implements provider.Provider.
func (t tenantPort) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	out := make([]provider.Result, len(batch))
	for i, c := range batch {
		out[i].RemoteID, out[i].Err = t.one(ctx, c)
	}
	return out
}

func (t tenantPort) one(ctx context.Context, c plan.Change) (string, error) {
	task, _ := asynq.GetTaskID(ctx)
	queue, _ := asynq.GetQueueName(ctx)
	if err := t.gate.pass(); err != nil {
		return "", err
	}
	if err := pace.Fenced(ctx); err != nil { // as the adapters do right before a request
		return "", err
	}
	r := request{at: time.Now(), worker: t.name, task: task, full: queue == jobs.FullQueue, change: c,
		copied: t.sim.copiedAt(task)}
	return call(ctx, &t.gate, t.sim.hazards, atTenant, func() (string, error) {
		r.late = ctx.Err() != nil
		return t.sim.tenant.write(r)
	})
}

func (p *process) String() string { return fmt.Sprintf("worker %s", p.name) }
