package boot

import (
	"context"
	"sync"
	"time"

	"rollcall/audit"
	"rollcall/container"
)

// auditLog opens the audit log of the API. It returns nil if there is neither a file nor a standard error, as in the
// demo.
func (a *App) auditLog(ctx context.Context) (audit.Sink, error) {
	if a.Process.AuditFile == "" && a.stderr == nil {
		return nil, nil
	}
	log, err := audit.Open(ctx, audit.Config{
		Path: a.Process.AuditFile, Writer: a.stderr, Keep: a.Process.AuditKeep, Heads: audit.RedisHeads{Redis: a.Redis},
		Now: a.Clock.Now,
	})
	if err != nil {
		return nil, err
	}
	if err := a.recall(ctx); err != nil {
		return nil, err
	}
	watched, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { a.watchAudit(watched, log) })
	closed := a.close
	a.close = func() {
		stop()
		watching.Wait()
		if err := log.Close(); err != nil {
			a.Log.Error("close the audit log", "err", err)
		}
		closed()
	}
	return func(ctx context.Context, r audit.Record, durable bool) (int64, error) {
		sequence, err := log.Write(ctx, r, durable)
		if err != nil {
			a.access.AuditFailures.Inc()
		}
		return sequence, err
	}, nil
}

// auditEvery is how often the whole audit log is checked.
const auditEvery = time.Hour

// watchAudit checks the audit log at the start and every hour, and tells of a break.
func (a *App) watchAudit(ctx context.Context, log *audit.Log) {
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for said, lost := "", log.Lost(); ; lost = false {
		broken, why := 0.0, ""
		err := log.Verify(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			broken, why = 1, err.Error()
		} else if lost {
			broken, why = 1, "lines at its end were missing at the start"
		}
		a.access.AuditBroken.Set(broken)
		switch {
		case why == "":
			a.Log.InfoContext(ctx, "the audit log is whole")
		case why != said:
			a.Log.ErrorContext(ctx, "the audit log is broken", "reason", why)
		}
		said = why
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// recall reads from the audit log how far the decisions of each container were, so that a loss on Redis is noticed. The
// first look at a container notes a loss for the workers.
func (a *App) recall(ctx context.Context) error {
	if a.Process.AuditFile == "" {
		return nil
	}
	sequences, err := audit.Sequences(a.Process.AuditFile)
	if err != nil {
		return err
	}
	for name, n := range sequences {
		c := container.ID(name)
		a.Decisions.Saw(c, n)
		switch kept, err := a.Decisions.Kept(ctx, c); {
		case err != nil:
			return err
		case kept.Broken != "":
			a.Log.ErrorContext(ctx, "decisions are not to be trusted", "container", c, "reason", kept.Broken)
		}
	}
	return nil
}
