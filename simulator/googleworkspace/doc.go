// Package googleworkspace is a Google Workspace tenant that lives in memory and is served over HTTP.
//
// It exists so that the demo, `rollcall simulate` and the tests of the Google adapter meet the awkward
// parts of the real service: strict rules, its error bodies, quotas, writes that show late and answers
// that get lost. Everything that a client can see follows Google's public documentation and the
// discovery document of the Directory API; package discoverytest checks that for every request and answer.
// Nothing here knows Rollcall, and any client of the Directory API works against it.
//
// # What is served
//
// POST /token is the OAuth 2.0 endpoint of a service account with domain-wide delegation. Under
// /admin/directory/v1/ are users, groups, members, their aliases, domains and organizational units;
// the other methods of those resources answer 501. A request passes, in this order: the OnRequest hook,
// the access token and its scopes, the quota, the faults that were injected, the rules of the method.
//
// # Where the documentation is silent
//
// The choices below come from what public clients and their live tests report.
//
//   - A key or a new address in a domain that belongs to another customer: 403 forbidden "Not Authorized
//     to access this resource/api". A new address in a domain that no customer has: 404 notFound
//     "Domain not found.".
//   - A missing or too long name: 400 invalid "Invalid Given/Family Name: FamilyName"; a password that is
//     missing or not of 8 to 100 characters: 400 invalid "Invalid Password"; a malformed address: 400
//     invalid "Invalid Input: primary_user_email"; an unknown orgUnitPath: 400 invalid "Invalid Input:
//     INVALID_OU_ID".
//   - A key of a deleted user, its id, is 412 conditionNotMet "User is deleted." in every method of users; the address
//     of a group is 400 badRequest "Type not supported: userKey" there.
//   - members.delete and members.get: an account that is not a member is 404 notFound "Resource Not Found:
//     memberKey", a key that names no account at all is 400 required "Missing required field: memberKey".
//   - hasMember answers 400 invalid "Invalid Input: memberKey" for a key outside the customer's domains.
//   - Only the namespace "system/external" is accepted in a group's externalIds, as the Cloud Identity
//     documentation has it for the same field; Config.GroupNamespaces changes that.
//   - directMembersCount counts members of type USER alone, as documented. A group's etag does not move
//     with its members, so that no client comes to rely on it.
//   - maxResults above 200 on groups and members is treated as 200; above 500 on users it is refused.
package googleworkspace
