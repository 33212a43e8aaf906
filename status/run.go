package status

import (
	"time"

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
	ByRerun     TriggerKind = "rerun"        // the task of a closed run was run again by hand
)

// Trigger is the event that started a run.
type Trigger struct {
	Kind TriggerKind `json:"kind"`
	// By is the name of the API token, the cron expression or the id of the source run, depending on the kind.
	By string `json:"by,omitempty"`
	// Of is the id of the undone run.
	Of string `json:"of,omitempty"`
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
	// PlannedAt is when the last plan was complete and its execution began.
	PlannedAt time.Time `json:"planned_at,omitzero"`

	FailReason  string `json:"fail_reason,omitempty"` // at most MaxFailReason characters
	FailKind    string `json:"fail_kind,omitempty"`   // a fault.Kind
	CancelledBy string `json:"cancelled_by,omitempty"`

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
}

// Partial reports whether the run does less than a full sync: it writes nothing, or carries out only what was
// approved or taken back.
func (r Run) Partial() bool {
	return r.DryRun || r.Trigger.Kind == ByApproval || r.Trigger.Kind == ByRevert
}
