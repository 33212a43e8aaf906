package status

import (
	"regexp"
	"strconv"
	"strings"

	"rollcall/fault"
)

// ContainerKind is the kind of system that a container stands for.
type ContainerKind string

// The kinds of container, spelled as in container ids and API paths.
const (
	LDAP            ContainerKind = "ldap"
	GoogleWorkspace ContainerKind = "google_workspace"
	MicrosoftEntra  ContainerKind = "microsoft_entra"
)

// MaxSlug is the longest slug of a source, in characters: a container id then fits into the 50 characters of the
// sessions API.
const MaxSlug = 40

var slugPattern = regexp.MustCompile(`^[-a-zA-Z0-9_]+$`)

// Container is the id of one source or provider: "ldap:corp", "google_workspace:1", "microsoft_entra:2".
type Container string

// NewContainer returns the container of a kind with a slug (ldap) or a number (providers). The error is fault.Invalid.
func NewContainer(kind ContainerKind, name string) (Container, error) {
	c := Container(string(kind) + ":" + name)
	return c, c.Validate()
}

// ParseContainer reads a container id. The error is fault.Invalid.
func ParseContainer(s string) (Container, error) {
	c := Container(s)
	if err := c.Validate(); err != nil {
		return "", err
	}
	return c, nil
}

// Validate reports why c is no container id, as fault.Invalid. It accepts the canonical form only, because the id
// is part of every Redis key.
func (c Container) Validate() error {
	switch c.Kind() {
	case LDAP:
		if name := c.Name(); len(name) > MaxSlug || !slugPattern.MatchString(name) {
			return fault.Errorf(fault.Invalid, "container %q: the slug must be 1 to %d letters, digits, - or _", string(c), MaxSlug)
		}
	case GoogleWorkspace, MicrosoftEntra:
		if n, err := strconv.ParseInt(c.Name(), 10, 64); err != nil || n < 1 || strconv.FormatInt(n, 10) != c.Name() {
			return fault.Errorf(fault.Invalid, "container %q: the id must be a positive number", string(c))
		}
	default:
		return fault.Errorf(fault.Invalid, "container %q: unknown kind, want ldap:<slug>, google_workspace:<id> or microsoft_entra:<id>", string(c))
	}
	return nil
}

// Kind returns what precedes the colon.
func (c Container) Kind() ContainerKind {
	kind, _, _ := strings.Cut(string(c), ":")
	return ContainerKind(kind)
}

// Name returns what follows the colon: the slug of a source, the number of a provider.
func (c Container) Name() string {
	_, name, _ := strings.Cut(string(c), ":")
	return name
}

// IsSource reports whether c is a source, read by the first hop.
func (c Container) IsSource() bool { return c.Kind() == LDAP }

// String returns the id.
func (c Container) String() string { return string(c) }
