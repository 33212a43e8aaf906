package ledger_test

import (
	"maps"
	"slices"
	"testing"

	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/ledger"
)

// An entry that becomes pending again while a run covers it stays pending.
func TestPending(t *testing.T) {
	t.Parallel()
	l := ledger.NewRedis(redistest.Start(t), "ldap:corp")
	ref := func(id directory.ID) directory.Ref { return directory.Ref{Kind: directory.User, ID: id} }
	pending := func() ledger.Pending {
		t.Helper()
		p, err := l.Pending(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(l.Add(t.Context()))
	must(l.Add(t.Context(), ref("a"), ref("b"), ledger.Everything))
	seen := pending()
	must(l.Add(t.Context(), ref("b"), ref("c")))
	must(l.Done(t.Context(), seen))
	if got := slices.SortedFunc(maps.Keys(pending()), directory.Ref.Compare); !slices.Equal(got,
		[]directory.Ref{ref("b"), ref("c")}) {
		t.Errorf("pending = %v, want b, which was added again, and c", got)
	}
	must(l.Done(t.Context(), pending()))
	if got := pending(); len(got) != 0 {
		t.Errorf("pending = %v, want none", got)
	}
}
