// Package metrics is what Rollcall says of itself to Prometheus.
//
// Catalogue is every metric of ours as data: its name, what it means, its labels with every value that they can have, and
// the process that exports it. Nothing is registered that is not in the catalogue, and docs/metrics.md is written from it.
//
//	State   what is on Redis, read when somebody scrapes: the API process, every one the same
//	Worker  what workers count while they work: the sum over processes is the truth
//	Build   which program this is: both
//
// No label names a person, an entry or an address: those are in the runs' messages.
package metrics
