package status_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"rollcall/internal/testclock"
	"rollcall/status"
)

func TestContracts(t *testing.T) {
	t.Parallel()
	type shown struct {
		Task    status.TaskStatus
		Session status.SessionStatus
		Reason  string
	}
	run := func(s status.State) status.Run {
		return status.Run{State: s, FailReason: "boom", CancelledBy: "ops"}
	}
	got := map[string]shown{}
	for _, s := range []status.State{status.Queued, status.Running, status.Deferred, status.Completed, status.Failed,
		status.Cancelled, status.Expired} {
		r := run(s)
		got[string(s)] = shown{r.TaskStatus(), r.SessionStatus(), r.SessionFailReason()}
	}
	for name, r := range map[string]status.Run{
		"completed, held":   {State: status.Completed, Held: 1},
		"completed, failed": {State: status.Completed, FailedChanges: 1},
	} {
		got[name] = shown{r.TaskStatus(), r.SessionStatus(), r.SessionFailReason()}
	}
	want := map[string]shown{
		"queued":            {status.TaskUnknown, status.SessionPending, ""},
		"deferred":          {status.TaskUnknown, status.SessionPending, ""},
		"running":           {status.TaskUnknown, status.SessionOpened, ""},
		"completed":         {status.TaskSuccessful, status.SessionCompleted, ""},
		"completed, held":   {status.TaskWarning, status.SessionCompleted, ""},
		"completed, failed": {status.TaskWarning, status.SessionCompleted, ""},
		"failed":            {status.TaskError, status.SessionFailed, "boom"},
		"cancelled":         {status.TaskWarning, status.SessionFailed, "cancelled by ops"},
		"expired":           {status.TaskError, status.SessionExpired, "boom"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("contracts (-want +got):\n%s", diff)
	}
	long := status.Run{State: status.Cancelled, CancelledBy: strings.Repeat("ä", 300)}.SessionFailReason()
	if n := utf8.RuneCountInString(long); n != status.MaxFailReason || !utf8.ValidString(long) {
		t.Errorf("the reason has %d characters, want %d", n, status.MaxFailReason)
	}
}

func TestTaskUUID(t *testing.T) {
	t.Parallel()
	id := "7f0d5c1e-8a55-4d53-9f5e-0f7b1de4a001"
	users, groups := status.TaskUUID(id, "users"), status.TaskUUID(id, "groups")
	if users == groups || users != status.TaskUUID(id, "users") || users.Version() != 5 {
		t.Errorf("TaskUUID() = %v and %v, want two stable UUIDs of version 5", users, groups)
	}
	if got := status.TaskUUID("no uuid", "users"); got == uuid.Nil {
		t.Error("TaskUUID() of a foreign id is nil")
	}
}

func TestEstimatedEnd(t *testing.T) {
	t.Parallel()
	c := testclock.New()
	planned := c.Now()
	progress := []status.Progress{{Object: status.User, Change: status.Create, Succeeded: 20, Failed: 5, Expected: 100}}
	now := planned.Add(50 * time.Second)
	for name, tc := range map[string]struct {
		run  status.Run
		want time.Time
	}{
		"half way": {status.Run{State: status.Running, PlannedAt: planned, Progress: progress},
			now.Add(150 * time.Second)},
		"not planned":  {status.Run{State: status.Running, Progress: progress}, time.Time{}},
		"nothing done": {status.Run{State: status.Running, PlannedAt: planned}, time.Time{}},
		"deferred": {
			status.Run{State: status.Deferred, PlannedAt: planned, Progress: progress, DeferredUntil: now.Add(time.Hour)},
			now.Add(time.Hour + 150*time.Second),
		},
		"over": {status.Run{State: status.Completed, PlannedAt: planned, Progress: progress, FinishedAt: planned}, planned},
	} {
		if got := tc.run.EstimatedEnd(now); !got.Equal(tc.want) {
			t.Errorf("%s: EstimatedEnd() = %v, want %v", name, got, tc.want)
		}
	}
}

func TestRunAsJSON(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(status.Run{ID: "x", Container: corp, Progress: []status.Progress{}})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "finished_at") || !strings.Contains(string(text), `"progress":[]`) {
		t.Errorf("a new run is %s, want no times and an empty list of progress", text)
	}
}
