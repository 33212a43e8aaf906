package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"rollcall/api"
)

// from sends a request with a token from an address.
func (h *harness) from(addr, token, path string) response {
	r := newRequest(h.t, http.MethodGet, path, "", token)
	r.RemoteAddr = addr + ":4711"
	w := response{httptest.NewRecorder(), h.t}
	h.api.ServeHTTP(w, r)
	return w
}

// One token, or one address, has a largest number of requests within a second. Others have theirs.
func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) {
		c.MaxRequests = 3
		c.Authenticate = func(token string) (api.Caller, bool) {
			return api.Caller{Name: token, Scopes: []string{api.ScopeRead}}, token != "wrong"
		}
	})
	const path = "/api/v3/sources/ldap/"
	for _, step := range []struct {
		addr, token string
		code        int
	}{
		{"192.0.2.1", "a", 200}, {"192.0.2.1", "a", 200}, {"192.0.2.1", "wrong", 403}, {"192.0.2.1", "b", 429},
		{"192.0.2.2", "a", 200}, {"192.0.2.2", "a", 429}, {"192.0.2.3", "b", 200},
	} {
		w := h.from(step.addr, step.token, path)
		if w.Code != step.code || w.Code == 429 && (w.Header().Get("Retry-After") == "" ||
			!strings.Contains(w.Body.String(), "Too many requests")) {
			t.Errorf("%+v: %d %s", step, w.Code, w.Body)
		}
	}
	h.clock.Advance(2 * time.Second)
	h.from("192.0.2.1", "a", path).want(http.StatusOK)
}

// One token has three quarters of the explanations, and another one still gets some.
func TestOneTokenLeavesExplanationsForOthers(t *testing.T) {
	t.Parallel()
	f := &fakeExplainer{asking: make(chan struct{}), answer: make(chan struct{})}
	h := newHarness(t, nil, func(c *api.Config) {
		c.Explainer, c.MaxExplanations = f, 4
		c.Authenticate = func(token string) (api.Caller, bool) {
			return api.Caller{Name: token, Scopes: []string{api.ScopeRead}}, true
		}
	})
	var all sync.WaitGroup
	ask := func(addr, token string) {
		all.Go(func() {
			if w := h.from(addr, token, "/explain/?id=1"); w.Code != http.StatusOK {
				t.Errorf("%s: %d %s", token, w.Code, w.Body)
			}
		})
		<-f.asking
	}
	for range 3 {
		ask("192.0.2.1", "a")
	}
	h.from("192.0.2.2", "a", "/explain/?id=1").want(http.StatusTooManyRequests)
	w := h.from("192.0.2.1", "b", "/explain/?id=1").want(http.StatusTooManyRequests)
	if w.Header().Get("Retry-After") == "" {
		t.Error("no header says when to try again")
	}
	ask("192.0.2.2", "b")
	close(f.answer)
	all.Wait()
}

// BenchmarkBesideWrongTokens measures the requests of a client alone, and while another one sends 500 wrong tokens a
// second. docs/operations.md has the figures.
func BenchmarkBesideWrongTokens(b *testing.B) {
	for name, attacked := range map[string]bool{"alone": false, "beside 500 wrong tokens a second": true} {
		b.Run(name, func(b *testing.B) {
			h := newHarness(b, nil, func(c *api.Config) { c.MaxRequests = 1 << 30 })
			srv := httptest.NewServer(h.api)
			defer srv.Close()
			send := func(ctx context.Context, token string) int {
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, srv.URL+"/api/v3/sources/ldap/corp/sync/status/", nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Header.Set("Authorization", "Bearer "+token)
				resp, err := srv.Client().Do(r)
				if err != nil {
					return 0
				}
				_ = resp.Body.Close()
				return resp.StatusCode
			}
			ctx, stop := context.WithCancel(b.Context())
			var attackers sync.WaitGroup
			tick := time.NewTicker(2 * time.Millisecond)
			defer tick.Stop()
			if attacked {
				attackers.Go(func() {
					for ctx.Err() == nil {
						<-tick.C
						attackers.Go(func() { send(ctx, "wrong") })
					}
				})
			}
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				if code := send(b.Context(), readToken); code != http.StatusOK {
					b.Fatal(code)
				}
				took = append(took, time.Since(began))
			}
			stop()
			attackers.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "median-µs")
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds()), "p95-µs")
		})
	}
}
