// Package metrics exports Rollcall's metrics to Prometheus.
//
// Catalogue describes every metric as data, with its name, its meaning, its labels and their values, and the process
// that exports it. Only metrics of the catalogue can be registered, and docs/metrics.md is generated from it.
//
//	State   the state on Redis, read at each scrape; every API process exports the same values
//	Worker  counts of the work of a worker process; the sum over all processes is the total
//	Build   the version of the program; every process exports it
//
// No label names a person, an entry or an address. The messages of runs contain those.
package metrics
