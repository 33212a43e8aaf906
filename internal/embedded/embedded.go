// Package embedded has a Redis for commands that need none of their own: the demo, and plans without an installation.
// Its state is lost when the process ends. The API and the worker are not linked with it.
package embedded

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"

	"rollcall/internal/config"
)

// Start starts a Redis in this process, on loopback so that asynqmon and redis-cli can look into it. It returns the URL
// and what stops it.
func Start(log *slog.Logger) (url string, stop func(), err error) {
	m := miniredis.NewMiniRedis()
	if err := m.StartAddr("127.0.0.1:0"); err != nil {
		return "", nil, fmt.Errorf("start the embedded redis: %w", err)
	}
	log.Warn("the redis is embedded: its state is lost at exit", "addr", m.Addr())
	// The embedded server has no clock of its own. Keys expire when its clock is advanced.
	end, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		const step = 100 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		last := time.Now()
		for {
			select {
			case now := <-tick.C:
				m.FastForward(now.Sub(last))
				last = now
			case <-end:
				return
			}
		}
	}()
	return config.Embedded + m.Addr(), sync.OnceFunc(func() {
		close(end)
		<-stopped
		m.Close()
	}), nil
}
