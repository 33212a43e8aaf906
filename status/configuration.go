package status

import (
	"context"
	"errors"
	"slices"
	"strings"

	"rollcall/container"
)

// ErrSuperseded refuses a run to a worker while another live worker has a newer configuration of the container.
var ErrSuperseded = errors.New("another worker has a newer configuration")

// Configuration says which configuration of a container counts. Each configuration has a digest. A digest gets a
// generation when it is first seen, and keeps it. Among the digests of live workers the one with the highest generation
// counts, so that workers with different files do not undo each other's work.
type Configuration struct {
	// Digest is the digest that counts. It is empty while no live worker has the container.
	Digest     string
	Generation int64
	// Workers are the live workers with this digest, sorted. Superseded are those with another digest.
	Workers    []string
	Superseded []string
	// Digests are the digests of all live workers, sorted.
	Digests []string
}

// Counts reports whether a digest counts. Each counts while no live worker has the container.
func (c Configuration) Counts(digest string) bool { return c.Digest == "" || c.Digest == digest }

// Configure records for Config.WorkerTTL that a worker has a container, with the digest of its configuration. A worker
// calls it every few seconds.
func (s *Store) Configure(ctx context.Context, c container.ID, worker, digest string) (Configuration, error) {
	return s.configure(ctx, "claim", c, worker, digest)
}

// Unconfigure takes back what Configure recorded.
func (s *Store) Unconfigure(ctx context.Context, c container.ID, worker, digest string) error {
	_, err := s.configure(ctx, "leave", c, worker, digest)
	return err
}

// Configured returns which configuration of a container counts.
func (s *Store) Configured(ctx context.Context, c container.ID) (Configuration, error) {
	return s.configure(ctx, "look", c, "", "")
}

func (s *Store) configure(ctx context.Context, mode string, c container.ID, worker, digest string) (Configuration,
	error) {
	word, rest, err := s.eval(ctx, "configure", configScript, c, mode, cut(worker, maxName), digest,
		s.cfg.WorkerTTL.Milliseconds())
	if err != nil {
		return Configuration{}, err
	}
	out := Configuration{Digest: word, Generation: parseInt(rest[0])}
	for _, member := range rest[1:] {
		digest, name, _ := strings.Cut(member, " ")
		out.Digests = append(out.Digests, digest)
		if digest == out.Digest {
			out.Workers = append(out.Workers, name)
		} else {
			out.Superseded = append(out.Superseded, name)
		}
	}
	slices.Sort(out.Workers)
	slices.Sort(out.Superseded)
	slices.Sort(out.Digests)
	out.Digests = slices.Compact(out.Digests)
	return out, nil
}
