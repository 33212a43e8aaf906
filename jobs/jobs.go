// Package jobs puts work into asynq queues and carries it out. It is the only importer of asynq.
//
// asynq carries ids, and package status has the state of runs. A full run is one task that asynq never retries. This
// package decides and records the outcome of the run (completed, failed, deferred, handed back, taken over by another
// worker). The reaper, which every worker runs, puts a run back into the queue after its worker died. The package does
// not use three features of asynq. By our measurements, its recovery of a killed worker takes one to two minutes. Its
// cancel turns into a retry, and its unique lock lasts longer or shorter than the work.
//
// There are two queues as two asynq servers, so that single objects never wait behind a full sync.
package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/metrics"
	"rollcall/internal/redisfault"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/status"
)

// The queues.
const (
	FullQueue   = "full"
	ObjectQueue = "objects"
)

// The task types. The number is the version of the payload.
const (
	TypeRun    = "run:v1"
	TypeObject = "object:v1"
)

// RunArgs is the payload of a full sync. It has ids only, because every user of asynqmon can see it.
type RunArgs struct {
	Container container.ID `json:"container"`
	RunID     string       `json:"run_id"`
	Epoch     int64        `json:"epoch"`
}

// taskID makes enqueuing idempotent, because a run has at most one task under each epoch.
func (a RunArgs) taskID() string { return fmt.Sprintf("%s:%d", a.RunID, a.Epoch) }

// ObjectArgs is the payload of a single-object sync.
type ObjectArgs struct {
	Container container.ID `json:"container"`
	JobID     string       `json:"job_id"`
	// Source is the slug of the source that has the entry.
	Source string `json:"source"`
}

const (
	// runTimeout is asynq's limit for a full sync. A first provisioning of 500,000 people at Google's quota takes
	// more than a day.
	runTimeout = 14 * 24 * time.Hour
	// objectTimeout bounds one attempt of a single-object sync.
	objectTimeout = 60 * time.Second
	// objectRetries is asynq's limit. It is out of reach, because asynq also counts the workers that died. The record
	// of a job decides how often it is tried.
	objectRetries = 100_000
)

// Client starts and cancels work.
type Client struct {
	rdb    redis.UniversalClient
	status *status.Store
	asynq  *asynq.Client
	calls  map[string]*call // by queue
}

// NewClient returns a Client.
func NewClient(rdb redis.UniversalClient, st *status.Store) *Client {
	return &Client{rdb: rdb, status: st, asynq: asynq.NewClientFromRedisClient(rdb),
		calls: map[string]*call{FullQueue: {}, ObjectQueue: {}}}
}

// Start starts a full sync. While one is live the error is a *status.LiveError with it.
func (c *Client) Start(ctx context.Context, container container.ID, dryRun bool, by status.Trigger) (status.Run,
	error) {
	return c.start(ctx, status.StartRequest{Container: container, DryRun: dryRun, Trigger: by})
}

// StartRun starts a full or delta run for the holder of a token. A delta run that is not possible becomes a full run
// and says why. A full run beside a live delta run waits for its end.
func (c *Client) StartRun(ctx context.Context, container container.ID, mode status.Mode, dryRun bool, by string) (
	status.Run, error) {
	return c.start(ctx, status.StartRequest{Container: container, Mode: mode, DryRun: dryRun,
		Trigger: status.Trigger{Kind: status.ByAPI, By: by}})
}

func (c *Client) start(ctx context.Context, req status.StartRequest) (status.Run, error) {
	run, err := c.status.Start(ctx, req)
	if err != nil {
		return run, err
	}
	// The run is recorded. If the queue is out of reach now, the reaper enqueues the run later.
	if err := c.enqueue(ctx, run); err != nil && fault.KindOf(err) != fault.Unavailable {
		return run, err
	}
	return run, nil
}

func (c *Client) enqueue(ctx context.Context, run status.Run) error { return c.enqueueIn(ctx, run, 0) }

// enqueueIn puts the task of a run into its queue. No worker takes it before the given time has passed.
func (c *Client) enqueueIn(ctx context.Context, run status.Run, later time.Duration) error {
	args := RunArgs{Container: run.Container, RunID: run.ID, Epoch: run.Epoch}
	payload, err := json.Marshal(args)
	if err != nil {
		return fault.New(fault.Internal, "enqueue", err)
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(TypeRun, payload),
		asynq.Queue(FullQueue), asynq.TaskID(args.taskID()), asynq.MaxRetry(0), asynq.Timeout(runTimeout),
		asynq.ProcessIn(later))
	if later == 0 {
		c.wake(ctx, FullQueue)
	}
	return queueFault(err)
}

// StartObject starts the sync of one entry and returns the job's id.
func (c *Client) StartObject(
	ctx context.Context, container container.ID, source string, ref directory.Ref, by string,
) (string, error) {
	return c.startObject(ctx, container, source, ref, status.Trigger{Kind: status.ByAPI, By: by})
}

func (c *Client) startObject(
	ctx context.Context, container container.ID, source string, ref directory.Ref, by status.Trigger,
) (string, error) {
	job, err := c.status.CreateJob(ctx, status.JobRequest{
		Container: container, Kind: status.ObjectType(ref.Kind.String()), ObjectID: string(ref.ID), Trigger: by,
		Source: source,
	})
	if err != nil {
		return "", err
	}
	return job.ID, c.enqueueObject(ctx, ObjectArgs{Container: container, JobID: job.ID, Source: source})
}

// enqueueObject puts the task of a job into its queue. A task that is there already is as good.
func (c *Client) enqueueObject(ctx context.Context, args ObjectArgs) error {
	payload, err := json.Marshal(args)
	if err != nil {
		return fault.New(fault.Internal, "enqueue", err)
	}
	_, err = c.asynq.EnqueueContext(ctx, asynq.NewTask(TypeObject, payload),
		asynq.Queue(ObjectQueue), asynq.TaskID(args.JobID), asynq.MaxRetry(objectRetries), asynq.Timeout(objectTimeout))
	c.wake(ctx, ObjectQueue)
	return queueFault(err)
}

// Cancel closes the live run of a container.
func (c *Client) Cancel(ctx context.Context, container container.ID, by string) (status.Run, error) {
	return c.status.Cancel(ctx, container, by)
}

func queueFault(err error) error {
	switch {
	case err == nil, errors.Is(err, asynq.ErrTaskIDConflict): // It is there already, under this very epoch.
		return nil
	case errors.Is(err, context.Canceled):
		return err
	}
	return redisfault.Of("enqueue", err)
}

// Queues returns a function that reads the sizes of the queues. A queue that never had a task is empty.
func Queues(rdb redis.UniversalClient) func(context.Context) ([]metrics.Queue, error) {
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	return func(context.Context) ([]metrics.Queue, error) {
		known, err := inspector.Queues()
		if err != nil {
			return nil, redisfault.Of("queues", err)
		}
		var out []metrics.Queue
		for _, name := range []string{FullQueue, ObjectQueue} {
			info := &asynq.QueueInfo{}
			if slices.Contains(known, name) {
				if info, err = inspector.GetQueueInfo(name); err != nil {
					return nil, redisfault.Of("queue "+name, err)
				}
			}
			out = append(out, metrics.Queue{Name: name, Latency: info.Latency, Tasks: map[string]int{
				"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled, "retry": info.Retry,
				"archived": info.Archived,
			}})
		}
		return out, nil
	}
}

// AfterSource is the schedule of a provider that is synced after each source run with changes.
const AfterSource = "after_source"

// Container is one source or provider as configured for a worker.
type Container struct {
	Name container.ID
	// Engine makes the engine of one execution.
	Engine func() *reconcile.Engine
	// Schedule is a cron expression, AfterSource, or empty.
	Schedule string
	// Sources are the slugs of a provider's sources. A source has none.
	Sources []string
	// Digest identifies the configuration. Workers with different digests do not execute a container side by side.
	// Without a digest the container is executed by any worker.
	Digest string
	// Watch says how a source is asked for its changes. It is nil for a provider.
	Watch *Watch
	// Calls counts requests to the remote side. It may be nil.
	Calls *atomic.Int64
}

// memory implements reconcile.Memory on decisions.
type memory struct {
	store *decisions.Store
	name  container.ID
}

// NewMemory returns the decisions, pins and budget of a container.
func NewMemory(store *decisions.Store, name container.ID) reconcile.Memory {
	return memory{store, name}
}

// Paused implements reconcile.Memory.
func (m memory) Paused(ctx context.Context) error { return m.store.Paused(ctx, m.name) }

// Ordered implements reconcile.Memory.
func (m memory) Ordered(ctx context.Context, ref directory.Ref) (bool, error) {
	return m.store.Ordered(ctx, m.name, ref)
}

// Load implements reconcile.Memory.
func (m memory) Load(ctx context.Context) (r reconcile.Remembered, err error) {
	if r.Spent, err = m.spent(ctx); err != nil {
		return r, err
	}
	kept, err := m.store.Kept(ctx, m.name)
	if err != nil {
		return r, err
	}
	r.Verdicts = make(map[string]plan.Verdict, len(kept.Decisions))
	for print, d := range kept.Decisions {
		r.Verdicts[print] = plan.Verdict(d.Verdict)
	}
	r.Pins = kept.Pins
	m.distrust(&kept, &r)
	if m.name.IsSource() { // An order suspends accounts.
		return r, nil
	}
	orders, err := m.store.Orders(ctx)
	if err != nil {
		return r, err
	}
	r.Orders = orders.At(m.name).Leave
	for _, ref := range slices.SortedFunc(maps.Keys(orders.Untrusted), directory.Ref.Compare) {
		r.Unordered = append(r.Unordered, plan.Held{Ref: ref, Reason: plan.PinLost, Detail: "its order to leave " +
			orders.Untrusted[ref] + "; no account is made or activated for it until a person gives the order again or " +
			"lifts it: rollcall leave " + string(ref.ID) + " [--lift]"})
	}
	return r, nil
}

// distrust says what of the decisions and pins is not used.
func (m memory) distrust(kept *decisions.Kept, r *reconcile.Remembered) {
	command := "rollcall adopt-decisions " + string(m.name)
	if kept.Broken != "" {
		r.Doubts = append(r.Doubts, kept.Broken+": "+command)
	}
	var unused int
	for _, u := range kept.Untrusted {
		if u.Pin.ID == "" {
			unused++
			continue
		}
		r.Unpinned = append(r.Unpinned, plan.Held{Ref: u.Pin, Label: u.Label, Reason: plan.PinLost,
			Detail: "its pin, which keeps it as it was before an undone run, " + u.Problem +
				"; nothing happens to it until a person confirms: " + command})
	}
	if unused > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d decisions are not signed, changed or gone. Approvals among "+
			"them are not used: %s lists them.", unused, command))
	}
}

func (m memory) spent(ctx context.Context) (plan.Budget, error) {
	spent, err := m.store.Spent(ctx, m.name)
	if err != nil {
		return plan.Budget{}, err
	}
	claims, err := m.store.Claims(ctx, m.name)
	if err != nil {
		return plan.Budget{}, err
	}
	b := plan.Budget{
		User: spent[decisions.BudgetUsers], Group: spent[decisions.BudgetGroups], Members: map[directory.ID]int{},
		Claims:      claims,
		Reactivated: countsOf(spent, plan.BrakeReactivate), Renamed: countsOf(spent, plan.BrakeRename),
	}
	for kind, n := range spent {
		if id, ok := strings.CutPrefix(string(kind), string(decisions.BudgetMembers(""))); ok {
			b.Members[directory.ID(id)] = n
		}
	}
	return b, nil
}

// budgetOf returns the budget in which a change is counted. Departures and removals keep their original names.
func budgetOf(c *plan.Change) decisions.BudgetKind {
	switch b := c.Brake(); {
	case b == plan.BrakeMembers:
		return decisions.BudgetMembers(string(c.ID))
	case b == plan.BrakeReactivate || b == plan.BrakeRename:
		return budgetFor(b, c.Kind)
	case c.Kind == directory.Group:
		return decisions.BudgetGroups
	}
	return decisions.BudgetUsers
}

func budgetFor(b plan.Brake, k directory.Kind) decisions.BudgetKind {
	return decisions.BudgetKind(string(b) + ":" + k.String())
}

func countsOf(spent map[decisions.BudgetKind]int, b plan.Brake) plan.Tally {
	return plan.Tally{User: spent[budgetFor(b, directory.User)], Group: spent[budgetFor(b, directory.Group)]}
}

// Keep implements reconcile.Memory.
func (m memory) Keep(ctx context.Context, changes reconcile.PinChanges) error {
	if err := m.store.Pin(ctx, m.name, changes.Set, nil); err != nil {
		return err
	}
	if err := m.store.Agree(ctx, m.name, changes.Agreed...); err != nil {
		return err
	}
	return m.store.Repin(ctx, m.name, changes.Update, changes.Remove)
}

// Spend implements reconcile.Memory.
func (m memory) Spend(ctx context.Context, c *plan.Change, limit int) (func(made bool), bool, error) {
	settle, ok, err := m.store.Claim(ctx, m.name, budgetOf(c), c.Claim(), limit)
	if err != nil || !ok {
		return nil, ok, err
	}
	// A change that cannot be settled stays counted once, so that the budget errs on the safe side.
	return func(made bool) { _ = settle(context.WithoutCancel(ctx), made) }, true, nil
}
