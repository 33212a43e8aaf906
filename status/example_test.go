package status_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"rollcall/status"
)

// A run is started once, and one worker takes its lease. The lease checks and locks each write of the run.
func ExampleStore_Acquire() {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	defer server.Close()
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()

	ctx, store := context.Background(), status.New(rdb, status.Config{})
	run, err := store.Start(ctx, status.StartRequest{Container: "ldap:corp"})
	if err != nil {
		panic(err)
	}
	_, err = store.Start(ctx, status.StartRequest{Container: "ldap:corp"})
	var live *status.LiveError
	fmt.Println("a second start is refused:", errors.As(err, &live))

	lease, err := store.Acquire(ctx, run.Container, run.ID, run.Epoch, "worker-1")
	if err != nil {
		panic(err)
	}
	defer lease.Close()
	unlock, ok, err := lease.Lock(ctx, "user/4711")
	if err != nil || !ok {
		panic(err)
	}
	fmt.Println("may write:", lease.Check(ctx) == nil)
	unlock()
	ended, err := lease.Finish(ctx, status.End{State: status.Completed})
	if err != nil {
		panic(err)
	}
	fmt.Println(ended.State)
	// Output:
	// a second start is refused: true
	// may write: true
	// completed
}
