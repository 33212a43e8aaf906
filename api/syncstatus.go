package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rollcall/container"
	"rollcall/status"
)

// closedTasks is the number of finished runs in the sync status, in addition to the live one.
const closedTasks = 10

// syncStatus is the response of the contract. The last two fields belong to its newer form, where they are optional
// and not nullable. They are omitted if they have no value.
type syncStatus struct {
	IsRunning          bool         `json:"is_running"`
	Tasks              []systemTask `json:"tasks"`
	LastSuccessfulSync *stamp       `json:"last_successful_sync,omitempty"`
	LastSyncStatus     string       `json:"last_sync_status,omitempty"`
}

// syncStatus returns the present activity of a container and the results of its last runs.
func (a *API) syncStatus(r *request) (answer, error) {
	c, ctx := r.container(), r.Context()
	summary, runs, err := a.recent(ctx, c)
	if err != nil {
		return answer{}, err
	}
	now := a.now()
	out := syncStatus{
		IsRunning: summary.Live, Tasks: []systemTask{},
		LastSuccessfulSync: orNull(summary.SuccessfulAt), LastSyncStatus: lastSyncStatus(summary),
	}
	for _, run := range runs {
		messages, err := a.lastMessages(ctx, run)
		if err != nil {
			return answer{}, err
		}
		v := runRows{family: r.family, run: run, live: summary.Live, now: now, messages: messages}
		out.Tasks = append(out.Tasks, v.rows()...)
	}
	return ok(out), nil
}

// recent returns the open run, if there is one, and the last finished runs. A run can start or end between the two
// reads. Both reads are then repeated, so that the response is consistent.
func (a *API) recent(ctx context.Context, c container.ID) (status.Summary, []status.Run, error) {
	const attempts = 3
	for n := 1; ; n++ {
		summary, err := a.cfg.Status.Summary(ctx, c)
		if err != nil {
			return status.Summary{}, nil, err
		}
		runs, _, err := a.cfg.Status.List(ctx, c, 0, closedTasks+1)
		if err != nil {
			return status.Summary{}, nil, err
		}
		open := len(runs) > 0 && runs[0].State.Open()
		if summary.Live == open || n == attempts {
			if !open && len(runs) > closedTasks {
				runs = runs[:closedTasks]
			}
			return summary, runs, nil
		}
	}
}

// lastMessages returns the newest messages of a run, the oldest first. It adds a note if there are more.
func (a *API) lastMessages(ctx context.Context, run status.Run) ([]status.Message, error) {
	if run.Messages == 0 {
		return nil, nil
	}
	found, more, err := a.cfg.Status.Messages(ctx, run.Container, run.ID, "", a.cfg.TaskMessages)
	if err != nil {
		return nil, err
	}
	slices.Reverse(found)
	if more == "" || len(found) == 0 {
		return found, nil
	}
	return slices.Insert(found, 0, status.Message{
		Time: found[0].Time, Level: status.Info, Logger: apiLogger,
		Event: fmt.Sprintf("Only the last %d messages are shown; sync/runs/%s/messages/ has the others.", len(found),
			run.ID),
		Attributes: map[string]any{"messages": run.Messages},
	}), nil
}

// apiLogger is the logger of messages that the API adds.
const apiLogger = "rollcall.api"

// lastSyncStatus returns a value of the newer form's enum; empty before the first finished run.
func lastSyncStatus(s status.Summary) string {
	if s.LastID == "" {
		return ""
	}
	switch s.LastStatus {
	case status.TaskSuccessful:
		return "done"
	case status.TaskWarning:
		return "warning"
	case status.TaskError:
		return "error"
	case status.TaskUnknown:
	}
	return ""
}

// span returns the start and the end of a run. An open run without renewals counts as ended at its last progress.
func span(run status.Run, live bool, now time.Time) (from, to time.Time) {
	from, to = run.StartedAt, run.FinishedAt
	if from.IsZero() {
		from = run.CreatedAt
	}
	if to.IsZero() {
		to = now
		if !live && !run.ExpiresAt.IsZero() && run.ExpiresAt.Before(now) {
			to = run.ExpiresAt
		}
	}
	if to.Before(from) { // clocks of two machines
		to = from
	}
	return from, to
}
