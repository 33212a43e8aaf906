package status

import (
	"time"

	"rollcall/container"
)

// State is where a run stands.
type State string

// The states of a run; doc.go draws how they follow each other.
const (
	Queued    State = "queued"    // waits for a worker
	Running   State = "running"   // a worker executes it, or did until a moment ago
	Deferred  State = "deferred"  // waits until DeferredUntil, holding no worker
	Completed State = "completed" // reached its end; Failed and Held tell how well
	Failed    State = "failed"    // stopped by an error
	Cancelled State = "cancelled" // stopped by a person
	Expired   State = "expired"   // given up: nobody executed it any more
)

// States returns every state, in the order of a run's life.
func States() []State {
	return []State{Queued, Running, Deferred, Completed, Failed, Cancelled, Expired}
}

// Open reports whether a run in this state is not over.
func (s State) Open() bool { return s == Queued || s == Running || s == Deferred }

// Mode is how much of the source a run reads.
type Mode string

// The modes of a run.
const (
	Full  Mode = "full"
	Delta Mode = "delta"
)

// TriggerKind is what made a run start.
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

// Trigger says what made a run start, and in whose name.
type Trigger struct {
	Kind TriggerKind `json:"kind"`
	// By is the name of the API token, the cron expression or the run id of the source, by kind.
	By string `json:"by,omitempty"`
	// Of is the id of the run that is undone.
	Of string `json:"of,omitempty"`
}

// MaxFailReason is the longest fail reason in characters, as the sessions API has it. A longer one is cut.
const MaxFailReason = 256

// Run is the record of one execution of one full or delta sync.
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
	// ExpiresAt is, while the run is open, when it stops being live unless somebody renews it.
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	// KeptUntil is when the record of a closed run is deleted at the latest.
	KeptUntil      time.Time `json:"kept_until,omitzero"`
	LastProgressAt time.Time `json:"last_progress_at,omitzero"`
	PausedUntil    time.Time `json:"paused_until,omitzero"`

	// Worker is who executes it, or did last.
	Worker string `json:"worker,omitempty"`
	// Epoch grows with every change of hands; it fences workers that lost the run.
	Epoch int64 `json:"epoch"`
	// Resumes counts how often a worker was lost.
	Resumes int64 `json:"resumes"`

	// Progress has an entry for each kind of change that was planned or made, in a fixed order.
	Progress []Progress `json:"progress"`
	// Read counts the entries read by the current or last worker, by object type.
	Read map[ObjectType]int64 `json:"read,omitempty"`
	// Held counts the changes that wait for a person; FailedChanges those that were tried in vain.
	Held          int64 `json:"held"`
	FailedChanges int64 `json:"failed_changes"`
	// Faults counts the changes that failed by the kind of error, a fault.Kind.
	Faults map[string]int64 `json:"faults,omitempty"`
	// Calls counts the requests to the remote side.
	Calls int64 `json:"calls"`
	// Messages counts the messages written; the stream keeps about the last thousand.
	Messages   int64  `json:"messages"`
	PlanDigest string `json:"plan_digest,omitempty"`
	// ReadAt is when the run began to read what its plan was made of; zero before, and for a run that carries out only a part.
	ReadAt time.Time `json:"read_at,omitzero"`
	// Changed is set for a completed run after which those who follow the container should look at it.
	Changed bool `json:"changed,omitempty"`
	// PlannedAt is when the (last) plan was made and applying began.
	PlannedAt time.Time `json:"planned_at,omitzero"`

	FailReason  string `json:"fail_reason,omitempty"` // at most MaxFailReason characters
	FailKind    string `json:"fail_kind,omitempty"`   // a fault.Kind
	CancelledBy string `json:"cancelled_by,omitempty"`

	// Cursor is the run's place in its container's index, for List.
	Cursor Cursor `json:"-"`

	doneAtPlan int64 // changes made when the last plan was made
}

// Cursor is a place in an index, newest first. The zero Cursor is before the newest. It stays valid while runs
// arrive and while old ones are dropped.
type Cursor int64

// End is what a worker reports when a run is over.
type End struct {
	// State is Completed or Failed.
	State State
	// FailKind and FailReason say why a run failed: a fault.Kind and a sentence without personal data.
	FailKind   string
	FailReason string
	// Changed says of a completed run that those who follow the container should look at it.
	Changed bool
}

// Partial reports whether the run does less than a full sync: it writes nothing, or carries out only what was approved or
// taken back.
func (r Run) Partial() bool {
	return r.DryRun || r.Trigger.Kind == ByApproval || r.Trigger.Kind == ByRevert
}
