package status_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/status"
)

// A program that asks for one entry again and again must not lock it for good.
func TestManyJobsWaitForOneEntry(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		f := open(t, rdb, status.Config{})
		const many = 10_000
		waiting := make([]any, many)
		for i := range waiting {
			waiting[i] = fmt.Sprint("job ", i)
		}
		if _, err := f.Enter(t.Context(), google, status.User, "u1", "first"); err != nil {
			t.Fatal(err)
		}
		if err := rdb.SAdd(t.Context(), "rollcall:{google_workspace:1}:dirty:user:u1", waiting...).Err(); err != nil {
			t.Fatal(err)
		}
		turn, err := f.Leave(t.Context(), google, status.User, "u1", "first")
		if err != nil || !turn.Go || len(turn.For) != many {
			t.Fatalf("Leave() = %v for %d, %v; want another turn for %d", turn.Go, len(turn.For), err, many)
		}
		turn, err = f.Enter(t.Context(), google, status.User, "u1", "first")
		if err != nil || !turn.Go || len(turn.For) != many {
			t.Errorf("Enter() = %v for %d, %v; want the turn back for %d", turn.Go, len(turn.For), err, many)
		}
	})
}
