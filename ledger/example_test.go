package ledger_test

import (
	"context"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/ledger"
	"rollcall/plan"
)

// The ledger of a container relates each entry to its remote object.
func ExampleRedis() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()

	ctx, ada := context.Background(), directory.Ref{Kind: directory.User, ID: "4711"}
	l := ledger.NewRedis(rdb, "intranet:1")
	if err := l.PutLinks(ctx, map[directory.Ref]plan.Link{ada: {RemoteID: "account-1"}}); err != nil {
		panic(err)
	}
	links, err := l.Links(ctx)
	if err != nil {
		panic(err)
	}
	fmt.Println(links[ada].RemoteID)
	// Output: account-1
}
