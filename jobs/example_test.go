package jobs_test

import (
	"context"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/jobs"
	"rollcall/plan"
)

// The memory of a container counts harmful changes over 24 hours, for runs and object jobs together.
func ExampleNewMemory() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()

	ctx := context.Background()
	m := jobs.NewMemory(decisions.New(rdb, decisions.Config{}), "intranet:1")
	for _, id := range []directory.ID{"4711", "4712"} {
		c := plan.Change{Op: plan.Suspend, Ref: directory.Ref{Kind: directory.User, ID: id}}
		settle, ok, err := m.Spend(ctx, &c, 1)
		if err != nil {
			panic(err)
		}
		if ok {
			settle(true)
		}
		fmt.Println(id, ok)
	}
	remembered, err := m.Load(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println("spent:", remembered.Spent.User)
	// Output:
	// 4711 true
	// 4712 false
	// spent: 1
}
