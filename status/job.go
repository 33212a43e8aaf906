package status

import (
	"encoding/json"
	"time"

	"rollcall/container"
)

// JobState is where an object job stands.
type JobState string

// The states of an object job.
const (
	JobQueued  JobState = "queued"  // waits for a worker, or for the job that already works on its entry
	JobRunning JobState = "running" // a worker executes it
	JobDone    JobState = "done"    // over; Outcome says how
)

// Outcome is what an object job came to.
type Outcome string

// The outcomes of an object job.
const (
	OutcomeCreated    Outcome = "created"
	OutcomeUpdated    Outcome = "updated"
	OutcomeSuspended  Outcome = "suspended"
	OutcomeRestored   Outcome = "restored"
	OutcomeDeleted    Outcome = "deleted"
	OutcomeUnchanged  Outcome = "unchanged"    // nothing to change
	OutcomeOutOfScope Outcome = "out_of_scope" // the entry is not to be provisioned
	OutcomeAbsent     Outcome = "absent"       // the entry is not at its source; nothing was destroyed
	OutcomeHeld       Outcome = "held"         // a guard or an ambiguity holds it
	OutcomeFailed     Outcome = "failed"
)

// MaxJobMessages is how many messages an object job keeps.
const MaxJobMessages = 100

// Job is the record of one single-object sync. It is not a run: it has an index of its own and never shows in
// is_running, tasks or sessions.
type Job struct {
	ID        string       `json:"id"` // a UUID
	Container container.ID `json:"container"`
	Kind      ObjectType   `json:"kind"`      // User or Group
	ObjectID  string       `json:"object_id"` // the directory id
	DryRun    bool         `json:"dry_run"`
	Trigger   Trigger      `json:"trigger"`
	State     JobState     `json:"state"`

	CreatedAt  time.Time `json:"created_at"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`
	Worker     string    `json:"worker,omitempty"`
	Attempts   int64     `json:"attempts"`

	Outcome    Outcome   `json:"outcome,omitempty"` // empty until done
	FailKind   string    `json:"fail_kind,omitempty"`
	FailReason string    `json:"fail_reason,omitempty"`
	Messages   []Message `json:"messages"`

	// Cursor is the job's place in its container's index, for ListJobs.
	Cursor Cursor `json:"-"`
}

// JobRequest asks for a single-object sync.
type JobRequest struct {
	Container container.ID
	Kind      ObjectType
	ObjectID  string
	DryRun    bool
	Trigger   Trigger
	// ID is the UUID of the new job; empty makes one.
	ID string
}

// Result is what a worker reports when an object job is over.
type Result struct {
	Outcome    Outcome
	FailKind   string // a fault.Kind, with OutcomeFailed
	FailReason string
	Messages   []Message
}

func decodeJob(c container.ID, f map[string]string) Job {
	j := Job{
		ID: f["id"], Container: c, Kind: ObjectType(f["kind"]), ObjectID: f["object_id"], DryRun: f["dry_run"] == "1",
		Trigger: Trigger{Kind: TriggerKind(f["trigger"]), By: f["by"]}, State: JobState(f["state"]),
		CreatedAt: fromMS(f["created_at"]), StartedAt: fromMS(f["started_at"]), FinishedAt: fromMS(f["finished_at"]),
		Worker: f["worker"], Attempts: parseInt(f["attempts"]),
		Outcome: Outcome(f["outcome"]), FailKind: f["fail_kind"], FailReason: f["fail_reason"], Messages: []Message{},
		Cursor: Cursor(parseInt(f["seq"])),
	}
	if text := f["messages"]; text != "" {
		_ = json.Unmarshal([]byte(text), &j.Messages) // written by encodeMessages
	}
	return j
}

// encodeMessages bounds messages and makes one field of them.
func encodeMessages(in []Message, now time.Time) (string, error) {
	if len(in) > MaxJobMessages {
		in = in[len(in)-MaxJobMessages:]
	}
	type stored struct {
		Message
		Attributes json.RawMessage `json:"attributes"`
	}
	out := make([]stored, len(in))
	for i, m := range in {
		m = m.bounded(now)
		out[i] = stored{Message: m, Attributes: json.RawMessage(m.attributes())}
	}
	text, err := json.Marshal(out)
	return string(text), err
}
