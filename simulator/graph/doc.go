// Package graph is a Microsoft Entra tenant in memory that is served over HTTP, with the sign-in service and
// Microsoft Graph v1.0.
//
// The demo, `rollcall simulate` and the tests of the Entra adapter use it to meet the awkward parts of the real
// service. These are strict rules, its error bodies, batches in which single items fail, change tracking, throttling,
// writes that show late and lost responses. Everything that a client can see follows Microsoft's public
// documentation. Package csdltest checks requests and responses against the published metadata and samples. The
// package does not depend on the rest of Rollcall, and any client of Graph works against it.
//
// # What is served
//
// One address serves the sign-in and Graph. /{tenant}/oauth2/v2.0/token takes client credentials by secret,
// certificate or federated token, and has its discovery documents. /v1.0/ has users, groups, members, deleted items,
// directory roles, domains and the organization. It also has delta of users and groups, getByIds and $batch. Methods
// lists them.
// Other paths return 400, as in Graph. A request passes the check of the access token, the OnRequest hook, the quota,
// the injected faults, the app's permissions and the rules of the method, in this order. Each item of a batch passes
// the same steps.
//
// # Where the documentation is silent or contradictory
//
//   - A state token of delta that is older than 7 days returns 400 syncStateNotFound, as the page on token duration and
//     the announcement describe. A reset of the service (ExpireDelta) returns 410 resyncRequired with a Location.
//   - Current pages say that groups without mail can be restored like all groups; older pages say that they are
//     deleted permanently. Config.HardDeleteGroups selects the older behaviour.
//   - A deleted user's principal name is prefixed with the id without hyphens and is free for other users. Its
//     onPremisesImmutableId stays taken, as public reports describe. Restoring returns both or names the conflict.
//   - A deleted group frees its uniqueName, and an upsert of that name creates another group.
//   - An unknown name in $select is refused with 400 for every type, although Entra's types are open, because such a
//     name is a mistake even where Entra does not report it.
//   - 403 Authorization_RequestDenied is returned for members of a dynamic group, for changes of an administrator
//     by an app without a role, and for role-assignable groups without RoleManagement.ReadWrite.Directory.
//   - Changes of an object that Entra Connect owns, of its members, and its deletion return 400 with the message of
//     mastered objects.
//   - Empty strings are refused for every property with 400 "Invalid value specified for property".
//   - A reference to an object that replicas do not have yet, and a change of the members of such a group, return 400
//     "The source resource object or one of the objects being referenced do not exist.". Other access returns 404.
//   - An upsert finds a group by its uniqueName at once, which makes it idempotent.
//   - Independent items of a batch run in an order that Config.Seed determines, and the responses have another order.
package graph
