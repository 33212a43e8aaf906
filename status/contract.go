package status

import (
	"time"

	"github.com/google/uuid"
)

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
func (r Run) TaskStatus() TaskStatus { return taskStatus(r.State, r.FailedChanges, r.Held) }

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
