// Package api is Rollcall's HTTP interface. It serves status, syncs of single objects, the start and the end of runs,
// and the resources that they belong to.
//
// The paths, bodies and error texts of the status and object endpoints follow a contract that clients are generated
// from (testdata/contract-a.json). The service's own endpoints use the same style. Every path is served below /api/v3
// and without it. Every path ends with a slash and is never redirected, because clients change a redirected POST into
// a GET.
//
// The synchronization sessions, below /organization-manager/, follow a second contract. It has no base path, no final
// slash, 401 for missing credentials, and errors as google.rpc.Status. The handlers are the same; rpc.go contains the
// differences.
//
// A request passes through
//
//	front (request id, panics, headers, log) ─▶ path check ─▶ http.ServeMux ─▶ endpoint (token, method, resource) ─▶ handler
//
// The dashboard of the job queues is separate. Requests at and below DashboardRoot go from front to Config.Dashboard.
//
// Handlers return a value or an error and never write. One function converts errors to responses by their fault.Kind.
// The package executes no work. The interface Jobs connects it to package jobs.
package api
