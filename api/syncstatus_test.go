package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// syncStatus and task are the contract as a client sees it.
type syncStatus struct {
	IsRunning          bool    `json:"is_running"`
	Tasks              []task  `json:"tasks"`
	LastSuccessfulSync *string `json:"last_successful_sync"`
	LastSyncStatus     *string `json:"last_sync_status"`
}

type task struct {
	UUID, Name, UID, Description, Status string
	FullName                             string    `json:"full_name"`
	Start                                time.Time `json:"start_timestamp"`
	Finish                               time.Time `json:"finish_timestamp"`
	Duration                             float64
	Messages                             []message
	Expires                              *time.Time
	Expiring                             bool
}

type message struct {
	Timestamp  time.Time
	LogLevel   string `json:"log_level"`
	Logger     string
	Event      string
	Attributes map[string]any
}

var containers = []container.ID{corp, google, entra}

// Each state of a run, as the sync status has to show it.
func TestSyncStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name    string
		arrange func(*harness, container.ID)
		running bool
		status  string // of every row; empty = no rows
		last    string // last_sync_status; empty = missing
		event   string // a message that some row has
	}{
		{name: "never run"},
		{
			name: "queued", arrange: func(h *harness, c container.ID) { h.start(c); h.clock.Advance(3 * time.Second) },
			running: true, status: "unknown",
		},
		{
			name: "running", arrange: func(h *harness, c container.ID) {
				lease := h.acquire(h.start(c))
				lease.Recorder().Log(status.Message{Event: "Read 3 users."})
				if err := lease.Recorder().Flush(h.t.Context()); err != nil {
					h.t.Fatal(err)
				}
				h.clock.Advance(3 * time.Second)
			},
			running: true, status: "unknown", event: "Read 3 users.",
		},
		{
			name: "deferred", arrange: func(h *harness, c container.ID) {
				if _, err := h.acquire(h.start(c)).Defer(h.t.Context(), h.clock.Now().Add(time.Minute), "the quota is spent",
					status.Outage{}); err != nil {
					h.t.Fatal(err)
				}
			},
			running: true, status: "unknown", event: "Waits until 2026-03-01T09:31:00Z: the quota is spent",
		},
		{
			name: "finished", arrange: func(h *harness, c container.ID) {
				h.finish(h.start(c), status.End{State: status.Completed}, func(r *status.Recorder) {
					r.Succeeded(status.User, status.Create, 2)
					r.Log(status.Message{Event: "All done."})
				})
			},
			status: "successful", last: "done", event: "All done.",
		},
		{
			name: "finished with failures", arrange: func(h *harness, c container.ID) {
				h.finish(h.start(c), status.End{State: status.Completed}, func(r *status.Recorder) {
					for _, o := range status.ObjectTypes() {
						r.Failed(o, status.Update, 1)
					}
				})
			},
			status: "warning", last: "warning",
		},
		{
			name: "held", arrange: func(h *harness, c container.ID) {
				h.finish(h.start(c), status.End{State: status.Completed}, func(r *status.Recorder) { r.Held(4) })
			},
			status: "warning", last: "warning",
		},
		{
			name: "failed", arrange: func(h *harness, c container.ID) {
				h.finish(h.start(c), status.End{State: status.Failed, FailKind: "denied", FailReason: "the bind was refused"}, nil)
			},
			status: "error", last: "error", event: "Failed: the bind was refused",
		},
		{
			name: "cancelled", arrange: func(h *harness, c container.ID) {
				h.start(c)
				if _, err := h.store.Cancel(h.t.Context(), c, "ops@example.com"); err != nil {
					h.t.Fatal(err)
				}
			},
			status: "warning", last: "warning", event: "run cancelled",
		},
		{
			name: "expired", arrange: func(h *harness, c container.ID) {
				h.start(c)
				h.lose(c)
				h.clock.Advance(2 * time.Hour)
				if _, err := h.store.Reap(h.t.Context(), []container.ID{c}, false); err != nil {
					h.t.Fatal(err)
				}
			},
			status: "error", last: "error", event: "no worker executed the run any longer",
		},
		{
			name: "kept alive by nobody", arrange: func(h *harness, c container.ID) {
				h.start(c)
				h.lose(c)
				h.clock.Advance(time.Minute)
			},
			status: "unknown", event: "No worker keeps this run alive. It goes on when one comes back, or is closed as expired.",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
				h := newHarness(t, rdb, nil)
				for _, c := range containers {
					if test.arrange != nil {
						test.arrange(h, c)
					}
					got := read[syncStatus](h.get("/api/v3" + paths[c] + "sync/status/").want(http.StatusOK))
					if same := read[syncStatus](h.get(paths[c] + "sync/status/").want(http.StatusOK)); !cmp.Equal(got, same) {
						t.Errorf("without the base path: %s", cmp.Diff(got, same))
					}
					check(t, c, got, test.running, test.status, test.last, test.event)
				}
			})
		})
	}
}

func check(t *testing.T, c container.ID, got syncStatus, running bool, state, last, event string) {
	t.Helper()
	if got.IsRunning != running {
		t.Errorf("%s: is_running = %v, want %v", c, got.IsRunning, running)
	}
	if text := deref(got.LastSyncStatus); text != last {
		t.Errorf("%s: last_sync_status = %q, want %q", c, text, last)
	}
	if (got.LastSuccessfulSync != nil) != (last == "done") {
		t.Errorf("%s: last_successful_sync = %q", c, deref(got.LastSuccessfulSync))
	}
	rows := 0
	if state != "" {
		rows = map[bool]int{true: 3, false: 1}[c.IsSource()]
	}
	if len(got.Tasks) != rows {
		t.Fatalf("%s: %d rows, want %d", c, len(got.Tasks), rows)
	}
	found := event == ""
	for _, row := range got.Tasks {
		if row.Status != state {
			t.Errorf("%s: status = %q, want %q", row.UID, row.Status, state)
		}
		if d := row.Finish.Sub(row.Start).Seconds(); d != row.Duration || d < 0 {
			t.Errorf("%s: duration = %v, want %v", row.UID, row.Duration, d)
		}
		if closed := last != ""; closed != (row.Expires != nil) || closed != row.Expiring {
			t.Errorf("%s: expires = %v, expiring = %v", row.UID, row.Expires, row.Expiring)
		}
		for _, m := range row.Messages {
			found = found || m.Event == event
		}
	}
	if !found {
		t.Errorf("%s: no message %q in %+v", c, event, got.Tasks)
	}
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// The rows of a run have the names that clients look for, and UUIDs of their own that stay the same.
func TestSyncStatusNames(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	want := map[container.ID][]string{
		corp: {"ldap_sync|corp:users:%s|Synchronization of an LDAP Source", "ldap_sync|corp:groups:%s|Synchronization " +
			"of an LDAP Source", "ldap_sync|corp:membership:%s|Synchronization of an LDAP Source"},
		google: {"google_workspace_sync|%s|Run full sync for Google Workspace provider"},
		entra:  {"microsoft_entra_sync|%s|Run full sync for Microsoft Entra provider"},
	}
	seen := map[string]bool{}
	for _, c := range containers {
		run := h.start(c)
		before := read[syncStatus](h.get(paths[c] + "sync/status/")).Tasks
		if len(before) != len(want[c]) {
			t.Fatalf("%s: %d rows", c, len(before))
		}
		for i, row := range before {
			if got := row.Name + "|" + row.UID + "|" + row.Description; got != fmt.Sprintf(want[c][i], run.ID) {
				t.Errorf("row %d = %s", i, got)
			}
			if row.FullName != row.Name+":"+row.UID {
				t.Errorf("full_name = %q", row.FullName)
			}
			if seen[row.UUID] {
				t.Errorf("uuid %s appears twice", row.UUID)
			}
			seen[row.UUID] = true
		}
		h.finish(run, status.End{State: status.Completed}, nil)
		if after := read[syncStatus](h.get(paths[c] + "sync/status/")).Tasks; after[0].UUID != before[0].UUID {
			t.Errorf("%s: the uuid changed", c)
		}
	}
}

// While a run is live its row ends now.
func TestSyncStatusWhileLive(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	created := h.clock.Now()
	run := h.start(google)
	h.clock.Advance(10 * time.Second)
	row := read[syncStatus](h.get(paths[google] + "sync/status/")).Tasks[0]
	if !row.Start.Equal(created) || !row.Finish.Equal(h.clock.Now()) || row.Duration != 10 {
		t.Errorf("queued: %v to %v, %v s", row.Start, row.Finish, row.Duration)
	}
	h.acquire(run)
	h.clock.Advance(10 * time.Second)
	row = read[syncStatus](h.get(paths[google] + "sync/status/")).Tasks[0]
	if !row.Start.Equal(created.Add(10*time.Second)) || !row.Finish.Equal(h.clock.Now()) || row.Duration != 10 {
		t.Errorf("running: %v to %v, %v s", row.Start, row.Finish, row.Duration)
	}
}

// The live run and the last ten are shown, newest first, and without a live one the last ten.
func TestSyncStatusShowsLiveAndTen(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	var ids []string
	for range 12 {
		run := h.start(google)
		ids = append([]string{run.ID}, ids...)
		h.finish(run, status.End{State: status.Completed}, nil)
	}
	uids := func() []string {
		var out []string
		for _, row := range read[syncStatus](h.get(paths[google] + "sync/status/")).Tasks {
			out = append(out, row.UID)
		}
		return out
	}
	if diff := cmp.Diff(ids[:10], uids()); diff != "" {
		t.Error(diff)
	}
	live := h.start(google)
	if diff := cmp.Diff(append([]string{live.ID}, ids[:10]...), uids()); diff != "" {
		t.Error(diff)
	}
}

// Messages of a source go to the row that they are about, why a run ended goes to all, and the rest to the first. A row
// is no worse than what happened in it.
func TestSyncStatusDistributesMessages(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	h.finish(h.start(corp), status.End{State: status.Completed}, func(r *status.Recorder) {
		r.Failed(status.Group, status.Update, 1)
		r.Log(status.Message{Event: "general"})
		r.Log(status.Message{Event: "about a user", Attributes: map[string]any{"kind": "user"}})
		r.Log(status.Message{Event: "about a group", Attributes: map[string]any{"kind": "group"}, Level: status.Warning})
		r.Log(status.Message{Event: "about a member", Attributes: map[string]any{"kind": "group", "member": "u-1"}})
		r.Log(status.Message{Event: "bad", Level: status.Error})
	})
	got := map[string]string{}
	for _, row := range read[syncStatus](h.get(paths[corp] + "sync/status/")).Tasks {
		events := []string{row.Status}
		for _, m := range row.Messages {
			events = append(events, m.Event)
		}
		got[strings.Split(row.UID, ":")[1]] = strings.Join(events, ", ")
	}
	want := map[string]string{
		"users":      "warning, general, about a user, bad",
		"groups":     "warning, about a group, bad",
		"membership": "warning, about a member, bad",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSyncStatusRowsHideNothing(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	h.finish(h.start(corp), status.End{State: status.Completed},
		func(r *status.Recorder) { r.Failed(status.Group, status.Update, 1) })
	var got []string
	for _, row := range read[syncStatus](h.get(paths[corp] + "sync/status/")).Tasks {
		got = append(got, row.Status)
	}
	if diff := cmp.Diff([]string{"successful", "warning", "successful"}, got); diff != "" {
		t.Error(diff)
	}
}

// Only so many messages are shown, the newest, and the rest is not passed over in silence.
func TestSyncStatusBoundsMessages(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	h.finish(h.start(google), status.End{State: status.Completed}, func(r *status.Recorder) {
		for n := range 8 {
			r.Log(status.Message{Event: fmt.Sprint("message ", n), Level: status.Warning})
		}
	})
	got := read[syncStatus](h.get(paths[google] + "sync/status/")).Tasks[0].Messages
	if len(got) != 6 || got[1].Event != "message 3" || got[5].Event != "message 7" || got[1].LogLevel != "warning" ||
		!strings.HasPrefix(got[0].Event, "Only the last 5 messages are shown") || got[5].Logger != string(google) {
		t.Errorf("messages = %+v", got)
	}
}

func TestSyncStatusNamesDryRuns(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	if _, err := h.store.Start(t.Context(), status.StartRequest{Container: google, DryRun: true}); err != nil {
		t.Fatal(err)
	}
	if got := read[syncStatus](h.get(paths[google] + "sync/status/")).Tasks[0].Description; !strings.Contains(got,
		"dry run") {
		t.Errorf("description = %q", got)
	}
}

// A notice about a container is a message of its newest row.
func TestStatusHasNotices(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, func(c *api.Config) {
		c.Notice = func(c container.ID, _ status.Configuration) string { return "two configurations of " + string(c) }
	})
	h.start(google)
	got := read[syncStatus](h.get("/providers/google_workspace/1/sync/status/"))
	said := got.Tasks[0].Messages
	if last := said[len(said)-1]; last.Event != "two configurations of google_workspace:1" || last.LogLevel != "warning" {
		t.Errorf("the last message is %+v, want the notice", last)
	}
}
