package boot

import (
	"context"

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
	if err := a.recall(); err != nil {
		return nil, err
	}
	closed := a.close
	a.close = func() {
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

// recall reads from the audit log how far the decisions of each container were, so that a loss on Redis is noticed.
func (a *App) recall() error {
	if a.Process.AuditFile == "" {
		return nil
	}
	sequences, err := audit.Sequences(a.Process.AuditFile)
	for c, n := range sequences {
		a.Decisions.Saw(container.ID(c), n)
	}
	return err
}
