// Package store is the local directory, Rollcall's own copy of its sources' data, on Redis.
//
// It stands between the two hops. A Part is one source's share of the directory and a provider; the engine mirrors
// the source into it. A Reader is all parts together and a source; the engine provisions tenants from it.
//
// # The promise
//
// A provider never sees an unfinished directory. A source run marks its part dirty before its first write (Begin) and
// clears the mark after its last (Commit), which raises the part's generation in the same script if anything changed.
// Reader.Read takes every part's mark and generation before and after. It fails with source.ErrNotReady while a
// part is dirty, has never been completed, or changed meanwhile. After a loss of Redis' data every part counts as never
// completed, so that the sources run first and the providers after them.
//
//	          Begin                 Commit
//	never ──────────▶ dirty ─────────────────▶ clean
//	                  │   ▲                      │
//	   killed, later: └───┘ Begin of a later run │
//	                      ▲                      │
//	                      └──────── Begin ───────┘
//
// # Who may write
//
// Every write carries the time at which the source was read for it. An older read never overwrites a newer one:
//
//   - A run writes only while the mark has its own id and the time of its read. A run that was taken over gets
//     fault.Canceled. A run whose mark was lost with Redis gets fault.Unavailable.
//   - An object job writes one entry and sets no mark. It gives way where a run has read the source since.
//   - An entry that a newer read stored, or that another writer changed since this Part read the state, gives way
//     with provider.ErrSuperseded. The check costs the comparison of one short text, because each entry's token
//     (digest, activity, time of the read, sequence number) is compared and replaced in the script that writes it.
//
// The times are comparable across workers, because Part.Clock takes ever-rising times from Redis.
//
// # Keys
//
// All keys of a part share its hash tag, and no script touches two parts.
//
//	rollcall:{ldap:<slug>}:dir:meta    hash: birth, generation, run, read_at, since, completed_at, users, groups, …
//	rollcall:{ldap:<slug>}:dir:user    hash: id → the user as JSON
//	rollcall:{ldap:<slug>}:dir:group   hash: id → the group as JSON
//	rollcall:{ldap:<slug>}:dir:digest  hash: "user/<id>" → token
//	rollcall:{ldap:<slug>}:dir:gone    hash: "user/<id>" → tombstone as JSON
//	rollcall:{ldap:<slug>}:dir:name    hash: "user/<name in lower case>" → ids, one a line
package store
