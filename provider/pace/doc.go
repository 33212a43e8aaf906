// Package pace keeps calls to a remote tenant within its quota and repeats those that failed for a moment.
//
// A [Limiter] hands out slots. [Shared] keeps its state on Redis, so that all workers together keep to the quota of a
// tenant. It follows a virtual schedule (GCRA) with costs: a bucket allows its rate, with a burst of one second; who asks is given the next free
// slot at once and sleeps until then. That is one call to Redis a grant, however many wait.
//
// A refusal by the remote side halves the rate, which then grows back by 1 % of its full value a second; a
// Retry-After pauses the tenant for everyone. A wait that would be long is not slept through: it is answered with
// fault.Throttled and RetryAfter, so that the run is deferred and the worker is free.
//
// A [Caller] wraps single calls: it waits for the limiter, bounds the call's time, and repeats it for seconds when
// the kind of its error says so. Minutes are the business of whoever defers the run.
package pace
