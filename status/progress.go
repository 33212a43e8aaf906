package status

import "time"

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

// EstimatedEnd extrapolates the end of the run from its speed since the last plan. It is zero if there is no
// estimate, and FinishedAt for a finished run.
func (r Run) EstimatedEnd(now time.Time) time.Time {
	if !r.State.Open() {
		return r.FinishedAt
	}
	done, expected := r.Done()
	made, spent := done-r.doneAtPlan, now.Sub(r.PlannedAt)
	if r.State == Queued || r.PlannedAt.IsZero() || made <= 0 || spent <= 0 {
		return time.Time{}
	}
	left := time.Duration(float64(spent) / float64(made) * float64(expected-done))
	if r.State == Deferred && r.DeferredUntil.After(now) {
		return r.DeferredUntil.Add(left)
	}
	return now.Add(left)
}
