// Package graph is a Microsoft Entra tenant that lives in memory and is served over HTTP: the sign-in service and
// Microsoft Graph v1.0.
//
// It exists so that the demo, `rollcall simulate` and the tests of the Entra adapter meet the awkward parts of the real
// service: strict rules, its error bodies, batches with items that fail one by one, change tracking, throttling, writes that
// show late and answers that get lost. Everything that a client can see follows Microsoft's public documentation;
// package csdltest checks requests and answers against the published metadata and samples. Nothing here knows
// Rollcall, and any client of Graph works against it.
//
// # What is served
//
// At one address: /{tenant}/oauth2/v2.0/token (client credentials by secret, certificate or federated token) with its
// discovery documents, and under /v1.0/ users, groups, members, deleted items, directory roles, domains, the
// organization, delta of users and groups, getByIds and $batch; Methods lists them. Other paths answer 400, as Graph
// does. A request passes, in this order: the access token, the OnRequest hook, the quota, the faults that were injected,
// the app's permissions, the rules of the method. Each item of a batch takes the same way.
//
// # Where the documentation is silent, or says two things
//
//   - A state token of delta that is older than 7 days: 400 syncStateNotFound, as the page on token duration and the
//     announcement have it. A reset of the service (ExpireDelta): 410 resyncRequired with a Location.
//   - Groups without mail: current pages let them be restored like all groups, older ones have them deleted for good at
//     once. Config.HardDeleteGroups is the older behaviour.
//   - A deleted user's principal name has the id without hyphens in front and is free for others. Its
//     onPremisesImmutableId stays taken, as public reports have it; restoring gives both back or names the conflict.
//   - A deleted group frees its uniqueName, and an upsert of that name creates another group.
//   - An unknown name in $select is refused with 400 for every type, although Entra's types are open: what goes
//     unnoticed there is a mistake all the same.
//   - Members of a dynamic group, a change of an administrator without a role of one's own, and role-assignable groups
//     without RoleManagement.ReadWrite.Directory: 403 Authorization_RequestDenied.
//   - Properties of an object that Entra Connect owns, its members, and its deletion: 400 with the message of mastered
//     objects.
//   - Empty strings are refused for every property: 400 "Invalid value specified for property".
//   - A reference to an object that replicas do not have yet, and a change of the members of such a group: 400 "The source
//     resource object or one of the objects being referenced do not exist."; any other access: 404.
//   - An upsert finds a group by its uniqueName at once, because that is what makes it idempotent.
//   - Items of a batch that do not depend on each other happen in any order, decided by Config.Seed, and are answered in
//     another one.
package graph
