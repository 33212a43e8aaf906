package directory_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"rollcall/directory"
)

func position(server string, pairs ...string) directory.Position {
	p := directory.Position{Server: server, Name: "ldap://" + server, Seen: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		p.Seen[pairs[i]] = pairs[i+1]
	}
	return p
}

func TestPositionCompare(t *testing.T) {
	t.Parallel()
	const csn1, csn2 = "20261129080000.000000Z#000000#001#000000", "20261129090000.000000Z#000000#001#000000"
	for _, tc := range []struct {
		name string
		a, b directory.Position
		want directory.Order
	}{
		{"a snapshot of a controller", position("A", "A", "4854"), position("A", "A", "4857"), directory.Older},
		{"numbers, not texts", position("A", "A", "10000"), position("A", "A", "9999"), directory.Newer},
		{"its own number decides", position("A", "A", "5000"), position("A", "A", "4857", "B", "10"), directory.Newer},
		{"two controllers without vectors", position("B", "B", "200"), position("A", "A", "4857"), directory.Incomparable},
		{"a controller that has all of the other's", position("B", "B", "200", "A", "4857"),
			position("A", "A", "4857", "B", "150"), directory.Newer},
		{"a controller that lags", position("B", "B", "200", "A", "4800"), position("A", "A", "4857", "B", "150"),
			directory.Diverged},
		{"a controller that lags and has nothing of its own", position("B", "B", "150", "A", "4800"),
			position("A", "A", "4857", "B", "150"), directory.Older},
		{"a restored controller with a new invocation", position("C", "C", "4860"), position("A", "A", "4857"),
			directory.Incomparable},
		{"the same CSN", position("", "001", csn1), position("", "001", csn1), directory.Same},
		{"a replica an hour behind", position("", "001", csn1), position("", "001", csn2), directory.Older},
		{"a new server ID", position("", "001", csn1, "002", csn2), position("", "001", csn1), directory.Newer},
		{"unknown", directory.Position{}, position("A", "A", "1"), directory.Incomparable},
	} {
		if got := tc.a.Compare(tc.b); got != tc.want {
			t.Errorf("%s: Compare() = %v, want %v", tc.name, got, tc.want)
		}
	}
	text := position("B", "A", "1", "B", "2", "C", "3", "D", "4", "E", "5").String()
	if !strings.Contains(text, "(B at 2, A at 1") || !strings.Contains(text, "1 more") {
		t.Errorf("String() = %q, want the server's own number first and the last ones counted", text)
	}
}

// TestPositionLaws checks over random histories that comparing is antisymmetric and transitive. A server that only
// adds changes is never older than it was.
func TestPositionLaws(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	random := func() directory.Position {
		p := position([]string{"", "a", "b"}[r.IntN(3)])
		for _, origin := range []string{"a", "b", "c"} {
			if n := r.IntN(4); n > 0 {
				p.Seen[origin] = fmt.Sprint(n + 8) // 9 and 10 have another number of digits
			}
		}
		if p.Server != "" && p.Seen[p.Server] == "" {
			p.Seen[p.Server] = "1"
		}
		return p
	}
	mirror := map[directory.Order]directory.Order{
		directory.Incomparable: directory.Incomparable, directory.Older: directory.Newer, directory.Same: directory.Same,
		directory.Newer:    directory.Older,
		directory.Diverged: directory.Diverged,
	}
	for range 20_000 {
		x, y, z := random(), random(), random()
		if x.Compare(y) != mirror[y.Compare(x)] {
			t.Fatalf("%v is %v than %v, which is %v", x, x.Compare(y), y, y.Compare(x))
		}
		// Only vectors without a server's own number are compared completely, so only their order is transitive.
		x.Server, y.Server, z.Server = "", "", ""
		if x.Compare(y) == directory.Newer && y.Compare(z) == directory.Newer && x.Compare(z) == directory.Older {
			t.Fatalf("%v is newer than %v, that than %v, and the first is older than the last", x, y, z)
		}
		later := position(x.Server)
		for origin, n := range x.Seen {
			later.Seen[origin] = n + "0"
		}
		if !x.IsZero() && later.Compare(x) != directory.Newer {
			t.Fatalf("%v with more changes is %v", x, later.Compare(x))
		}
	}
}
