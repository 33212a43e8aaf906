// Package ldap is the source that reads an LDAP directory: Active Directory, OpenLDAP, FreeIPA, 389 Directory Server
// or an LDIF export of one.
//
// A read is complete or it failed. What is absent from a snapshot is deprovisioned later, so every way in which a
// server can give less than everything (a result code other than success, a size or time limit, a connection that
// drops in the middle of a page, a page cookie that leads nowhere) is an error with a fault.Kind, and an entry that
// was seen but cannot be used is a Finding, never silence.
//
// The package translates and classifies. It does not retry, log or decide. It reads in five steps, which a server
// and a file share:
//
//	open ─▶ search users ─▶ search groups ─▶ resolve members ─▶ Snapshot
//	(dial, StartTLS, bind,   (RFC 2696 pages, decoded     (DN, uid → Ref,
//	 or parse the LDIF)       as they arrive)              RFC 4517 matching)
//
// What it does not see: membership by primaryGroupID without primary_groups, what aliases point
// to, and what referrals lead to; references are named in the snapshot and never chased.
package ldap
