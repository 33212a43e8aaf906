package api

import (
	"time"

	"rollcall/container"
	"rollcall/status"
)

// runView is the complete description of a run in the service's own form.
type runView struct {
	ID        string            `json:"id"`
	Container container.ID      `json:"container"`
	Mode      status.Mode       `json:"mode"`
	DryRun    bool              `json:"dry_run"`
	Trigger   triggerView       `json:"trigger"`
	State     status.State      `json:"state"`
	Status    status.TaskStatus `json:"status"`

	CreatedAt      stamp   `json:"created_at"`
	StartedAt      *stamp  `json:"started_at"`
	FinishedAt     *stamp  `json:"finished_at"`
	Duration       float64 `json:"duration"`
	LastProgressAt *stamp  `json:"last_progress_at"`
	DeferredUntil  *stamp  `json:"deferred_until"`
	DeferReason    string  `json:"defer_reason"`
	ExpiresAt      *stamp  `json:"expires_at"`
	KeptUntil      *stamp  `json:"kept_until"`

	Worker  string `json:"worker"`
	Resumes int64  `json:"resumes"`

	Read          map[status.ObjectType]int64 `json:"read"`
	Progress      []status.Progress           `json:"progress"`
	Done          int64                       `json:"done"`
	Expected      int64                       `json:"expected"`
	EstimatedEnd  *stamp                      `json:"estimated_end"`
	Held          int64                       `json:"held"`
	FailedChanges int64                       `json:"failed_changes"`
	Calls         int64                       `json:"calls"`
	Messages      int64                       `json:"messages"`
	PlanDigest    string                      `json:"plan_digest"`
	PlannedAt     *stamp                      `json:"planned_at"`

	FailKind    string `json:"fail_kind"`
	FailReason  string `json:"fail_reason"`
	CancelledBy string `json:"cancelled_by"`
}

type triggerView struct {
	Kind status.TriggerKind `json:"kind"`
	By   string             `json:"by"`
	Of   string             `json:"of,omitempty"`
}

func viewTrigger(t status.Trigger) triggerView { return triggerView{t.Kind, t.By, t.Of} }

func newRunView(r status.Run, now time.Time) runView {
	v := runView{
		ID: r.ID, Container: r.Container, Mode: r.Mode, DryRun: r.DryRun, Trigger: viewTrigger(r.Trigger),
		State: r.State, Status: r.TaskStatus(),
		CreatedAt: stamp(r.CreatedAt), StartedAt: orNull(r.StartedAt), FinishedAt: orNull(r.FinishedAt),
		Duration: r.Duration(now).Seconds(), LastProgressAt: orNull(r.LastProgressAt),
		KeptUntil: orNull(r.KeptUntil), Worker: r.Worker, Resumes: r.Resumes,
		Read: map[status.ObjectType]int64{}, Progress: r.Progress,
		Held: r.Held, FailedChanges: r.FailedChanges, Calls: r.Calls, Messages: r.Messages,
		PlanDigest: r.PlanDigest, PlannedAt: orNull(r.PlannedAt),
		FailKind: r.FailKind, FailReason: r.FailReason, CancelledBy: r.CancelledBy,
	}
	if r.State.Open() { // what these say is over with the run
		v.EstimatedEnd, v.ExpiresAt = orNull(r.EstimatedEnd(now)), orNull(r.ExpiresAt)
	}
	if r.State == status.Deferred {
		v.DeferredUntil, v.DeferReason = orNull(r.DeferredUntil), r.DeferReason
	}
	if v.Progress == nil {
		v.Progress = []status.Progress{}
	}
	v.Done, v.Expected = r.Done()
	for _, o := range status.ObjectTypes() {
		v.Read[o] = r.Read[o]
	}
	return v
}

// jobView is an object job.
type jobView struct {
	ID         string            `json:"id"`
	Container  container.ID      `json:"container"`
	Kind       status.ObjectType `json:"kind"`
	ObjectID   string            `json:"object_id"`
	Trigger    triggerView       `json:"trigger"`
	State      status.JobState   `json:"state"`
	Outcome    *status.Outcome   `json:"outcome"`
	CreatedAt  stamp             `json:"created_at"`
	StartedAt  *stamp            `json:"started_at"`
	FinishedAt *stamp            `json:"finished_at"`
	Worker     string            `json:"worker"`
	Attempts   int64             `json:"attempts"`
	FailKind   string            `json:"fail_kind"`
	FailReason string            `json:"fail_reason"`
	Messages   []logEvent        `json:"messages"`
}

func newJobView(j status.Job) jobView {
	v := jobView{
		ID: j.ID, Container: j.Container, Kind: j.Kind, ObjectID: j.ObjectID,
		Trigger: viewTrigger(j.Trigger), State: j.State,
		CreatedAt: stamp(j.CreatedAt), StartedAt: orNull(j.StartedAt), FinishedAt: orNull(j.FinishedAt),
		Worker: j.Worker, Attempts: j.Attempts, FailKind: j.FailKind, FailReason: j.FailReason,
		Messages: logEvents(j.Container, j.Messages),
	}
	if j.Outcome != "" {
		v.Outcome = &j.Outcome
	}
	return v
}
