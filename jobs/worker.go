package jobs

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/metrics"
	"rollcall/status"
)

// WorkerConfig is what a worker is made of. Zero durations and numbers mean their defaults.
type WorkerConfig struct {
	Redis      redis.UniversalClient
	Status     *status.Store
	Decisions  *decisions.Store
	Containers []Container
	// Name tells this worker from others: host name and process id, say.
	Name string
	// FullConcurrency is how many full syncs run side by side (4), ObjectConcurrency how many object jobs (8).
	FullConcurrency, ObjectConcurrency int
	// Answers are the answers to the questions of other processes, by topic.
	Answers map[string]Answer
	// TaskCheckInterval is how often an idle worker looks into its queues without being woken; 500 ms.
	TaskCheckInterval time.Duration
	// ReapEvery is how often it looks after open runs and the schedule; 2 s.
	ReapEvery time.Duration
	// MendEvery is how often the queues are compared with the open object jobs; 10 s.
	MendEvery time.Duration
	// ShutdownTimeout is how long handlers may take to end; 10 s. After two thirds of it their requests are cut.
	ShutdownTimeout time.Duration
	// Metrics counts what the worker does. Nil discards the counts.
	Metrics *metrics.Work
	Log     *slog.Logger
	// Now is the clock that all workers share, Redis' own. Default time.Now.
	Now func() time.Time
	// Measure reads the clock of Redis for Now. A worker does not start without it, because Now shows the time of this
	// host until then. Default none.
	Measure func(context.Context) error
	// Skew is how far the clock of this host is ahead of it. Default none.
	Skew func() time.Duration
	// RedisIsWrong is asked while the clocks differ, and reports whether a tenant shows the time of this host. The
	// worker takes part then, and engines hold harmful changes. Default never.
	RedisIsWrong func(ctx context.Context) bool
	// Unfit says why this worker must take no task; empty while it may. Default empty.
	Unfit func() string
}

func (c WorkerConfig) withDefaults() WorkerConfig {
	c.FullConcurrency = cmp.Or(c.FullConcurrency, 4)
	c.ObjectConcurrency = cmp.Or(c.ObjectConcurrency, 8)
	c.TaskCheckInterval = cmp.Or(c.TaskCheckInterval, 500*time.Millisecond)
	c.ReapEvery = cmp.Or(c.ReapEvery, 2*time.Second)
	c.MendEvery = cmp.Or(c.MendEvery, 10*time.Second)
	c.ShutdownTimeout = cmp.Or(c.ShutdownTimeout, 10*time.Second)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Metrics == nil {
		c.Metrics = metrics.NewWork(nil)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Measure == nil {
		c.Measure = func(context.Context) error { return nil }
	}
	if c.Skew == nil {
		c.Skew = func() time.Duration { return 0 }
	}
	if c.RedisIsWrong == nil {
		c.RedisIsWrong = func(context.Context) bool { return false }
	}
	if c.Unfit == nil {
		c.Unfit = func() string { return "" }
	}
	return c
}

// Worker carries out what the queues have.
type Worker struct {
	cfg        WorkerConfig
	client     *Client
	inspector  *asynq.Inspector
	containers map[container.ID]*Container
	schedule   []scheduled

	mu sync.Mutex
	// servers are those of both queues, and those that were stopped when the worker stood aside.
	servers []*asynq.Server
	bells   map[string]*bell // by queue
	taking  bool
	leaving sync.WaitGroup // the stops that are under way
	aside   atomic.Value   // why the worker stands aside, a string

	turns    turns
	rounds   int // of the loop
	homes    homes
	outboxes map[container.ID]*outbox // by provider
	data     string                   // the id of the data on Redis, as the loop saw it last
	drain    chan struct{}
	cut      chan struct{} // closed when handlers must end now
	hung     atomic.Bool   // a part did not stop in time
	stop     context.CancelFunc
	loops    sync.WaitGroup
	closed   sync.Once
}

// NewWorker returns a worker that has not been started. The error says which schedule does not parse.
func NewWorker(cfg WorkerConfig) (*Worker, error) {
	cfg = cfg.withDefaults()
	w := &Worker{
		cfg: cfg, client: NewClient(cfg.Redis, cfg.Status), inspector: asynq.NewInspectorFromRedisClient(cfg.Redis),
		containers: map[container.ID]*Container{}, bells: map[string]*bell{}, drain: make(chan struct{}),
		cut: make(chan struct{}), outboxes: map[container.ID]*outbox{},
		homes: homes{superseded: map[container.ID]string{}, halts: map[container.ID]chan struct{}{}},
	}
	for i := range cfg.Containers {
		w.containers[cfg.Containers[i].Name], w.outboxes[cfg.Containers[i].Name] = &cfg.Containers[i], &outbox{}
		cfg.Metrics.Expect(cfg.Containers[i].Name)
	}
	var err error
	if w.schedule, err = newSchedule(cfg.Containers); err != nil {
		return nil, err
	}
	return w, nil
}

// server makes the server of a queue. The pauses between its polls are those of waking. The caller holds the lock.
func (w *Worker) server(queue string, concurrency int) *asynq.Server {
	b := newBell()
	w.bells[queue] = b
	rdb := &waking{UniversalClient: w.cfg.Redis, bell: b, turns: &w.turns, now: w.cfg.Now, queue: queue,
		idle: w.cfg.TaskCheckInterval, next: map[string]time.Time{}}
	return asynq.NewServerFromRedisClient(rdb, asynq.Config{
		Concurrency: concurrency, Queues: map[string]int{queue: 1},
		TaskCheckInterval: time.Millisecond, DelayedTaskCheckInterval: 500 * time.Millisecond,
		ShutdownTimeout: w.cfg.ShutdownTimeout, RetryDelayFunc: retryDelay, IsFailure: isFailure,
		Logger: asynqLog{w.cfg.Log}, LogLevel: asynq.WarnLevel,
	})
}

// Start begins to carry out work. It returns at once; Shutdown ends it.
func (w *Worker) Start(ctx context.Context) error {
	ctx, w.stop = context.WithCancel(ctx)
	if err := w.cfg.Measure(ctx); err != nil {
		return err
	}
	if _, err := w.cfg.Status.Beat(ctx, w.cfg.Name); err != nil {
		return err
	}
	if err := w.settle(ctx); err != nil {
		return err
	}
	var err error
	if w.data, err = w.cfg.Status.Data(ctx); err != nil {
		return err
	}
	if err := w.takePart(ctx); err != nil {
		return err
	}
	w.loops.Go(func() { w.listen(ctx) })
	w.loops.Go(func() { w.loop(ctx) })
	for i := range w.cfg.Containers {
		if c := &w.cfg.Containers[i]; c.Watch != nil {
			w.loops.Go(func() { w.watch(ctx, c) })
		}
	}
	return nil
}

// Shutdown lets handlers stop at their next safe point, hands their runs back and returns when all is quiet.
func (w *Worker) Shutdown() {
	w.closed.Do(func() {
		close(w.drain)
		w.homes.close()
		cut := time.AfterFunc(w.cfg.ShutdownTimeout*2/3, func() { close(w.cut) }) //nolint:mnd // two thirds
		defer cut.Stop()
		var servers sync.WaitGroup // Side by side: each may take its time.
		w.mu.Lock()                // No server is started any more.
		w.quiet()
		for _, s := range w.servers {
			servers.Go(func() { w.leaving.Wait(); s.Stop(); s.Shutdown() })
		}
		w.mu.Unlock()
		w.within(w.cfg.ShutdownTimeout+stopSlack, servers.Wait)
		if w.stop != nil {
			w.stop()
		}
		w.within(stopSlack, w.loops.Wait)
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := errors.Join(w.unsettle(ctx), w.cfg.Status.Retire(ctx, w.cfg.Name)); err != nil {
			w.cfg.Log.Warn("retire", "err", err)
		}
	})
}

// stopSlack is how long the parts of a worker may take to stop beyond the time of its handlers. A Redis that does not
// answer would hold them for longer.
const stopSlack = 2 * time.Second

// within waits for something, but not for longer than the given time.
func (w *Worker) within(d time.Duration, wait func()) {
	done := make(chan struct{})
	go func() { defer close(done); wait() }()
	select {
	case <-done:
	case <-time.After(d):
		w.hung.Store(true)
		w.cfg.Log.Warn("a part of the worker does not stop in time: the process ends without it")
	}
}

// Hung reports whether a part of the worker did not stop in time. It still uses the connection to Redis, which must not
// be closed then.
func (w *Worker) Hung() bool { return w.hung.Load() }

// untilCut returns a context that ends, at the latest, when the worker must end.
func (w *Worker) untilCut(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-w.cut:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// draining reports whether the worker was told to stop.
func (w *Worker) draining() bool {
	select {
	case <-w.drain:
		return true
	default:
		return false
	}
}

// loop beats, looks after open runs and keeps the schedule.
func (w *Worker) loop(ctx context.Context) {
	tick := time.NewTicker(w.cfg.ReapEvery)
	defer tick.Stop()
	for {
		if err := w.round(ctx); err != nil && ctx.Err() == nil {
			w.cfg.Log.WarnContext(ctx, "look after runs", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.drain:
			return
		case <-tick.C:
		}
	}
}

// round is one turn of the loop.
func (w *Worker) round(ctx context.Context) error {
	if err := w.takePart(ctx); err != nil || w.Aside() != "" {
		return err
	}
	alive, err := w.cfg.Status.Beat(ctx, w.cfg.Name)
	if err != nil {
		return err
	}
	changed := w.turns.share(alive, w.cfg.Name)
	w.rounds++
	mine := w.turns.mine(w.rounds)
	if mine || changed { // A configuration comes with a worker, and goes with one.
		if err := w.settle(ctx); err != nil {
			return err
		}
	}
	names := make([]container.ID, 0, len(w.cfg.Containers))
	for _, c := range w.cfg.Containers {
		names = append(names, c.Name)
	}
	reaped, err := w.cfg.Status.Reap(ctx, names, true)
	errs := []error{err}
	for _, r := range reaped {
		if r.Action == status.Resume {
			w.cfg.Metrics.Resumed(r.Run.Container)
		}
		w.cfg.Log.InfoContext(ctx, "looked after a run", "action", string(r.Action), "container",
			string(r.Run.Container), "run_id", r.Run.ID, "epoch", r.Run.Epoch)
		if r.NeedsEnqueue() {
			errs = append(errs, w.requeue(ctx, r.Run))
		}
	}
	if mine { // One of several workers is enough for the rest.
		errs = append(errs, w.announce(ctx), w.count(ctx, names), w.lost(ctx, names), w.mend(ctx, names, alive),
			w.tick(ctx), w.noticeLoss(ctx))
	}
	return errors.Join(errs...)
}

// lost ends the object jobs that no worker will finish any more, and counts them.
func (w *Worker) lost(ctx context.Context, names []container.ID) error {
	var errs []error
	for _, name := range names {
		ended, err := w.cfg.Status.EndOutlived(ctx, name)
		for _, job := range ended {
			w.cfg.Metrics.ObjectJob(name, job.Outcome)
			w.cfg.Log.ErrorContext(ctx, "object job lost", "container", string(name), "job_id", job.ID)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// count counts the runs that have ended: those that were cancelled or given up have no worker that could.
func (w *Worker) count(ctx context.Context, names []container.ID) error {
	ended, err := w.cfg.Status.Ended(ctx, names)
	for _, run := range ended {
		w.cfg.Metrics.RunEnded(run)
	}
	return err
}

// announce lists both queues for inspectors of asynq. asynq itself lists a queue only when a process puts its first
// task there. Without this, the list lacks a queue before the first object job, and after Redis lost its data.
func (w *Worker) announce(ctx context.Context) error {
	const queues = "asynq:queues"
	return w.cfg.Redis.SAdd(ctx, queues, FullQueue, ObjectQueue).Err()
}

// requeue puts a run into the queue. A dead task under the run's epoch (asynq archived it, and it still has the ID)
// makes way for one under the next.
func (w *Worker) requeue(ctx context.Context, run status.Run) error {
	info, err := w.inspector.GetTaskInfo(FullQueue, RunArgs{RunID: run.ID, Epoch: run.Epoch}.taskID())
	if err == nil && (info.State == asynq.TaskStateArchived || info.State == asynq.TaskStateCompleted) {
		if run, err = w.cfg.Status.Bump(ctx, run.Container, run.ID, run.Epoch); err != nil {
			return err
		}
	}
	return w.client.enqueue(ctx, run)
}

// begin starts a run; one that is live already is as good.
func (w *Worker) begin(ctx context.Context, name container.ID, by status.Trigger) error {
	_, err := w.client.Start(ctx, name, false, by)
	if live, ok := errors.AsType[*status.LiveError](err); ok {
		w.cfg.Log.InfoContext(ctx, "not started: a run is live", "container", string(name), "run_id", live.Run.ID,
			"trigger", string(by.Kind))
		return nil
	}
	return err
}

// retryDelay is for object jobs; full runs are never retried by asynq.
func retryDelay(n int, err error, _ *asynq.Task) time.Duration {
	if h, is := errors.AsType[*handedOver](err); is {
		return h.delay()
	}
	if d := fault.RetryAfter(err); d > 0 {
		return min(d, longestDeferral)
	}
	if errors.Is(err, asynq.ErrLeaseExpired) || fault.KindOf(err) == fault.Canceled {
		return 0
	}
	return min(5*time.Second<<min(n, 6), time.Minute)
}

// isFailure reports whether asynq counts an attempt, and so prolongs the pause before the next.
func isFailure(err error) bool {
	_, over := errors.AsType[*handedOver](err)
	return !over && fault.KindOf(err) != fault.Canceled && !busy(err) && !errors.Is(err, asynq.ErrLeaseExpired)
}
