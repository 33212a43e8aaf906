package session_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"sync"
	"testing"
	"time"
)

// Wrong ID tokens keep no right one out, and the provider is not asked for its keys by each of them, nor while it does
// not answer.
func TestWrongIDTokensKeepNoRightOneOut(t *testing.T) {
	t.Parallel()
	began := time.Now()
	e := newEntrance(t, "groups")
	if _, known := e.people.Bearer(t.Context(), e.op.token("")); !known {
		t.Fatal("a right token is refused")
	}
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e.op.sign = other
	wrong := e.op.token("w")
	e.op.sign = nil
	e.op.hang.Store(true)
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, known := e.people.Bearer(ctx, wrong); known {
					t.Error("a wrong token is accepted")
				}
			}
		})
	}
	for n := range 50 {
		e.op.claims = map[string]any{"sub": fmt.Sprint("u-", n)} // Each is verified anew.
		if _, known := e.people.Bearer(t.Context(), e.op.token("")); !known {
			t.Errorf("right token %d is refused", n)
		}
	}
	stop()
	e.op.hang.Store(false)
	e.op.CloseClientConnections()
	all.Wait()
	most := 3 + int64(time.Since(began)/(5*time.Second)) // Once in this time, see keys.
	if n := e.op.keysAsked.Load(); n > most {
		t.Errorf("the provider was asked for its keys %d times, want at most %d", n, most)
	}
}
