package api

import (
	"strconv"
	"strings"
	"time"

	"rollcall/status"
)

// session is a run in the form of the sessions API. Its JSON follows protocol buffers: camelCase, and 64-bit integers
// as strings.
type session struct {
	SessionID       string               `json:"sessionId"`
	AgentID         string               `json:"agentId"`
	CreatedAt       stamp                `json:"createdAt"`
	ExpiresAt       *stamp               `json:"expiresAt,omitempty"` // only while it is open
	ClosedAt        *stamp               `json:"closedAt,omitempty"`  // only when it is not
	SyncMode        string               `json:"syncMode"`
	Status          status.SessionStatus `json:"status"`
	ProgressEntries []progressEntry      `json:"progressEntries"`
	FailReason      string               `json:"failReason"`
	SessionType     string               `json:"sessionType"`
}

// progressEntry counts the changes of one type of object.
type progressEntry struct {
	ObjectType string       `json:"objectType"`
	ChangeInfo []changeInfo `json:"changeInfo"`
}

// changeInfo counts one type of change.
type changeInfo struct {
	ChangeType string `json:"changeType"`
	Successful string `json:"successful"`
	Failed     string `json:"failed"`
}

// The session types. A source is a directory sync. The contract has no type for a provider.
const (
	sessionOfSource   = "AD_SYNC"
	sessionOfProvider = "SESSION_TYPE_UNSPECIFIED"
)

func newSession(r status.Run) session {
	s := session{
		SessionID: r.ID, AgentID: r.Worker, CreatedAt: stamp(r.CreatedAt), SyncMode: syncMode(r.Mode),
		Status:          r.SessionStatus(),
		ProgressEntries: progressEntries(r.Progress), FailReason: r.SessionFailReason(), SessionType: sessionOfProvider,
	}
	if r.Container.IsSource() {
		s.SessionType = sessionOfSource
	}
	if r.State.Open() {
		s.ExpiresAt = orNull(r.ExpiresAt)
	} else {
		s.ClosedAt = orNull(r.FinishedAt)
	}
	return s
}

func syncMode(m status.Mode) string {
	switch m {
	case status.Full:
		return "FULL_SYNC"
	case status.Delta:
		return "DELTA"
	}
	return "SYNC_MODE_UNSPECIFIED"
}

// progressEntries groups planned and executed changes by the type of object.
func progressEntries(all []status.Progress) []progressEntry {
	out := []progressEntry{}
	for _, p := range all {
		kind := strings.ToUpper(string(p.Object))
		if len(out) == 0 || out[len(out)-1].ObjectType != kind {
			out = append(out, progressEntry{ObjectType: kind})
		}
		last := &out[len(out)-1]
		last.ChangeInfo = append(last.ChangeInfo, changeInfo{
			ChangeType: strings.ToUpper(string(p.Change)),
			Successful: strconv.FormatInt(p.Succeeded, 10), Failed: strconv.FormatInt(p.Failed, 10),
		})
	}
	return out
}

// closedAt returns the end of the session; zero while it is open.
func (s *session) closedAt() time.Time {
	if s.ClosedAt == nil {
		return time.Time{}
	}
	return time.Time(*s.ClosedAt)
}
