// Package googleworkspace is a Google Workspace tenant in memory that is served over HTTP.
//
// The demo, `rollcall simulate` and the tests of the Google adapter use it to meet the awkward parts of the real
// service. Among these are strict rules, error bodies, quotas, writes that show late and lost responses. Everything
// that a client can see follows Google's public documentation and the discovery document of the Directory API. Package
// discoverytest checks that for every request and response. The package does not depend on the rest of Rollcall, and
// any client of the Directory API works against it.
//
// # What is served
//
// POST /token is the OAuth 2.0 endpoint of a service account with domain-wide delegation. Under /admin/directory/v1/
// are users, groups, members, their aliases, domains, organizational units and the list of custom schemas. The other
// methods of those resources return 501. A request passes the OnRequest hook, the check of the access token and its
// scopes, the quota, the injected faults and the rules of the method, in this order.
//
// # Where the documentation is silent
//
// The choices below come from reports by public clients and their live tests.
//
//   - A key or a new address in a domain of another customer returns 403 forbidden "Not Authorized to access
//     this resource/api". A new address in a domain of no customer returns 404 notFound "Domain not found.".
//   - Invalid values return 400 invalid. A missing or too long name has "Invalid Given/Family Name: FamilyName". A
//     password that is missing or does not have 8 to 100 characters has "Invalid Password". A malformed address
//     has "Invalid Input: primary_user_email". An unknown orgUnitPath has "Invalid Input: INVALID_OU_ID".
//   - The id of a deleted user as a key returns 412 conditionNotMet "User is deleted." in every method of users. The
//     address of a group returns 400 badRequest "Type not supported: userKey" there.
//   - In members.delete and members.get an account that is not a member returns 404 notFound "Resource Not Found:
//     memberKey". A key without any account returns 400 required "Missing required field: memberKey".
//   - A custom schema, field or value that the account does not have or take returns 400 invalid "Invalid Input:
//     custom_schema". An unknown name in customFieldMask returns 400 invalid "Invalid Input: custom_field_mask".
//   - Whole numbers in custom fields are returned as strings, as everywhere in Google's JSON.
//   - hasMember returns 400 invalid "Invalid Input: memberKey" for a key outside the customer's domains.
//   - A group's externalIds accept only the namespace "system/external", as the Cloud Identity documentation
//     specifies for the same field. Config.GroupNamespaces changes that.
//   - directMembersCount counts members of type USER alone, as documented. A group's etag does not change
//     with its members, so that no client comes to rely on it.
//   - maxResults above 200 on groups and members is treated as 200. Above 500 on users it is refused.
package googleworkspace
