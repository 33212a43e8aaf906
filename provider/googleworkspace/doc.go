// Package googleworkspace provisions users, groups and memberships to one Google Workspace account through the Admin
// SDK Directory API.
//
// It translates and classifies: it neither retries nor paces nor decides. A [Caller] may do the first two for each call.
//
// # Our marks
//
// A user carries our marks in externalIds, as elements of type custom; a group in its externalIds under the namespace
// "system/external", the only one that Google's documentation names for groups.
//
//   - user, customType "rollcall": the anchor, the ID of the directory's entry
//   - user, customType "rollcall_suspended": when we suspended the account (RFC 3339)
//   - user, customType "rollcall_fields": which elements of other arrays are ours; see below
//   - group, id "rollcall:<ID>": the anchor
//
// An account is suspended by us when it carries the mark and Google's suspensionTime, where it is shown, agrees with it:
// a mark that outlived its suspension (an administrator lifted that by hand) says nothing about a later one.
// An archived account counts as suspended by somebody else.
//
// # Arrays
//
// Google replaces arrays as a whole, and people put elements of their own into them. An element is ours when
// "rollcall_fields" has a digest of its value: Read shows no other, so a phone number that an administrator added is
// neither compared nor removed. A write reads the account first and sends foreign elements back as they were read. In
// slots of which the admin console shows one only (employee ID, manager, work address, the primary organization) a
// value of ours takes the place of what is there; phone numbers are put beside others. An element with the value that
// we want becomes ours.
//
// # What Google does after a write
//
// An object that was just created may be answered with 404 or 412 for some seconds, one that was just renamed with 409
// for a minute, and a rename may be answered with 409 though it was done. The first two are Unavailable here, so that the Caller
// tries again; for the third the address is looked up.
package googleworkspace
