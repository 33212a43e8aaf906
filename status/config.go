// Package status stores runs and object jobs on Redis. The status endpoints read its records, and its leases decide
// which worker executes a run. Package decisions stores what outlives a run.
//
// A run is one full or delta sync of one container. It has these states:
//
//	 Start        Acquire           Finish
//	──────▶ queued ─────▶ running ─────────▶ completed | failed
//	          ▲ ▲           │ │
//	          │ └───────────┘ │ HandBack: the worker shuts down
//	          │               │ Reap: the worker is gone (a resume)
//	          │               │
//	          └── deferred ◀──┘ Defer: wait, holding no worker
//	      Reap: it is time
//
//	queued | running | deferred ──Cancel──▶ cancelled
//	running ──Reap: no progress for 15 minutes──▶ failed
//	any open ──Reap: too many resumes without progress, or no renewal for an hour──▶ expired
//	any open ──Start: it is not live, and a new one begins──▶ expired
//
// Two expiring keys per container grant the right to execute a run. Lua scripts change them together:
//
//	run    the id of the open run; 24 s. It exists while a run is live, and a start is then refused.
//	lease  the token of the worker that executes the run; 15 s. A queued or deferred run has none.
//
// The worker renews both (see [Lease]). The reaper of any worker renews the run key of a run that waits. A third key,
// open, does not expire. It names the run with an unclosed record, so that a run with lapsed keys is resumed or
// closed.
//
// A new epoch begins whenever a run passes to another worker. A worker with an older epoch cannot renew, finish,
// count or lock an entry; it receives [ErrStale]. A worker that cannot reach Redis stops by its own clock before its
// lease can expire there. Scripts of other packages compare the lease key (see [Fence]).
//
// The plan of a run is stored beside its record (see [Recorder.SavePlan]). Its rows are compressed in chunks. The
// holder of the lease writes them under a temporary name and renames them in one step, so that a reader never sees a
// partial plan.
//
// Every key of a container has the container's hash tag, and no script uses two tags. The package therefore works on
// Redis Cluster. It needs Redis 6.2 or later. Data carries the time of [Config].Now, and Redis applies expiries by
// its own clock. An operation whose reply was lost may be repeated, because it finds its own result.
package status

import (
	"time"
)

// Config sets the durations and limits of a Store. The zero Config has the defaults. Tests use shorter durations.
type Config struct {
	// Now is the clock of all stored times. Default time.Now.
	Now func() time.Time

	// RunTTL is how long a run stays live without a renewal. Default 24 s.
	RunTTL time.Duration
	// LeaseTTL is how long a worker holds a run without a renewal. Default 15 s.
	LeaseTTL time.Duration
	// LeaseMargin is how long before the possible end of its lease a worker stops if it cannot renew. Default
	// LeaseTTL/3.
	LeaseMargin time.Duration
	// RenewEvery is the interval of renewals. Default LeaseTTL/3.
	RenewEvery time.Duration
	// WorkerTTL is how long a worker counts as alive after its last Beat. Default 15 s.
	WorkerTTL time.Duration

	// RequeueAfter is how long a queued run waits before the reaper enqueues it again. Default 5 s.
	RequeueAfter time.Duration
	// StallAfter is how long a running run may make no progress. Default 15 minutes.
	StallAfter time.Duration
	// GiveUpAfter is how long an open run without renewals can still be resumed. Default 1 hour.
	GiveUpAfter time.Duration
	// MaxStalledResumes is the largest number of consecutive resumes without a change. Default 5.
	MaxStalledResumes int

	// FlushEvery is the interval at which a Recorder writes. Default 250 ms.
	FlushEvery time.Duration
	// MaxMessages is the approximate number of stored messages of a run. Default 1000.
	MaxMessages int

	// KeepRuns and MaxRuns limit the index of a container. Default 90 days and 1000.
	KeepRuns time.Duration
	MaxRuns  int
	// MaxDeltas limits the number of delta runs and, separately, of their plans. Default 200. They do not count in
	// MaxRuns and MaxPlans.
	MaxDeltas int
	// KeepMessages is how long the messages of a closed run are stored. Default 30 days.
	KeepMessages time.Duration
	// KeepPlans is how long a plan is stored. Default 30 days. MaxPlans limits the number of plans with changes and,
	// separately, of plans without. Default 20. MaxPlansBytes limits the size of all of them. Default 64 MiB.
	KeepPlans     time.Duration
	MaxPlans      int
	MaxPlansBytes int
	// MaxPlanRows and MaxPlanBytes limit one section of a plan, such as its changes. Default 100,000 and 16 MiB
	// compressed.
	MaxPlanRows  int
	MaxPlanBytes int
	// KeepJobs and MaxJobs limit the object jobs of a container that have an outcome. Default 7 days and 20,000.
	KeepJobs time.Duration
	MaxJobs  int
	// MaxOpenJobs bounds the object jobs of a container that have no outcome yet. Default 10,000.
	MaxOpenJobs int
	// JobTTL is how long an interrupted object job delays other jobs for its entry. It must exceed the timeout of
	// jobs. Default 2 minutes.
	JobTTL time.Duration

	// LockTTL is how long an entry stays locked after its worker died. It must exceed the longest remote write,
	// including its waits and retries. Default 60 s.
	LockTTL time.Duration
}

const day = 24 * time.Hour

func (c Config) withDefaults() Config {
	if c.Now == nil {
		c.Now = time.Now
	}
	set(&c.RunTTL, 24*time.Second)
	set(&c.LeaseTTL, 15*time.Second)
	set(&c.LeaseMargin, c.LeaseTTL/3)
	set(&c.RenewEvery, c.LeaseTTL/3)
	set(&c.WorkerTTL, 15*time.Second)
	set(&c.RequeueAfter, 5*time.Second)
	set(&c.StallAfter, 15*time.Minute)
	set(&c.GiveUpAfter, time.Hour)
	set(&c.MaxStalledResumes, 5)
	set(&c.FlushEvery, 250*time.Millisecond)
	set(&c.MaxMessages, 1000)
	set(&c.KeepRuns, 90*day)
	set(&c.MaxRuns, 1000)
	set(&c.MaxDeltas, 200)
	set(&c.KeepMessages, 30*day)
	set(&c.KeepPlans, 30*day)
	set(&c.MaxPlans, 20)
	set(&c.MaxPlansBytes, 64<<20)
	set(&c.MaxPlanRows, 100_000)
	set(&c.MaxPlanBytes, 16<<20)
	set(&c.KeepJobs, 7*day)
	set(&c.MaxJobs, 20_000)
	set(&c.MaxOpenJobs, 10_000)
	set(&c.JobTTL, 2*time.Minute)
	set(&c.LockTTL, time.Minute)
	return c
}

func set[T int | time.Duration](v *T, to T) {
	if *v == 0 {
		*v = to
	}
}
