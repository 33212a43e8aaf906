// Package googleworkspace provisions users, groups and memberships to one Google Workspace account through the Admin
// SDK Directory API.
//
// It translates and classifies. Retries, pacing and decisions are left to others. A [Caller] may repeat and pace each
// call.
//
// # Our marks
//
// A user carries our marks in externalIds, as elements of type custom. A group carries them in its externalIds under
// the namespace "system/external", the only one that Google's documentation names for groups.
//
//   - user, customType "rollcall": the anchor, which is the ID of the directory's entry
//   - user, customType "rollcall_suspended": the time when we suspended the account (RFC 3339)
//   - user, customType "rollcall_fields": the list of elements of other arrays that are ours; see below
//   - group, id "rollcall:<ID>": the anchor
//
// An account is suspended by us when it carries the mark and Google's suspensionTime, where it is shown, agrees with
// it. A mark may outlive its suspension, for example when an administrator lifts the suspension by hand. Such a mark
// says nothing about a later suspension. An archived account counts as suspended by another party.
//
// # Arrays
//
// Google replaces arrays as a whole, and administrators add elements of their own. An element is ours when
// "rollcall_fields" has a digest of its value. Read shows only our elements, so a phone number that an administrator
// added is neither compared nor removed. A write reads the account first and sends foreign elements back as they were
// read.
//
// The admin console shows only one value of some slots, which are the employee ID, manager, work address and primary
// organization. In these slots our value replaces the present one. Phone numbers are added to the others. An element
// that already has the wanted value becomes ours.
//
// # Google's behaviour after a write
//
// Requests for an object that was just created may be answered with 404 or 412 for some seconds. After a rename they
// may be answered with 409 for a minute. Both errors are Unavailable here, so that the Caller repeats the call. A
// rename itself may be answered with 409 although it was done. In this case the new address is looked up.
package googleworkspace
