package status

import "time"

// ObjectType is a type of object that progress is counted by.
type ObjectType string

// The object types.
const (
	User       ObjectType = "user"
	Group      ObjectType = "group"
	Membership ObjectType = "membership"
)

// ChangeType is a type of change that progress is counted by.
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

// Progress counts one kind of change.
type Progress struct {
	Object    ObjectType `json:"object_type"`
	Change    ChangeType `json:"change_type"`
	Succeeded int64      `json:"succeeded"`
	Failed    int64      `json:"failed"`
	// Expected is how many will have been tried at the end: those tried before the last plan and those in it.
	Expected int64 `json:"expected"`
}

// Expectation is how many changes of one kind a plan holds.
type Expectation struct {
	Object ObjectType
	Change ChangeType
	Count  int64
}

// Planned is what the engine reports once it has a plan, before it applies it.
type Planned struct {
	Digest   string
	Held     int64
	Expected []Expectation
	// ReadAt is when the run began to read what the plan was made of; zero for a plan that is carried out only in part.
	ReadAt time.Time
	// Follow sets the Follow mark: the run is about to change what others read.
	Follow bool
	// HeldEntries counts the entries about which nothing can be done, by the reason.
	HeldEntries map[string]int64
	// LeaverSince is since when the one is gone who waits longest to be suspended; zero when nobody waits.
	LeaverSince time.Time
}

// Done returns how many changes were tried so far and how many are expected in all.
func (r Run) Done() (done, expected int64) {
	for _, p := range r.Progress {
		done += p.Succeeded + p.Failed
		expected += p.Expected
	}
	return done, max(done, expected)
}

// EstimatedEnd returns when the run will be over if it goes on as it did since its last plan; zero when nothing can
// be said yet, and FinishedAt once it is over.
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
