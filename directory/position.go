package directory

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Position says how far a server had come when it was read. It names the server and the number of the server's last
// change. It is noted before the read begins, so the data that was read is at least as new. The zero Position belongs
// to a source that does not report one.
type Position struct {
	// Server identifies the server that was read, such as the invocationId of a domain controller. Two positions with
	// the same Server are compared by its own number alone, if it has one. It is empty in directories where servers
	// have numbers only.
	Server string `json:"server,omitempty"`
	// Name is the display name of the server, for messages. It consists of its URI and family.
	Name string `json:"name,omitempty"`
	// Seen maps each origin of changes (a domain controller, a server ID) to the number of its last change that the
	// server had. The numbers of one origin only grow. They are either decimal or texts of one length.
	Seen map[string]string `json:"seen,omitempty"`
	// Changed is the time of the last of these changes. It is zero if the numbers do not contain a time.
	Changed time.Time `json:"changed,omitzero"`
}

// Order is the result of comparing two positions.
type Order int8

// The orders. Incomparable positions have no origin of changes in common. Diverged positions have one, but each has
// changes that the other lacks.
const (
	Incomparable Order = iota
	Older
	Same
	Newer
	Diverged
)

// String returns the order in words.
func (o Order) String() string {
	return [...]string{"incomparable", "older", "the same", "newer", "diverged"}[o]
}

// IsZero reports whether the position is unknown.
func (p Position) IsZero() bool { return len(p.Seen) == 0 }

// Compare says how p compares with o. It returns Newer if p has every change that o has, and more. An origin that a
// position does not have counts as number zero, because changes are only added.
func (p Position) Compare(o Position) Order {
	if p.IsZero() || o.IsZero() {
		return Incomparable
	}
	if p.Server != "" && p.Server == o.Server && p.Seen[p.Server] != "" && o.Seen[p.Server] != "" {
		return order(compareNumbers(p.Seen[p.Server], o.Seen[p.Server]))
	}
	more, less, common := false, false, false
	for origin, n := range p.Seen {
		c := compareNumbers(n, o.Seen[origin])
		more, less = more || c > 0, less || c < 0
		common = common || o.Seen[origin] != ""
	}
	for origin := range o.Seen {
		less = less || p.Seen[origin] == ""
	}
	switch {
	case !common:
		return Incomparable
	case more && less:
		return Diverged
	case more:
		return Newer
	case less:
		return Older
	}
	return Same
}

func order(c int) Order { return Same + Order(c) } //nolint:gosec // -1, 0 or 1

// compareNumbers compares two numbers of one origin. An empty number is less than any other.
func compareNumbers(a, b string) int {
	if decimal(a) && decimal(b) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if c := cmp.Compare(len(a), len(b)); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

func decimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String names the server and its numbers, with the server's own number first.
func (p Position) String() string {
	if p.IsZero() {
		return strings.TrimSpace(p.Name + " (position unknown)")
	}
	origins := slices.SortedFunc(maps.Keys(p.Seen), func(a, b string) int {
		switch p.Server {
		case a:
			return -1
		case b:
			return 1
		}
		return strings.Compare(a, b)
	})
	const most = 4
	var parts []string
	for i, origin := range origins {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(origins)-most))
			break
		}
		parts = append(parts, origin+" at "+p.Seen[origin])
	}
	text := p.Name + " (" + strings.Join(parts, ", ")
	if !p.Changed.IsZero() {
		text += ", last change " + p.Changed.UTC().Format(time.RFC3339)
	}
	return text + ")"
}
