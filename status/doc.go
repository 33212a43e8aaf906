// Package status keeps runs and object jobs on Redis. Every status endpoint reads what it writes, the workers
// execute what it says, and nothing else decides who may run.
//
// A run is one full or delta sync of one [Container]. Its states:
//
//	         Start                Acquire                  Finish
//	(none) ────────▶  queued  ───────────────▶  running  ────────▶  completed | failed
//	                  ▲ ▲ │ ◀──HandBack (drain)── │ │ ▲
//	  Reap: it is time│ │ │ ◀──Reap: lease gone───┘ │ │ renewal every 5 s
//	                  │ │ │                         └─┘
//	             deferred ◀──────Defer────────── running
//
//	Cancel:  queued | running | deferred ──▶ cancelled
//	Reap:    running, no progress for 15 minutes ──▶ failed
//	Reap:    too many resumes without progress, or kept alive by nobody for an hour ──▶ expired
//	Start:   finds an open run that is not live ──▶ that one is expired
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
// Every change of hands takes a new epoch. A worker with an older one can neither renew, finish, count, log nor
// lock an entry: it gets [ErrStale]. A worker that cannot reach Redis stops by its own clock before its lease can
// expire there. What must be fenced inside somebody else's script compares the lease key (see [Fence]).
//
// Every key of one container has the hash tag of that container, and no script touches two tags, so that all of
// this works on Redis Cluster. Data carries the time of [Config].Now; expiries are Redis' own.
package status
