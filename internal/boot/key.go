package boot

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/internal/config"
	"rollcall/internal/redisfault"
	"rollcall/internal/secret"
	"rollcall/internal/stored"
)

// keyName is the name of the file with the key that signs decisions.
const keyName = "decisions.key"

// signing is what signs decisions. Without keys nothing is signed.
type signing struct {
	keys func() ([]decisions.Key, error)
	// path is the file with the keys; empty for a Redis inside this process.
	path string

	mu    sync.Mutex
	aside string
}

// signingKeys returns the keys that sign decisions, and makes one if Redis is on this machine and there is none. It
// logs why nothing can be signed.
func signingKeys(ctx context.Context, p config.Process, log *slog.Logger) (*signing, error) {
	if strings.HasPrefix(p.RedisURL, config.Embedded) {
		keys, err := decisions.ParseKeys(rand.Text() + rand.Text())
		return &signing{keys: func() ([]decisions.Key, error) { return keys, nil }}, err
	}
	path, own, err := keyPath(p)
	if err == nil && own {
		err = makeKey(path)
	}
	if err != nil {
		log.WarnContext(ctx, "decisions on Redis are not signed: make a key (openssl rand -hex 32) and set "+
			"ROLLCALL_DECISIONS_KEY_FILE for the API and all workers", "err", err)
		return &signing{}, nil
	}
	f := &reread[[]decisions.Key]{files: []string{path},
		read: func() ([]decisions.Key, error) {
			keys, warning, err := readKeys(path, p.StrictFiles)
			if warning != "" {
				log.Warn(warning)
			}
			return keys, err
		},
		failed: func(err error) {
			log.Error("the key that signs decisions cannot be read again: the earlier one stays in use", "err", err)
		}}
	_, err = f.get()
	return &signing{keys: f.get, path: path}, err
}

// keyInUse has the id of the key that signs, and the host and file of a process with it. Processes with this key as
// their first one keep it from expiring.
var keyInUse = stored.Prefix("keys") + "signing"

const (
	// keyTime is how long a key stays in use after the last process with it has ended.
	keyTime = time.Minute
	// keyEvery is how often a process looks which key is in use.
	keyEvery = keyTime / 4
)

// Aside says that another key is in use, so that this process must not decide and takes no task; else it is empty.
func (s *signing) Aside() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.aside
}

// keep looks which key is in use until ctx ends, and logs when the process stands aside because of it.
func (s *signing) keep(ctx context.Context, rdb redis.UniversalClient, log *slog.Logger) {
	tick := time.NewTicker(keyEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		was := s.Aside()
		switch err := s.note(ctx, rdb); {
		case ctx.Err() != nil:
			return
		case err != nil:
			log.WarnContext(ctx, "the key in use is not known", "err", err)
		case was == "" && s.Aside() != "":
			log.ErrorContext(ctx, "the process stands aside", "reason", s.Aside())
		case was != "" && s.Aside() == "":
			log.InfoContext(ctx, "the process takes part again")
		}
	}
}

// note puts the key of this process into use if none is, and stands aside if it does not have the one in use.
func (s *signing) note(ctx context.Context, rdb redis.UniversalClient) error {
	if s.path == "" {
		return nil
	}
	keys, err := s.keys()
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	mine := keys[0].ID() + " " + host + ":" + s.path
	first, err := rdb.SetNX(ctx, keyInUse, mine, keyTime).Result()
	if err != nil {
		return redisfault.Of("note the key", err)
	}
	noted := mine
	if !first {
		if noted, err = rdb.Get(ctx, keyInUse).Result(); err != nil && !errors.Is(err, redis.Nil) {
			return redisfault.Of("read which key signs", err)
		}
	}
	aside := s.other(noted, keys)
	s.mu.Lock()
	s.aside = aside
	s.mu.Unlock()
	if id, _, _ := strings.Cut(noted, " "); id == keys[0].ID() {
		return redisfault.Of("note the key", rdb.Expire(ctx, keyInUse, keyTime).Err())
	}
	// A process of an earlier version noted its key without an end.
	left, err := rdb.TTL(ctx, keyInUse).Result()
	if err == nil && left == -1 {
		err = rdb.Expire(ctx, keyInUse, keyTime).Err()
	}
	return redisfault.Of("note the key", err)
}

// other says that the key in use is not among these; else it returns an empty string.
func (s *signing) other(noted string, keys []decisions.Key) string {
	id, file, _ := strings.Cut(noted, " ")
	if noted == "" || slices.ContainsFunc(keys, func(k decisions.Key) bool { return k.ID() == id }) {
		return ""
	}
	return fmt.Sprintf("a process of this Redis signs decisions with the key in %q, and this one has another key in "+
		"%q. Copy one of the files, and set ROLLCALL_DECISIONS_KEY_FILE to it for the API and all "+
		"workers", file, s.path)
}

// checkKey returns what is wrong with the key of a process. It makes none.
func checkKey(ctx context.Context, p config.Process, rdb redis.UniversalClient) (string, error) {
	path, own, err := keyPath(p)
	if err != nil {
		return "", nil //nolint:nilerr // Without a key a process warns at its start.
	}
	if _, err := os.Stat(path); err != nil && own {
		return "", nil
	}
	keys, _, err := readKeys(path, p.StrictFiles)
	if err != nil {
		return "", err
	}
	noted, err := rdb.Get(ctx, keyInUse).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", redisfault.Of("read which key signs", err)
	}
	return (&signing{path: path}).other(noted, keys), nil
}

// keyPath returns the file with the key. own is set if a process makes it by itself, because Redis is on this machine.
func keyPath(p config.Process) (path string, own bool, err error) {
	if p.DecisionsKeyFile != "" {
		return string(p.DecisionsKeyFile), false, nil
	}
	beside := filepath.Join(filepath.Dir(p.Config), keyName)
	if _, err := os.Stat(beside); err == nil {
		return beside, false, nil
	}
	if !p.RedisIsLocal() {
		return "", false, errors.New("the address of Redis is on another machine")
	}
	folder, err := os.UserConfigDir()
	return filepath.Join(folder, "rollcall", keyName), true, err
}

// makeKey makes a file with a key unless there is one. Several processes may do so at once, and the first one counts.
func makeKey(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), keyName) // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = fmt.Fprintln(f, rand.Text()+rand.Text())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

func readKeys(path string, strict bool) ([]decisions.Key, string, error) {
	text, warning, err := secret.FromFile(path, strict)
	if err != nil {
		return nil, "", fmt.Errorf("ROLLCALL_DECISIONS_KEY_FILE: %w", err)
	}
	keys, err := decisions.ParseKeys(text.Reveal())
	if err != nil {
		return nil, "", fmt.Errorf("ROLLCALL_DECISIONS_KEY_FILE: %s: %w", path, err)
	}
	return keys, warning, nil
}
