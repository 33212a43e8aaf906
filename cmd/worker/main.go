// Command worker executes syncs. It reads directories, makes plans, and writes to tenants.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"rollcall/internal/boot"
	"rollcall/internal/config"
)

func main() {
	ctx, stop := boot.Signals()
	defer stop()
	if err := run(ctx, os.Getenv, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "worker:", err)
		os.Exit(1)
	}
}

// gcPercent is how much of its live data a worker may have as garbage. Go's default of 100 doubles the memory that a
// large directory takes, and saves a twentieth of the processor time. GOGC in the environment takes its place.
const gcPercent = 50

// run works until ctx ends, and then returns its unfinished jobs to the queue.
func run(ctx context.Context, getenv func(string) string, stderr io.Writer) error {
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	p, err := config.LoadProcess(getenv)
	if err != nil {
		return err
	}
	app, err := boot.Open(ctx, p, getenv, stderr)
	if err != nil {
		return err
	}
	closeApp := app.Close
	defer func() { closeApp() }()
	worker, err := app.Worker(boot.WorkerName())
	if err != nil {
		return err
	}
	// A job in progress at shutdown is returned to the queue. It is not cut off.
	if err := worker.Start(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer func() {
		if worker.Shutdown(); worker.Hung() {
			closeApp = func() {} // The process ends with the connection.
		}
	}()
	app.Log.InfoContext(ctx, "worker runs", "worker", boot.WorkerName())
	return app.ServeMetrics(ctx, p.MetricsAddr(config.WorkerMetrics))
}
