package status

import (
	"context"
)

// Beat records that a worker is alive for Config.WorkerTTL. A worker calls it every few seconds. Beat returns the
// names of all live workers. Queued and deferred runs are kept live only while there is one.
func (s *Store) Beat(ctx context.Context, worker string) ([]string, error) {
	return s.beat(ctx, "beat", worker)
}

// Retire records that a worker has stopped.
func (s *Store) Retire(ctx context.Context, worker string) error {
	_, err := s.beat(ctx, "retire", worker)
	return err
}

// Workers returns the names of the live workers, sorted by their last beat.
func (s *Store) Workers(ctx context.Context) ([]string, error) {
	return s.beat(ctx, "list", "")
}

func (s *Store) beat(ctx context.Context, mode, worker string) ([]string, error) {
	names, err := beatScript.Run(ctx, s.rdb, []string{workersKey}, mode, cut(worker, maxName),
		s.cfg.WorkerTTL.Milliseconds()).StringSlice()
	return names, redisFault(mode, err)
}
