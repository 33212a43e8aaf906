package api_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/status"
)

// A filter picks sessions. The letters are those of four: p is pending, c completed an hour before, f failed two hours
// before, and x was cancelled three hours before without a worker.
func TestSessionFilters(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	letters := map[string]string{}
	add := func(letter string, end func(status.Run)) {
		run := h.start(corp)
		letters[run.ID] = letter
		end(run)
	}
	add("x", func(status.Run) {
		if _, err := h.store.Cancel(t.Context(), corp, "ops"); err != nil {
			t.Fatal(err)
		}
	})
	h.clock.Advance(time.Hour)
	add("f", func(run status.Run) { h.finish(run, status.End{State: status.Failed, FailReason: "no"}, nil) })
	h.clock.Advance(time.Hour - 90*time.Second)
	add("c", func(run status.Run) { h.finish(run, status.End{State: status.Completed}, nil) })
	h.clock.Advance(time.Hour - 90*time.Second)
	add("p", func(status.Run) {})
	for filter, want := range map[string]string{
		"":                                    "pcfx",
		"  ":                                  "pcfx",
		"status = COMPLETED":                  "c",
		`status = "COMPLETED"`:                "c",
		`status='COMPLETED'`:                  "c",
		"status:FAILED":                       "fx",
		"status != FAILED":                    "pc",
		"NOT status = FAILED":                 "pc",
		"-status:FAILED":                      "pc",
		"status=COMPLETED OR status=PENDING":  "pc",
		"status = (COMPLETED OR PENDING)":     "pc",
		"status = SESSION_STATUS_UNSPECIFIED": "",
		"status = OPENED":                     "",
		"status = FAILED AND agentId = \"worker-1\"": "f",
		"status = FAILED agentId = \"worker-1\"":     "f",
		"agentId:*":                                  "cf",
		"agentId = \"wor*1\"":                        "cf",
		"agentId = \"wor*2\"":                        "",
		"agentId:ork":                                "cf",
		"agentId = \"\"":                             "px",
		"agentId != \"worker-1\"":                    "px",
		"syncMode = FULL_SYNC":                       "pcfx",
		"syncMode = \"DELTA\"":                       "",
		"sessionType = AD_SYNC":                      "pcfx",
		"sessionType = SESSION_TYPE_UNSPECIFIED":     "",
		`createdAt = "2026-03-01T09:30:00Z"`:         "x",
		`createdAt > "2026-03-01T09:30:00Z"`:         "pcf",
		`createdAt >= "2026-03-01T10:30:00+01:00"`:   "pcfx",
		`createdAt < "2026-03-01T11:30:00.001Z" AND createdAt != "2026-03-01T09:30:00.000Z"`: "cf",
		`createdAt <= timestamp("2026-03-01T10:30:00Z")`:                                     "fx",
		"closedAt:*":                            "cfx",
		"NOT closedAt:*":                        "p",
		`closedAt > "2026-03-01T10:00:00Z"`:     "cf",
		`closedAt != "2026-03-01T09:30:00Z"`:    "cf",
		`NOT closedAt > "2026-03-01T10:00:00Z"`: "px",
		"(status = FAILED OR status = PENDING) AND NOT (agentId:* OR closedAt:*)": "p",
		// OR binds more closely than AND (AIP-160).
		"status = FAILED AND agentId:* OR status = PENDING": "f",
	} {
		var got strings.Builder
		for _, s := range h.sessions("filter", filter).GetSessions() {
			got.WriteString(letters[s.GetSessionId()])
		}
		if got.String() != want {
			t.Errorf("%q picks %q, want %q", filter, got.String(), want)
		}
	}
}

func TestSessionFiltersThatAreWrong(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	for filter, word := range map[string]string{
		"state = COMPLETED": "state", "Status = COMPLETED": "Status", "created_at = \"2026-03-01T09:30:00Z\"": "created_at",
		"a.b = c":       "fields",
		"status = DONE": "DONE", "status = completed": "completed", "status = \"\"": "status", "status < COMPLETED": "<",
		"status": "condition", "COMPLETED": "condition",
		"COMPLETED = status": "COMPLETED", "status = 3": "status", "syncMode = FULL": "FULL", "sessionType = AD": "AD",
		"agentId > \"a\"":       ">",
		"createdAt > yesterday": "RFC 3339", "createdAt > \"yesterday\"": "RFC 3339",
		"createdAt > 2026-03-01T09:30:00Z": "column 17", "createdAt = \"2026-03-01\"": "RFC 3339",
		"createdAt:\"2026-03-01T09:30:00Z\"": "createdAt:*", "createdAt > *": "createdAt",
		"status != (FAILED OR PENDING)": "!=",
		"status = COMPLETED AND":        "", "status = (COMPLETED": "", "status = \"COMPLETED": "unterminated",
		"= COMPLETED":         "",
		"status == COMPLETED": "",
		"now() = x":           "fields", "exists(status)": "exists", "AND(status = FAILED)": "", "status = \xff": "",
		"status = COMPLETED)": "",
		"agentId = worker-1":  "", strings.Repeat("(", 1000): "", strings.Repeat("f(", 500): "",
		strings.Repeat("NOT ", 250):            "",
		strings.Repeat("-(", 495) + "status=x": "",
	} {
		w := h.get(sessionsQuery("filter", filter))
		w.wantStatus(http.StatusBadRequest, 3, "filter", word)
		if w.Body.Len() > 2500 {
			t.Errorf("the message about %.40q has %d bytes", filter, w.Body.Len())
		}
	}
	deep := strings.Repeat("(", 480) + "status=OPENED" + strings.Repeat(")", 480)
	h.sessions("filter", deep)
}

// trips counts round trips to Redis.
type trips struct{ n atomic.Int64 }

func (c *trips) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { c.n.Add(1); return next(ctx, cmd) }
}
func (c *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { c.n.Add(int64(len(cmds))); return next(ctx, cmds) }
}

// fill puts n closed sessions into the list of corp. One of ten failed, one of 5,000 was by a worker of its own.
func fill(t testing.TB, rdb *redis.Client, n int) {
	t.Helper()
	const step = 5000
	for from := 0; from < n; from += step {
		_, err := rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
			for i := from; i < min(n, from+step); i++ {
				id, state, worker := fmt.Sprintf("00000000-0000-0000-0000-%012d", i), status.Completed, "w"
				if i%10 == 5 {
					state = status.Failed
				}
				if i%5000 == 7 {
					worker = "rare"
				}
				p.HSet(t.Context(), "rollcall:{ldap:corp}:run:"+id, "id", id, "state", string(state), "seq", i+1, "worker", worker,
					"created_at", i+1, "finished_at", i+2, "mode", "full")
				p.ZAdd(t.Context(), "rollcall:{ldap:corp}:runs", redis.Z{Score: float64(i + 1), Member: id})
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A page costs what it shows, however long the list is; a filter that few pass pages on instead of looking at
// everything.
func TestSessionListCosts(t *testing.T) {
	t.Parallel()
	cost := map[string][]int64{}
	for _, n := range []int{200, 20000} {
		h := newHarness(t, nil, nil)
		fill(t, h.rdb, n)
		count := &trips{}
		h.sessions("pageSize", "1")
		h.rdb.AddHook(count)
		for _, filter := range []string{"", "status = COMPLETED"} {
			count.n.Store(0)
			list := h.sessions("pageSize", "50", "filter", filter)
			if len(list.GetSessions()) != 50 || list.GetNextPageToken() == "" {
				t.Errorf("%q: %d of %d sessions, token %q", filter, len(list.GetSessions()), n, list.GetNextPageToken())
			}
			cost[filter] = append(cost[filter], count.n.Load())
		}
		if n < 1000 {
			continue
		}
		found, pages, token := 0, 0, ""
		for pages == 0 || token != "" {
			count.n.Store(0)
			list := h.sessions("pageSize", "50", "filter", "agentId = rare", "pageToken", token)
			found, pages, token = found+len(list.GetSessions()), pages+1, list.GetNextPageToken()
			if count.n.Load() > 1200 {
				t.Errorf("a page cost %d commands", count.n.Load())
			}
		}
		if found != n/5000 || pages < 2 {
			t.Errorf("%d rare sessions on %d pages, want %d on some", found, pages, n/5000)
		}
	}
	for filter, c := range cost {
		if c[0] != c[1] || c[0] > 200 {
			t.Errorf("%q: 50 of 200 cost %d commands, 50 of 20,000 cost %d", filter, c[0], c[1])
		}
	}
}

func BenchmarkSessions(b *testing.B) {
	for _, n := range []int{100, 100000} {
		for _, filter := range []string{"", "status=COMPLETED"} {
			b.Run(fmt.Sprint(n, filter), func(b *testing.B) {
				h := newHarness(b, nil, nil)
				fill(b, h.rdb, n)
				path := sessionsQuery("pageSize", "50", "filter", filter)
				for b.Loop() {
					r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, path, nil)
					r.Header.Set("Authorization", "Bearer "+readToken)
					h.api.ServeHTTP(httptest.NewRecorder(), r)
				}
			})
		}
	}
}
