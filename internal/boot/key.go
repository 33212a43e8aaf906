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
	"sync"

	"rollcall/decisions"
	"rollcall/internal/config"
	"rollcall/internal/secret"
)

// keyName is the name of the file with the key that signs decisions.
const keyName = "decisions.key"

// signingKeys returns the keys that sign decisions. It returns nil, and logs why, if nothing can be signed.
func signingKeys(ctx context.Context, p config.Process, log *slog.Logger) (func() ([]decisions.Key, error), error) {
	if p.RedisURL == config.Embedded {
		keys, err := decisions.ParseKeys(rand.Text() + rand.Text())
		return func() ([]decisions.Key, error) { return keys, nil }, err
	}
	path, err := keyPath(p)
	if err != nil {
		log.WarnContext(ctx, "decisions on Redis are not signed: make a key (openssl rand -hex 32) and set "+
			"ROLLCALL_DECISIONS_KEY_FILE for the API and all workers", "err", err)
		return nil, nil
	}
	f := &keyFile{path: path, strict: p.StrictFiles, log: log}
	if _, err := f.keys(); err != nil {
		return nil, err
	}
	return f.keys, nil
}

// keyPath returns the file with the key. It makes one if Redis is on this machine.
func keyPath(p config.Process) (string, error) {
	if p.DecisionsKeyFile != "" {
		return string(p.DecisionsKeyFile), nil
	}
	beside := filepath.Join(filepath.Dir(p.Config), keyName)
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	if !p.RedisIsLocal() {
		return "", errors.New("the address of Redis is on another machine")
	}
	folder, err := os.UserConfigDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(folder, "rollcall", keyName)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", err
	}
	return path, makeKey(path)
}

// makeKey makes a file with a key unless there is one. Several processes may do so at once, and the first one counts.
func makeKey(path string) error {
	if _, err := os.Stat(path); err == nil {
		return nil
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

// keyFile is a file with keys that is read again when it changes.
type keyFile struct {
	path   string
	strict bool
	log    *slog.Logger

	mu   sync.Mutex
	seen fileStamp
	last []decisions.Key
}

// keys returns the keys of the file. If it cannot be read, the last ones stay in use and the log says why.
func (f *keyFile) keys() ([]decisions.Key, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := stampOf(f.path)
	if f.last != nil && seen == f.seen {
		return f.last, nil
	}
	keys, warning, err := readKeys(f.path, f.strict)
	f.seen = seen
	switch {
	case err != nil && f.last == nil:
		return nil, err
	case err != nil:
		f.log.Error("the key that signs decisions cannot be read again: the earlier one stays in use", "err", err)
	default:
		f.last = keys
	}
	if warning != "" {
		f.log.Warn(warning)
	}
	return f.last, nil
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
