// Package scim provisions users, groups and memberships to servers of SCIM 2.0 (RFC 7643, RFC 7644), with cursors of
// RFC 9865.
//
// It translates and classifies. Retries, pacing and decisions are left to others. A [Caller] may repeat and pace each
// request.
//
// # Anchors
//
// The externalId of a user or group is the ID of the directory's entry. It does not show which system wrote it. So
// Read marks such objects (plan.Object.Unproven), and the engine takes an object for ours only where its ID is that of
// a known entry. SCIM has no place for our mark on a suspension. Only the ledger has it.
//
// # Servers
//
// Servers differ in what they publish, and in what they do. Each run reads ServiceProviderConfig, ResourceTypes and
// Schemas. A [Profile] says the rest, and the configuration replaces its values. Only 404 and 501 mean that a
// description is not published.
//
// # Reads
//
// Lists are read by index or by cursor, and are checked against their totals. An object that is in the ledger and not
// in a list is looked up before it counts as gone. Filters only narrow a read down. Every result is compared again,
// because servers compare with or without letter case, or ignore filters.
//
// # Writes
//
// A change is a PATCH, or a PUT of the resource that was read, with If-Match where the server has versions. Lists of
// values are sent as a whole, with the elements of others as they were read. Members are changed in chunks. A sample of
// the writes is read back, and each suspension is.
package scim
