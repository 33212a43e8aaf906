// Package pace keeps calls to a remote tenant within its quota and repeats those that failed for a moment.
//
// A [Limiter] hands out slots. [Shared] keeps its state on Redis, so that all workers together keep to the quota of a
// tenant. It follows a virtual schedule (GCRA) with costs. A bucket allows its rate, with a burst of one second. A
// caller gets the next free slot at once and sleeps until then. Each grant costs one call to Redis, however many
// callers wait.
//
// A refusal by the remote side halves the rate, which then grows back by 1 % of its full value a second. A
// Retry-After pauses the tenant for all workers. A caller does not sleep through a long wait. It gets fault.Throttled
// with RetryAfter, so that the run is deferred and the worker is free.
//
// A [Caller] wraps single calls. It waits for the limiter, bounds the call's time, and repeats the call for seconds
// when the kind of its error allows that. Pauses of minutes are left to the job queue, which defers the run.
package pace
