// Command api serves the HTTP API. It enqueues jobs and shows their results.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/internal/boot"
	"rollcall/internal/config"
)

func main() {
	ctx, stop := boot.Signals()
	defer stop()
	if err := run(ctx, os.Getenv, os.Stderr, nil); err != nil {
		fmt.Fprintln(os.Stderr, "api:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends. It sends the address of the API to ready, which may be nil.
func run(ctx context.Context, getenv func(string) string, stderr io.Writer, ready func(net.Addr)) error {
	p, err := config.LoadProcess(getenv)
	if err != nil {
		return err
	}
	app, err := boot.OpenAPI(ctx, p, getenv, stderr)
	if err != nil {
		return err
	}
	defer app.Close()
	known, err := app.Tokens()
	if err != nil {
		return err
	}
	srv, err := app.API(ctx, known)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return boot.Serve(ctx, srv, 12*time.Second, func(addr net.Addr) {
			app.Log.InfoContext(ctx, "api listens", "addr", addr.String())
			if ready != nil {
				ready(addr)
			}
		})
	})
	g.Go(func() error { return app.ServeMetrics(ctx, p.MetricsAddr(config.APIMetrics)) })
	return g.Wait()
}
