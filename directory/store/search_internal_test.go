package store

import (
	"fmt"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/internal/redistest"
)

// TestASearchThatReachedTheEndIsWholeHoweverLate has all ids in one page, and then more than fit in one.
func TestASearchThatReachedTheEndIsWholeHoweverLate(t *testing.T) {
	t.Parallel()
	p := New(Config{Redis: redistest.Start(t), Slug: "corp"})
	for _, tc := range []struct {
		ids   int
		whole bool
	}{{1, true}, {4 * searchScan, false}} {
		fields := make([]any, 0, 2*tc.ids)
		for i := range tc.ids {
			fields = append(fields, fmt.Sprint("user/u", i), "digest")
		}
		if err := p.rdb.HSet(t.Context(), p.keys.digest, fields...).Err(); err != nil {
			t.Fatal(err)
		}
		found := 0
		whole, err := p.idsBeginning(t.Context(), directory.User, "u", time.Time{}, func(directory.Ref) bool {
			found++
			return true
		})
		if err != nil || whole != tc.whole || found == 0 {
			t.Errorf("of %d ids, %d were found: whole = %v, %v", tc.ids, found, whole, err)
		}
	}
}
