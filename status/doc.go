// Package status keeps runs and object jobs on Redis. Every status endpoint reads what it writes, the workers
// execute what it says, and nothing else decides who may run. Package decisions keeps what outlives a run.
//
// A run is one full or delta sync of one container. Its states:
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
//	running ──Reap: no progress for 15 minutes outside a pause──▶ failed
//	any open ──Reap: too many resumes without progress, or kept by nobody for an hour──▶ expired
//	any open ──Start: it is not live, and a new one begins──▶ expired
//
// Two expiring keys per container, changed together in Lua, say who may run:
//
//	run    the open run's id; 24 s. It exists exactly while a run is live: a start is refused then.
//	lease  the token of the worker that executes it; 15 s. A queued or deferred run has none.
//
// The worker renews both (see [Lease]); the reaper of any worker renews run for a run that waits. A third
// key, open, has no expiry and names the run whose record is not closed yet, so that a run whose keys lapsed is
// found, resumed or closed instead of being forgotten.
//
// Every change of hands takes a new epoch. A worker with an older one can neither renew, finish, count nor lock an
// entry: it gets [ErrStale]. A worker that cannot reach Redis stops by its own clock before its lease can expire
// there. What must be fenced inside somebody else's script compares the lease key (see [Fence]).
//
// The plan of a run is kept beside it (see [Recorder.SavePlan]): compressed chunks of rows in one hash, written under a name
// of their own and put in place in one step by whoever has the lease, so that a reader sees a whole plan or none.
//
// Every key of one container has the hash tag of that container, and no script touches two tags, so that all of
// this works on Redis Cluster. Redis 6.2 is the oldest that does. Data carries the time of [Config].Now; expiries
// are Redis' own. What starts, takes, renews, counts, releases or locks may be asked again after its answer was
// lost: it finds what it did. Spending again counts again: the budget errs on the safe side.
package status
