// Package entra provisions users, security groups and memberships to one Microsoft Entra tenant through Microsoft
// Graph v1.0.
//
// The adapter translates and classifies. It neither paces nor decides. The only request that it repeats itself is one
// with a refused access token. A [Caller] may pace and repeat each request. The Graph client is our own, because the
// official one takes minutes and gigabytes to build.
//
// # Anchors
//
//   - A user carries the ID of the directory's entry in onPremisesImmutableId. For a UUID this is the base64 of the
//     sixteen bytes in the order of RFC 9562, for any other ID the base64 of the text; see encodeAnchor.
//   - A group carries the ID in uniqueName, as rollcall-<ID>. It is set when the group is created, by
//     PATCH /groups(uniqueName='…') with Prefer: create-if-missing. This request creates the group once, however
//     often it is sent. No other request creates groups, and the uniqueName of a group can never be changed.
//   - A group of an entry that was created again in the directory carries the new ID in mailNickname, as
//     rollcall-entry-<ID>.
//
// An onPremisesImmutableId does not show which product wrote it. Read marks such objects (plan.Object.Unproven). The
// engine takes such an account for ours only where its ID is that of a known entry.
//
// Graph has no place for our mark on a suspension. Only the ledger has it.
//
// # Refusals
//
// A refusal of a listing, or of an access token without the permission, is Denied, because it concerns the tenant.
// Any other refusal concerns one object (fault.Refused), also the 403 of a tenant without room. The decision depends
// only on the request and its token, so that all workers decide alike; see denial.
//
// # Addresses
//
// The address of a user is the userPrincipalName. Groups have no address, because the mailNickname of a security
// group need not be unique. So groups are never adopted.
//
// # Reads
//
// The first read gets users and groups, with members, from the beginning of a delta query, and later reads continue
// it. The tokens are kept in a [Cache] together with the state up to them. After three days, or when a token has
// expired, the query starts again. Delta lags behind writes, so an object that is in the ledger and not in delta is
// looked up before it counts as gone. An unreadable object is in the state as read-only.
//
// # Writes
//
// Writes are sent in batches of twenty requests, and one request adds up to twenty members to a group. Each answer is
// judged separately, and a request with a temporary failure is sent again alone. Before users or groups lose
// something they are read again, users together with the administrators.
package entra
