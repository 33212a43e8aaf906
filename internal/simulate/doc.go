// Package simulate proves the engine by simulation. It has only tests.
//
// A history is a list of events at a small company: hires, departures, renames, changes of configuration, killed and
// paused workers, faults of Redis, the directory and the tenant. The real engine (jobs, status, reconcile, plan,
// directory/store, ledger, decisions) carries it out in a bubble of testing/synctest, where an hour takes milliseconds.
// Invariants are checked on the trace of remote requests after every event. A failing history is shrunk and kept under
// testdata/rapid, from where each later test repeats it. docs/reliability.md says how to repeat one by its seed.
//
// Redis is miniredis here. Every script that runs on it is also tested against a real redis-server, by redistest.Each
// in the packages that have the scripts.
package simulate
