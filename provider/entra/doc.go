// Package entra provisions users, security groups and memberships to one Microsoft Entra tenant through Microsoft
// Graph v1.0.
//
// It translates and classifies: it neither paces nor decides, and repeats nothing by itself. A [Caller] may do that for
// each request. The Graph client is our own: the official one takes minutes and gigabytes to build.
//
// # Anchors
//
//   - A user carries the ID of the directory's entry in onPremisesImmutableId: base64 of the sixteen bytes of the UUID
//     in the order of RFC 9562, of the text itself where the ID is no UUID; see encodeAnchor.
//   - A group carries it in uniqueName, as rollcall-<ID>. It is set when the group is made, by
//     PATCH /groups(uniqueName='…') with Prefer: create-if-missing, which makes it once however often it is sent.
//     Nothing else here makes groups, and the name of a group can never be changed.
//
// An onPremisesImmutableId does not say who wrote it: accounts that another product once synchronised have one, too.
// The objects of Read say so (plan.Object.Unproven), and the engine takes such an account for ours only where its ID
// is that of an entry that it knows.
//
// That we suspended an account is in the ledger alone; Graph has no place for it that is ours.
//
// # Addresses
//
// The address of a user is the userPrincipalName. Groups have no address: a security group's mailNickname need not be
// unique, and nothing finds a group by it. So groups are never adopted.
//
// # What is read
//
// The first read takes users and groups, with members, from the beginning of a delta query, and the next ones continue
// it: the tokens are kept in a [Cache] together with what was seen up to there. A token that expired, and every third
// day, means a read from the beginning. Delta trails behind: what the ledger knows and delta does not show is looked
// up before it counts as gone.
//
// # What is written
//
// Writes go in batches of twenty requests; new members of a group go by twenty in one of those. Each answer is judged
// by itself, and what was refused for a moment is sent again alone. Before something is taken from a user or a group
// the objects are read again, and for users the administrators, too: in the same requests.
package entra
