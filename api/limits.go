package api

import (
	"net/http"
	"sync"
	"time"

	"rollcall/internal/tokens"
)

// limits keep one token, or one address, from taking what all of them need.
type limits struct {
	// requests counts those of a token and of an address.
	requests     *tokens.Counter
	mostRequests int
	// streams and explanations are open at once. One token, or one address, gets three quarters of them.
	streams, explanations *shares
}

func newLimits(cfg Config) *limits {
	return &limits{requests: tokens.NewCounter(time.Second), mostRequests: cfg.MaxRequests,
		streams:      newShares(cfg.MaxEventStreams),
		explanations: newShares(cfg.MaxExplanations)}
}

// tooMany answers a request beyond a limit.
func tooMany(what string) answer {
	return retryLater(answer{status: http.StatusTooManyRequests, body: detail{Detail: "Too many " + what +
		" of one token or address. Try again later."}}, 0)
}

// Sharers are the names under which the limits count a request: its address and, if it is known, its token.
func (a *API) Sharers(r *http.Request, token string) []string {
	names := []string{"address " + a.client(r)}
	if token != "" {
		names = append(names, "token "+token)
	}
	return names
}

// allows counts a request of a token or an address.
func (a *API) allows(name string) bool {
	return a.limits.requests.Count(name, a.now()) <= a.limits.mostRequests
}

// shares divides what may be open at once.
type shares struct {
	most int

	mu   sync.Mutex
	open map[string]int
}

func newShares(all int) *shares { return &shares{most: all - all/4, open: map[string]int{}} }

// take takes one share for each name. It returns what gives them back, or false if one of the names has too many.
func (s *shares) take(names ...string) (release func(), ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if s.open[name] >= s.most {
			return nil, false
		}
	}
	for _, name := range names {
		s.open[name]++
	}
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, name := range names {
			if s.open[name]--; s.open[name] == 0 {
				delete(s.open, name)
			}
		}
	}), true
}
