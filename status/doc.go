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
