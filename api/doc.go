// Package api is Rollcall's HTTP interface: status, single-object sync, starting and cancelling runs, and the
// resources that they belong to.
//
// The paths, bodies and error texts of the status and object endpoints are those of a contract that existing clients
// are generated from (testdata/contract-a.json); they are kept to the letter, and the service's own endpoints follow the same
// style. Every path exists below /api/v3 and without it, ends with a slash and is never redirected to: a client that
// follows a redirect turns its POST into a GET.
//
// The synchronization sessions, below /organization-manager/, follow a second contract with another style: no base path, no
// slash at the end, 401 for who gives no credentials, and errors as google.rpc.Status. They are the same handlers behind
// another way in; rpc.go says what differs.
//
// A request goes through
//
//	front (request id, panics, headers, log) ─▶ path check ─▶ http.ServeMux ─▶ endpoint (token, method, resource) ─▶ handler
//
// The dashboard of the job queues, at and below DashboardRoot, is not part of any of this: it goes from front straight to
// Config.Dashboard.
//
// Handlers return a value or an error and never write: what an error becomes on the wire is decided in one place, by
// its fault.Kind. Nothing here executes work: that is package jobs, behind the interface Jobs.
package api
