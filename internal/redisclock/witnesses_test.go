package redisclock_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"rollcall/internal/redisclock"
	"rollcall/internal/redistest"
)

// The time of a tenant tells whether the clock of Redis or that of this host is wrong.
func TestWitnesses(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	const month = 31 * 24 * time.Hour
	for name, tt := range map[string]struct {
		host, tenant time.Duration // ahead of Redis
		want         string        // whose clock is wrong; empty where the clocks agree
		redis        bool
		cached       bool
		// other is a second tenant, which is that much ahead of Redis. The clock of the tenant is only named then, and
		// stops no source.
		other *time.Duration
		named bool
	}{
		"all agree":                     {host: time.Second, tenant: -2 * time.Second},
		"a small difference":            {tenant: 4 * time.Minute},
		"the host is wrong":             {host: 2 * time.Hour},
		"Redis is wrong":                {host: month, tenant: month, want: "of the host of Redis", redis: true},
		"Redis is behind by a minute":   {host: time.Minute, tenant: time.Minute, redis: true},
		"Redis and the host are wrong":  {tenant: -month, want: "of the hosts of Redis and of the workers, or that of"},
		"three times":                   {host: time.Hour, tenant: -time.Hour, want: "of all hosts"},
		"the answer of a cache is none": {tenant: -month, cached: true},
		"one of two tenants is wrong":   {tenant: month, want: "clock of the tenant", other: new(time.Second), named: true},
		"both tenants are wrong":        {tenant: month, want: "of the hosts of Redis and of", other: new(month)},
		"the host and one tenant":       {host: time.Hour, tenant: -month, want: "of all hosts", other: new(time.Second)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := redisclock.New(rdb, func() time.Time { return time.Now().Round(0).Add(tt.host) })
			if err := c.Measure(t.Context()); err != nil {
				t.Fatal(err)
			}
			w := redisclock.NewWitnesses(c)
			if !w.Due() || says(w, "") != "" {
				t.Error("without an answer: it is not due, or the clocks disagree")
			}
			answers(t, w, "scim:1", tt.tenant, tt.cached)
			if tt.other != nil {
				answers(t, w, "scim:3", *tt.other, false)
			}
			got, counts := w.Disagreement("scim:1")
			if !strings.Contains(got, tt.want) || (got == "") != (tt.want == "") || counts != (tt.want != "" && !tt.named) {
				t.Errorf("Disagreement() = %q, %v, want %q", got, counts, tt.want)
			}
			if ahead, seen := w.Ahead()["scim:1"]; seen == tt.cached || seen && (ahead-tt.tenant).Abs() > redisclock.Near {
				t.Errorf("Ahead() = %v, %v, want %v", ahead, seen, tt.tenant)
			}
			want := tt.want
			if tt.other != nil && *tt.other < month {
				want = ""
			}
			if got := says(w, ""); !strings.Contains(got, want) || (got == "") != (want == "") {
				t.Errorf("Disagreement() of all = %q, want %q", got, want)
			}
			if got := says(w, "scim:2"); got != "" {
				t.Errorf("Disagreement() of another tenant = %q, want none", got)
			}
			if got := w.RedisIsWrong(); got != tt.redis {
				t.Errorf("RedisIsWrong() = %v, want %v", got, tt.redis)
			}
			if w.Due() != tt.cached {
				t.Errorf("Due() = %v after an answer", w.Due())
			}
		})
	}
}

func says(w *redisclock.Witnesses, tenant string) string {
	text, _ := w.Disagreement(tenant)
	return text
}

// answers has a tenant answer once.
func answers(t *testing.T, w *redisclock.Witnesses, tenant string, ahead time.Duration, cached bool) {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		rw.Header().Set("Date", time.Now().Add(ahead).UTC().Format(http.TimeFormat))
		if cached {
			rw.Header().Set("Age", "3")
		}
	}))
	defer srv.Close()
	client := http.Client{Transport: w.Wrap(tenant, http.DefaultTransport)}
	resp, err := client.Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
}
