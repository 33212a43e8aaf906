package status

import (
	"time"

	"github.com/google/uuid"

	"rollcall/container"
)

// State is the state of a run.
type State string

// The states of a run. The package comment shows the transitions.
const (
	Queued    State = "queued"    // waits for a worker
	Running   State = "running"   // a worker executes it, or did until a moment ago
	Deferred  State = "deferred"  // waits until DeferredUntil, holding no worker
	Completed State = "completed" // reached its end; Failed and Held tell how well
	Failed    State = "failed"    // stopped by an error
	Cancelled State = "cancelled" // stopped by a person
	Expired   State = "expired"   // given up: no worker executed it any longer
)

// Open reports whether a run in this state is unfinished.
func (s State) Open() bool { return s == Queued || s == Running || s == Deferred }

// Mode is the extent of a run's read.
type Mode string

// The modes of a run.
const (
	Full  Mode = "full"
	Delta Mode = "delta"
)

// TriggerKind is the kind of event that started a run.
type TriggerKind string

// The triggers of a run.
const (
	ByAPI       TriggerKind = "api"          // a person or program, through the API
	BySchedule  TriggerKind = "schedule"     // a cron expression
	AfterSource TriggerKind = "after_source" // a source run that changed something
	ByApproval  TriggerKind = "approval"     // held changes were approved
	ByRevert    TriggerKind = "revert"       // a person had another run undone
	ByLoss      TriggerKind = "redis_lost"   // Redis lost its data while workers lived
	ByRerun     TriggerKind = "rerun"        // the task of a closed run was run again by hand
	ByWatch     TriggerKind = "watch"        // the source told a change, or that it cannot tell changes
)

// Trigger is the event that started a run.
type Trigger struct {
	Kind TriggerKind `json:"kind"`
	// By is the name of the API token, the cron expression or the id of the source run, depending on the kind.
	By string `json:"by,omitempty"`
	// Of is the id of the undone run.
	Of string `json:"of,omitempty"`
}

// Cause says what started the run: "ops", or "approval by ops".
func (t Trigger) Cause() string {
	switch t.Kind {
	case ByAPI:
		return t.By
	case ByRerun:
		return "a second run of its task by hand"
	case ByApproval:
		return "approval by " + t.By
	case ByRevert:
		return "undo by " + t.By
	case BySchedule:
		return "schedule " + t.By
	case AfterSource:
		return "a run of the source"
	case ByWatch:
		return "a change at the source"
	case ByLoss:
		return "the loss of Redis"
	}
	return string(t.Kind)
}

// MaxFailReason is the longest fail reason of the sessions API, in characters. A longer one is cut.
const MaxFailReason = 256

// Run is the record of one full or delta sync.
type Run struct {
	ID        string       `json:"id"` // a UUID
	Container container.ID `json:"container"`
	Mode      Mode         `json:"mode"`
	DryRun    bool         `json:"dry_run"`
	Trigger   Trigger      `json:"trigger"`
	State     State        `json:"state"`

	CreatedAt     time.Time `json:"created_at"`
	StartedAt     time.Time `json:"started_at,omitzero"`  // the first time a worker took it
	FinishedAt    time.Time `json:"finished_at,omitzero"` // zero while open
	DeferredUntil time.Time `json:"deferred_until,omitzero"`
	DeferReason   string    `json:"defer_reason,omitempty"`
	// Outage is the outage of the remote side that the run waits for, or waited for last.
	Outage Outage `json:"outage,omitzero"`
	// ExpiresAt is when an open run stops being live without a renewal.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// KeptUntil is the latest time at which the record of a closed run is deleted.
	KeptUntil      time.Time `json:"kept_until,omitzero"`
	LastProgressAt time.Time `json:"last_progress_at,omitzero"`

	// Worker is the present or last worker.
	Worker string `json:"worker,omitempty"`
	// Epoch grows each time that the run passes to another worker. It fences off workers that lost the run.
	Epoch int64 `json:"epoch"`
	// Resumes is the number of lost workers.
	Resumes int64 `json:"resumes"`

	// Progress has an element for each kind of planned or executed change, in a fixed order.
	Progress []Progress `json:"progress"`
	// Read counts the entries that the present or last worker read, by object type.
	Read map[ObjectType]int64 `json:"read,omitempty"`
	// Held is the number of changes that wait for a person, FailedChanges the number of failed changes.
	Held          int64 `json:"held"`
	FailedChanges int64 `json:"failed_changes"`
	// Faults counts the failed changes by the kind of error, a fault.Kind.
	Faults map[string]int64 `json:"faults,omitempty"`
	// Calls is the number of requests to the remote side.
	Calls int64 `json:"calls"`
	// Messages is the number of written messages. About the last thousand are stored.
	Messages   int64  `json:"messages"`
	PlanDigest string `json:"plan_digest,omitempty"`
	// ReadAt is when the run began to read the input of its plan. It is zero before, and for a run that executes only
	// a part.
	ReadAt time.Time `json:"read_at,omitzero"`
	// Changed reports whether a completed run changed the input of its followers.
	Changed bool `json:"changed,omitempty"`
	// Takes is how long the changes of the plan take at the provider's quota. Until the run has planned, it is that of
	// the newest plan that was not carried out. It is zero where that is not known.
	Takes time.Duration `json:"-"`
	// PlannedAt is when the last plan was complete and its execution began.
	PlannedAt time.Time `json:"planned_at,omitzero"`

	FailReason  string `json:"fail_reason,omitempty"` // at most MaxFailReason characters
	FailKind    string `json:"fail_kind,omitempty"`   // a fault.Kind
	CancelledBy string `json:"cancelled_by,omitempty"`
	// Paused says who paused the container, where that ended a completed run before it wrote everything.
	Paused string `json:"paused,omitempty"`

	// Cursor is the position of the run in its container's index, for List.
	Cursor Cursor `json:"-"`

	doneAtPlan int64 // changes made when the last plan was made
}

// Outage is a time in which the remote side did not answer a run.
type Outage struct {
	// Times counts the executions in a row that ended without an answer, Since is when the first of them did.
	Times int64     `json:"times"`
	Since time.Time `json:"since,omitzero"`
}

// Cursor is a position in an index with the newest item first. The zero Cursor is before the newest item. A cursor
// stays valid when runs are added and deleted.
type Cursor int64

// End is a worker's report about the end of a run.
type End struct {
	// State is Completed or Failed.
	State State
	// FailKind and FailReason describe the failure: a fault.Kind and a sentence without personal data.
	FailKind   string
	FailReason string
	// Changed reports whether a completed run changed the input of its followers.
	Changed bool
	// Paused says who paused the container; empty for a run that wrote everything.
	Paused string
}

// Partial reports whether the run does less than a full sync: it writes nothing, or carries out only what was
// approved or taken back.
func (r Run) Partial() bool {
	return r.DryRun || r.Trigger.Kind == ByApproval || r.Trigger.Kind == ByRevert
}

// TaskStatus is the task status of the sync status API. The set is closed, because clients are generated from it.
type TaskStatus string

// The task statuses.
const (
	TaskUnknown    TaskStatus = "unknown"
	TaskSuccessful TaskStatus = "successful"
	TaskWarning    TaskStatus = "warning"
	TaskError      TaskStatus = "error"
)

// SessionStatus is the status of a session in the synchronization sessions API. This set is closed, too.
type SessionStatus string

// The session statuses.
const (
	SessionPending   SessionStatus = "PENDING"
	SessionOpened    SessionStatus = "OPENED"
	SessionCompleted SessionStatus = "COMPLETED"
	SessionFailed    SessionStatus = "FAILED"
	SessionExpired   SessionStatus = "EXPIRED"
)

// TaskStatus returns the status of the run for the sync status API.
func (r Run) TaskStatus() TaskStatus {
	if r.State == Completed && r.Paused != "" {
		return TaskWarning
	}
	return taskStatus(r.State, r.FailedChanges, r.Held)
}

func taskStatus(s State, failed, held int64) TaskStatus {
	switch s {
	case Completed:
		if failed > 0 || held > 0 {
			return TaskWarning
		}
		return TaskSuccessful
	case Cancelled:
		return TaskWarning
	case Failed, Expired:
		return TaskError
	case Queued, Running, Deferred:
	}
	return TaskUnknown
}

// SessionStatus returns the status of the run for the sessions API.
func (r Run) SessionStatus() SessionStatus {
	switch r.State {
	case Running:
		return SessionOpened
	case Completed:
		return SessionCompleted
	case Failed, Cancelled:
		return SessionFailed
	case Expired:
		return SessionExpired
	case Queued, Deferred:
	}
	return SessionPending
}

// SessionFailReason returns the fail reason for the sessions API. It has at most MaxFailReason characters.
func (r Run) SessionFailReason() string {
	switch r.State {
	case Cancelled:
		return cut("cancelled by "+r.CancelledBy, MaxFailReason)
	case Failed, Expired:
		return cut(r.FailReason, MaxFailReason)
	case Queued, Running, Deferred, Completed:
	}
	return ""
}

// TaskUUID returns the UUIDv5 of a row in the sync status API. One run has several rows, and each needs a UUID of its
// own. kind is "users", "groups", "membership", or the name of the task.
func TaskUUID(runID, kind string) uuid.UUID {
	space, err := uuid.Parse(runID)
	if err != nil {
		space = uuid.NewSHA1(uuid.NameSpaceOID, []byte(runID))
	}
	return uuid.NewSHA1(space, []byte(kind))
}

// Duration returns the time since a worker first took the run, up to the end of the run or to now.
func (r Run) Duration(now time.Time) time.Duration {
	switch {
	case r.StartedAt.IsZero():
		return 0
	case r.FinishedAt.IsZero():
		return max(0, now.Sub(r.StartedAt))
	}
	return max(0, r.FinishedAt.Sub(r.StartedAt))
}

// ObjectType is the type of object in a count.
type ObjectType string

// The object types.
const (
	User       ObjectType = "user"
	Group      ObjectType = "group"
	Membership ObjectType = "membership"
)

// ChangeType is the type of change in a count.
type ChangeType string

// The change types.
const (
	Create     ChangeType = "create"
	Update     ChangeType = "update"
	Delete     ChangeType = "delete"
	Activate   ChangeType = "activate"
	Deactivate ChangeType = "deactivate"
)

// ObjectTypes returns every object type, in the order of Run.Progress.
func ObjectTypes() []ObjectType { return []ObjectType{User, Group, Membership} }

// ChangeTypes returns every change type, in the order of Run.Progress.
func ChangeTypes() []ChangeType { return []ChangeType{Create, Update, Delete, Activate, Deactivate} }

// Progress has the counts of one kind of change.
type Progress struct {
	Object    ObjectType `json:"object_type"`
	Change    ChangeType `json:"change_type"`
	Succeeded int64      `json:"succeeded"`
	Failed    int64      `json:"failed"`
	// Expected is the number of attempts at the end of the run: those before the last plan and those in it.
	Expected int64 `json:"expected"`
}

// Expectation is the number of changes of one kind in a plan.
type Expectation struct {
	Object ObjectType
	Change ChangeType
	Count  int64
}

// Planned describes a plan. The engine reports it before it applies the plan.
type Planned struct {
	Digest   string
	Held     int64
	Expected []Expectation
	// ReadAt is when the run began to read the input of the plan. It is zero for a plan that is executed only in
	// part.
	ReadAt time.Time
	// Follow sets the Follow mark, because the run is about to change the input of other containers.
	Follow bool
	// Takes is how long the changes take at the provider's quota, or zero.
	Takes time.Duration
	// HeldEntries counts the entries in conflict by reason.
	HeldEntries map[string]int64
	// LeaverSince is the departure time of the entry that has waited longest for suspension; zero if none waits.
	LeaverSince time.Time
}

// Done returns the number of attempted changes and the number of all expected ones.
func (r Run) Done() (done, expected int64) {
	for _, p := range r.Progress {
		done += p.Succeeded + p.Failed
		expected += p.Expected
	}
	return done, max(done, expected)
}

// EstimatedEnd extrapolates the end of the run from its speed since the last plan, and before that from the quota. It
// is zero if there is no estimate, and FinishedAt for a finished run.
func (r Run) EstimatedEnd(now time.Time) time.Time {
	if !r.State.Open() {
		return r.FinishedAt
	}
	done, expected := r.Done()
	made, spent := done-r.doneAtPlan, now.Sub(r.PlannedAt)
	if r.State == Running && made <= 0 && r.Takes > spent && !r.PlannedAt.IsZero() && expected > 0 {
		return r.PlannedAt.Add(r.Takes)
	}
	if r.State == Queued || r.PlannedAt.IsZero() || made <= 0 || spent <= 0 {
		return time.Time{}
	}
	left := time.Duration(float64(spent) / float64(made) * float64(expected-done))
	if r.State == Deferred && r.DeferredUntil.After(now) {
		return r.DeferredUntil.Add(left)
	}
	return now.Add(left)
}
