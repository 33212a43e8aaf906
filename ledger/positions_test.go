package ledger_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/ledger"
)

func at(server string, pairs ...string) directory.Position {
	p := directory.Position{Server: server, Name: "ldap://" + server, Seen: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		p.Seen[pairs[i]] = pairs[i+1]
	}
	return p
}

func TestPositions(t *testing.T) {
	t.Parallel()
	var p ledger.Positions
	judge := func(now directory.Position, want directory.Order) {
		t.Helper()
		order, with := p.Judge(now)
		if order != want {
			t.Errorf("Judge(%v) = %v (with %v), want %v", now, order, with, want)
		}
		if order == directory.Newer {
			p.Trust(now)
		} else {
			p.Doubt(now)
		}
	}
	accept := func() {
		t.Helper()
		if _, ok := p.Accept(); !ok {
			t.Error("Accept() has nothing to accept")
		}
	}
	if _, ok := p.Accept(); ok || !p.IsZero() {
		t.Error("Accept() of nothing succeeds")
	}
	judge(directory.Position{}, directory.Newer) // a server that keeps no position
	judge(at("A", "A", "10"), directory.Newer)
	judge(at("A", "A", "10"), directory.Newer)
	judge(at("A", "A", "9"), directory.Older) // a snapshot
	judge(at("A", "A", "11"), directory.Newer)
	judge(at("B", "B", "5"), directory.Incomparable) // another server
	judge(at("B", "B", "6"), directory.Incomparable) // a doubt stays one
	judge(at("A", "A", "12"), directory.Newer)
	judge(at("B", "B", "7"), directory.Incomparable)
	accept()
	judge(at("B", "B", "8"), directory.Newer)
	judge(at("A", "A", "11"), directory.Older) // back on a known server, which was put back meanwhile
	judge(at("A", "A", "13"), directory.Newer)
	judge(at("B", "B", "9", "A", "12"), directory.Incomparable) // it lags, and that can be told
	judge(at("B", "B", "9", "A", "13"), directory.Newer)        // it has caught up
	judge(at("B", "B", "3"), directory.Older)
	accept() // restored on purpose
	judge(at("B", "B", "4"), directory.Newer)
	judge(directory.Position{Name: "ldap://B"}, directory.Incomparable) // it no longer shows its position
	accept()
	judge(directory.Position{Name: "ldap://B"}, directory.Newer)

	p.Trust(at("A", "A", "100", "B", "50")) // two servers that replicate
	judge(at("B", "A", "90", "B", "60"), directory.Incomparable)
	judge(at("B", "A", "99", "B", "70"), directory.Incomparable)
	judge(at("A", "A", "110", "B", "60"), directory.Newer) // the first one is read again
	judge(at("B", "A", "105", "B", "80"), directory.Incomparable)
	judge(at("B", "A", "110", "B", "90"), directory.Newer)        // it has caught up
	judge(at("A", "A", "120", "B", "85"), directory.Incomparable) // the lag the other way round
	judge(at("A", "A", "121", "B", "90"), directory.Newer)
	judge(at("B", "A", "115", "B", "99"), directory.Incomparable) // the first one is retired with its last changes
	accept()
	judge(at("B", "A", "115", "B", "100"), directory.Newer)

	p.Trust(at("A", "A", "1"))
	p.Doubt(at("B", "B", "2"))
	text, err := json.Marshal(ledger.Facts{Positions: p})
	var back ledger.Facts
	if err == nil {
		err = json.Unmarshal(text, &back)
	}
	if diff := cmp.Diff(p, back.Positions); err != nil || diff != "" {
		t.Errorf("facts as JSON: %v (-want +got):\n%s", err, diff)
	}
}

// TestAKnownServerIsComparedWithItself checks law 2 where a server without a position was accepted. A server that is
// read again is compared with its own last position, and an unknown one is in doubt.
func TestAKnownServerIsComparedWithItself(t *testing.T) {
	t.Parallel()
	silent := directory.Position{Name: "ldap://C"}
	for _, c := range []struct {
		name string
		now  directory.Position
		want directory.Order
	}{
		{"older than itself", at("A", "A", "9"), directory.Older},
		{"as new as itself", at("A", "A", "10"), directory.Newer},
		{"newer than itself", at("A", "A", "11"), directory.Newer},
		{"the other known server, older than itself", at("B", "B", "4"), directory.Older},
		{"unknown", at("D", "D", "100"), directory.Incomparable},
		{"the accepted one", silent, directory.Newer},
	} {
		var p ledger.Positions
		p.Trust(at("B", "B", "5"))
		p.Trust(at("A", "A", "10"))
		p.Doubt(silent)
		p.Accept()
		if order, with := p.Judge(c.now); order != c.want {
			t.Errorf("%s: Judge() = %v (with %v), want %v", c.name, order, with, c.want)
		}
	}
}
