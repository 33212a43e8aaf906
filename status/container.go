package status

import (
	"rollcall/container"
)

// Container is container.ID, under the name that code of before uses.
type Container = container.ID

// LDAP is container.LDAP.
const LDAP = container.LDAP
