// Package scim simulates a SCIM 2.0 service provider in memory, with users, groups and members. It has the schemas of
// RFC 7643, the protocol of RFC 7644 and the cursors of RFC 9865. It is an http.Handler with state.
//
// The server is strict. Attributes that no schema has, values of the wrong type and paths that address nothing are
// refused. [Behaviours] makes it deviate in the ways of real servers, and [Profile] has those of some vendors.
//
// A client signs in with a bearer token, with basic authentication, or with client credentials of OAuth 2 (RFC 6749,
// section 4.4) at /oauth/token. Base is the path of the service.
//
// Bulk operations, sorting, /Me and /.search are not simulated, and /ServiceProviderConfig says so.
package scim
