// Package entra provisions users, security groups and memberships to one Microsoft Entra tenant through Microsoft
// Graph v1.0.
//
// The adapter translates and classifies. It neither paces nor decides, and repeats nothing but a request with a
// refused access token. A [Caller] may do that for each request. The Graph client is our own, because the official
// one takes minutes and gigabytes to build.
//
// # Anchors
//
//   - A user carries the ID of the directory's entry in onPremisesImmutableId: base64 of the sixteen bytes of the UUID
//     in the order of RFC 9562, of the text itself where the ID is no UUID; see encodeAnchor.
//   - A group carries it in uniqueName, as rollcall-<ID>. It is set when the group is made, by
//     PATCH /groups(uniqueName='…') with Prefer: create-if-missing, which makes the group once however often it is
//     sent.
//     No other request makes groups, and the uniqueName of a group can never be changed.
//   - A group of an entry that was created again in the directory carries the new ID in mailNickname, as
//     rollcall-entry-<ID>.
//
// An onPremisesImmutableId does not say which product wrote it. The objects of Read say so (plan.Object.Unproven),
// and the engine takes such an account for ours only where its ID is that of an entry that it knows.
//
// Graph has no place for our mark on a suspension. It is in the ledger alone.
//
// # Refusals
//
// A refusal of a listing, or of an access token that lacks the permission, is Denied: it concerns the tenant. Any
// other refusal concerns one object (fault.Refused), also the 403 of a tenant without room. The decision depends on
// the request and its token alone, so that all workers decide alike; see denial.
//
// # Addresses
//
// The address of a user is the userPrincipalName. Groups have no address, because the mailNickname of a security
// group need not be unique. So groups are never adopted.
//
// # What is read
//
// The first read takes users and groups, with members, from the beginning of a delta query, and the next ones
// continue it. The tokens are kept in a [Cache] together with what was seen up to there. After three days, or where
// a token has expired, the query starts again. Delta trails behind writes, so an object that the ledger knows and
// delta does not show is looked up before it counts as gone. An object that cannot be read is in the state as
// read-only.
//
// # What is written
//
// Writes go in batches of twenty requests, and one request adds up to twenty members to a group. Each answer is
// judged by itself, and a request that failed for a moment is sent again alone. Before something is taken from a
// user or a group the objects are read again, for users together with the administrators.
package entra
