// Package container names sources and providers. A container id is part of Redis keys, of paths and of messages.
package container

import (
	"regexp"
	"strconv"
	"strings"

	"rollcall/fault"
)

// LDAP is the kind of every source. Every other kind is a type of provider.
const LDAP = "ldap"

// MaxSlug is the longest slug of a source, in characters. It makes a container id fit into the 50 characters of the
// sessions API.
const MaxSlug = 40

var (
	slugPattern = regexp.MustCompile(`^[-a-zA-Z0-9_]+$`)
	kindPattern = regexp.MustCompile(`^[a-z][a-z0-9_]{0,24}$`)
)

// ID is the id of one source or provider, such as "ldap:corp", "google_workspace:1" or "microsoft_entra:2".
type ID string

// Source returns the id of a source.
func Source(slug string) ID { return ID(LDAP + ":" + slug) }

// Provider returns the id of a provider of a type.
func Provider(kind string, number int) ID { return ID(kind + ":" + strconv.Itoa(number)) }

// Parse reads a container id. The error is fault.Invalid.
func Parse(s string) (ID, error) {
	c := ID(s)
	if err := c.Validate(); err != nil {
		return "", err
	}
	return c, nil
}

// Validate reports why c is not a container id, as fault.Invalid. It accepts the canonical form only, because the id
// is part of every Redis key. It does not check whether the type of provider exists.
func (c ID) Validate() error {
	switch {
	case c.IsSource():
		if name := c.Name(); len(name) > MaxSlug || !slugPattern.MatchString(name) {
			return fault.Errorf(fault.Invalid, "container %q: the slug must be 1 to %d letters, digits, - or _", string(c),
				MaxSlug)
		}
	case kindPattern.MatchString(c.Kind()) && strings.Contains(string(c), ":"):
		if n, err := strconv.ParseInt(c.Name(), 10, 64); err != nil || n < 1 || strconv.FormatInt(n, 10) != c.Name() {
			return fault.Errorf(fault.Invalid, "container %q: the id must be a positive number", string(c))
		}
	default:
		return fault.Errorf(fault.Invalid,
			"container %q: want ldap:<slug> for a source, or <type>:<id> for a provider, such as google_workspace:1", string(c))
	}
	return nil
}

// Kind returns the text before the colon, which is LDAP or the type of a provider.
func (c ID) Kind() string {
	kind, _, _ := strings.Cut(string(c), ":")
	return kind
}

// Name returns the text after the colon, which is the slug of a source or the number of a provider.
func (c ID) Name() string {
	_, name, _ := strings.Cut(string(c), ":")
	return name
}

// IsSource reports whether c is a source, read by the first hop.
func (c ID) IsSource() bool { return c.Kind() == LDAP }

// String returns the id.
func (c ID) String() string { return string(c) }
