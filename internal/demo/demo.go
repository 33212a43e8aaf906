// Package demo has the directory of a fictitious company as LDIF, with some 250 people and 40 nested and overlapping
// groups. It contains the difficult cases of real directories, which are names in many scripts, missing and shared
// addresses, disabled accounts, escaped DNs, and groups that contain each other. `rollcall demo` reads it, and
// source/ldap can read it like any export.
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

// Domain is the domain of the people's addresses.
const Domain = "example.com"

// LDIF returns the company on the first day.
func LDIF() []byte { return bytes.Clone(people) }

// Next returns the company on the next morning. Four people joined, three left, one is disabled, one is back, one has
// a new name and address, one moved to another unit, and some memberships changed. The changes are within the limits
// of the guards.
func Next() []byte { return bytes.Clone(next) }

// Stranger is an account that is in the tenant before the first sync.
type Stranger struct{ Address, GivenName, FamilyName string }

// Foreign are the accounts that the demonstration's tenant has before the first sync. The first has the address that
// an entry of the directory would get. The second has no counterpart there.
var Foreign = []Stranger{
	{"x-pnovak@" + Domain, "Petr", "Novák"},
	{"webmaster@" + Domain, "Web", "Master"},
}

// SampleUser is the userName of a user for trying a single-object sync.
const SampleUser = "nanh"
