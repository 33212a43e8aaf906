// Package demo has the directory of a fictitious company as LDIF, with some 250 people and 40 nested and overlapping
// groups. It contains what makes directories awkward: names in many scripts, missing and shared addresses, disabled
// accounts, escaped DNs, and groups that contain each other. `rollcall demo` reads it, and so can source/ldap, like
// any export.
//
// The generator in gen writes both files; its comments describe the people.
package demo

import (
	"bytes"
	_ "embed"
)

//go:embed people.ldif
var people []byte

//go:embed next.ldif
var next []byte

// BaseDN is the top of the directory. People are below ou=people, groups below ou=groups.
const BaseDN = "dc=example,dc=com"

// Domain is that of the people's addresses.
const Domain = "example.com"

// LDIF returns the company today.
func LDIF() []byte { return bytes.Clone(people) }

// Next returns the company the next morning. Four people joined, three left, one is disabled, one is back, one has a
// new name and address, one moved to another unit, and some memberships changed. The changes are within the guards.
func Next() []byte { return bytes.Clone(next) }

// Stranger is an account that is in the tenant before the first sync.
type Stranger struct{ Address, GivenName, FamilyName string }

// Foreign are the demonstration's strangers. The first has the address that an entry of the directory would get; the
// second has no counterpart there.
var Foreign = []Stranger{
	{"x-pnovak@" + Domain, "Petr", "Novák"},
	{"webmaster@" + Domain, "Web", "Master"},
}

// Somebody is the userName of a person to try a single-object sync with.
const Somebody = "nanh"
