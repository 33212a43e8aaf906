// Package demo has the directory of a company that does not exist, as LDIF: some 250 people and 40 nested and
// overlapping groups, with all that makes a directory awkward (names in many scripts, people without an address or with
// somebody else's, disabled accounts, escaped DNs, groups that contain each other). `rollcall demo` reads it; so can
// everybody, as source/ldap reads any export.
//
// Both files are written by the generator in gen; its comments say who is who.
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

// Next returns the company the next morning: four joined, three left, one is disabled and one is back, one has a new
// name and address, one moved to another unit, and some memberships changed. That is within the guards.
func Next() []byte { return bytes.Clone(next) }

// Stranger is an account that is in the tenant before anybody comes with a directory.
type Stranger struct{ Address, GivenName, FamilyName string }

// Foreign are those of the demonstration: one has the address that somebody in the directory would get, one has nothing
// to do with it.
var Foreign = []Stranger{
	{"x-pnovak@" + Domain, "Petr", "Novák"},
	{"webmaster@" + Domain, "Web", "Master"},
}

// Somebody is the userName of a person to try a single-object sync with.
const Somebody = "nanh"
