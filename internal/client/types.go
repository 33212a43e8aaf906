package client

import (
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/plan"
	"rollcall/status"
)

// Resource is a source or provider of the API.
type Resource struct {
	Container container.ID `json:"container"`
	Name      string       `json:"name"`
	Enabled   bool         `json:"enabled"`
}

// Run is a run, with what the API adds to its record.
type Run struct {
	status.Run
	// Ends is the estimated end of an open run; zero while there is no estimate.
	Ends time.Time `json:"estimated_end"`
	// Takes is how many seconds the changes take at the quota; zero where that is not known.
	Takes float64 `json:"estimated_duration"`
	// Seconds is how long it has taken since a worker first took it.
	Seconds float64 `json:"duration"`
}

// Runs is a part of the list of runs, newest first. Next is the cursor of what follows, empty at the end.
type Runs struct {
	Next    string `json:"next"`
	Results []Run  `json:"results"`
}

// Message is one line of what a run or a job said.
type Message struct {
	// ID is the message's place among those of its run.
	ID    string    `json:"id"`
	Time  time.Time `json:"timestamp"`
	Level string    `json:"log_level"`
	Event string    `json:"event"`
	// Attributes are facts about the message. Where it concerns an entry, kind, id and label name that entry.
	Attributes map[string]any `json:"attributes"`
}

// Attribute returns a fact that is a text, or nothing.
func (m Message) Attribute(name string) string {
	text, _ := m.Attributes[name].(string)
	return text
}

// The levels that call for attention.
const (
	Warning = "warning"
	Failure = "error"
)

// Messages is a part of what a run said, newest first.
type Messages struct {
	Next    string    `json:"next"`
	Results []Message `json:"results"`
}

// SyncStatus is what a container is doing.
type SyncStatus struct {
	IsRunning      bool      `json:"is_running"`
	LastSuccessful time.Time `json:"last_successful_sync"`
	// Tasks are the rows of the last runs, the newest first.
	Tasks []struct {
		Messages []struct {
			Event      string         `json:"event"`
			Attributes map[string]any `json:"attributes"`
		} `json:"messages"`
	} `json:"tasks"`
}

// Notices returns what an operator has to know about a container apart from its runs.
func (s SyncStatus) Notices() (out []string) {
	for _, t := range s.Tasks {
		for _, m := range t.Messages {
			if m.Attributes["notice"] == true {
				out = append(out, m.Event)
			}
		}
	}
	return out
}

// Pause says whether a container is paused, and in its text by which token and since when.
type Pause struct {
	Paused bool   `json:"paused"`
	Text   string `json:"text"`
}

// Resumed is the end of a pause with the run that follows. The run has no ID where another one is live.
type Resumed struct {
	Run Run `json:"run"`
}

// Held is what waits for a person in one container. Digest is empty where nothing does.
type Held struct {
	Digest  string       `json:"digest"`
	At      time.Time    `json:"at"`
	Count   int          `json:"count"`
	Changes []HeldChange `json:"changes"`
	// Conflicts are entries about which nothing can be decided: the first of ConflictCount.
	ConflictCount int                  `json:"conflict_count"`
	Conflicts     []decisions.Conflict `json:"conflicts"`
}

// HeldChange is one change that waits, with what was decided about it.
type HeldChange struct {
	decisions.HeldChange
	Fields   []plan.FieldChange `json:"fields"`
	Decision *struct {
		Verdict string    `json:"verdict"`
		By      string    `json:"by"`
		At      time.Time `json:"at"`
		Expires time.Time `json:"expires"`
	} `json:"decision"`
}

// Decided is the answer to a decision. Run carries out an approval.
type Decided struct {
	Verdict string    `json:"verdict"`
	Count   int       `json:"count"`
	Expires time.Time `json:"expires"`
	Run     *Run      `json:"run"`
}

// Job is the sync of a single object, or only what it said, where it was over in time.
type Job struct {
	ID       string          `json:"id"`
	State    status.JobState `json:"state"`
	Outcome  status.Outcome  `json:"outcome"`
	Messages []Message       `json:"messages"`
}

// Pins is what an undo keeps as it was.
type Pins struct {
	Count int        `json:"count"`
	Pins  []plan.Pin `json:"pins"`
}

// Server says which server a source was read from last, and which one is in doubt.
type Server struct {
	Text        string `json:"text"`
	PendingText string `json:"pending_text"`
	// PolledAt is when the source last told its changes, and PollReason why the last poll did not.
	PolledAt   time.Time `json:"polled_at"`
	PollReason string    `json:"poll_reason"`
}
