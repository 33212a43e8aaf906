package boot

import (
	"context"

	"rollcall/audit"
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
