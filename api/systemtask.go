package api

import (
	"fmt"
	"strings"
	"time"

	"rollcall/status"
)

// systemTask is a row of the sync status, with its fields in the order of the contract.
type systemTask struct {
	UUID            string            `json:"uuid"`
	Name            string            `json:"name"`
	FullName        string            `json:"full_name"`
	UID             string            `json:"uid"`
	Description     string            `json:"description"`
	StartTimestamp  stamp             `json:"start_timestamp"`
	FinishTimestamp stamp             `json:"finish_timestamp"`
	Duration        float64           `json:"duration"`
	Status          status.TaskStatus `json:"status"`
	Messages        []logEvent        `json:"messages"`
	Expires         *stamp            `json:"expires"`
	Expiring        bool              `json:"expiring"`
}

// rowKinds are the rows of one run of a source. Clients of the contract distinguish them by their uid.
var rowKinds = []struct {
	name   string
	object status.ObjectType
}{{"users", status.User}, {"groups", status.Group}, {"membership", status.Membership}}

// runRows makes the rows of one run.
type runRows struct {
	family   *family
	run      status.Run
	live     bool // the container's open run is live
	now      time.Time
	messages []status.Message // oldest first
}

// rows returns three rows for a run of a source and one for a run of a provider.
func (v runRows) rows() []systemTask {
	if !v.run.Container.IsSource() {
		row := v.row(v.family.task, v.run.ID)
		row.Status, row.Messages = v.run.TaskStatus(), v.events(v.messages)
		return []systemTask{row}
	}
	messages := v.distribute()
	out := make([]systemTask, len(rowKinds))
	for i, kind := range rowKinds {
		out[i] = v.row(kind.name, v.run.Container.Name()+":"+kind.name+":"+v.run.ID)
		out[i].Status, out[i].Messages = v.rowStatus(kind.object, messages[i]), v.events(messages[i])
	}
	v.neverBetter(out)
	return out
}

// row returns a row without status and messages. kind makes the UUIDs of the rows of a run different.
func (v runRows) row(kind, uid string) systemTask {
	from, to := span(v.run, v.live, v.now)
	row := systemTask{
		UUID: status.TaskUUID(v.run.ID, kind).String(),
		Name: v.family.task, FullName: v.family.task + ":" + uid, UID: uid, Description: v.family.description,
		StartTimestamp: stamp(from), FinishTimestamp: stamp(to), Duration: to.Sub(from).Seconds(),
		Expires: orNull(v.run.KeptUntil), Expiring: !v.run.KeptUntil.IsZero(),
	}
	if v.run.DryRun {
		row.Description += " (dry run: nothing is written)"
	}
	return row
}

// distribute assigns each message to the row of its object type. A message without a type belongs to the first row. A
// message about the end of the run belongs to every row.
func (v runRows) distribute() [][]status.Message {
	out := make([][]status.Message, len(rowKinds))
	for _, m := range v.messages {
		at := rowOf(m)
		for i := range out {
			everywhere := at < 0 && (m.Level == status.Error || m.Logger == statusLogger)
			if i == max(at, 0) || everywhere {
				out[i] = append(out[i], m)
			}
		}
	}
	return out
}

// statusLogger is the logger of messages from package status about cancelled, resumed or expired runs.
const statusLogger = "rollcall.status"

// rowOf returns the index of the row that a message belongs to, or -1.
func rowOf(m status.Message) int {
	text := func(key string) string { s, _ := m.Attributes[key].(string); return s }
	switch {
	case text("member") != "" || text("kind") == string(status.Membership) || strings.HasSuffix(text("op"), "_member"):
		return 2
	case text("kind") == string(status.Group):
		return 1
	case text("kind") == string(status.User):
		return 0
	}
	return -1
}

// rowStatus returns the status of one row of a source. It can be better than the status of a completed run if the
// failed or held changes have another type.
func (v runRows) rowStatus(o status.ObjectType, messages []status.Message) status.TaskStatus {
	if v.run.TaskStatus() != status.TaskWarning || v.run.State != status.Completed {
		return v.run.TaskStatus()
	}
	for _, p := range v.run.Progress {
		if p.Object == o && p.Failed > 0 {
			return status.TaskWarning
		}
	}
	for _, m := range messages {
		if m.Level != status.Info {
			return status.TaskWarning
		}
	}
	return status.TaskSuccessful
}

// neverBetter keeps the rows from hiding a warning of their run. If no row has the warning, all rows get it.
func (v runRows) neverBetter(rows []systemTask) {
	for _, row := range rows {
		if row.Status == v.run.TaskStatus() {
			return
		}
	}
	for i := range rows {
		rows[i].Status = v.run.TaskStatus()
	}
}

// events returns the messages of a row, and those that follow from the state of the run.
func (v runRows) events(messages []status.Message) []logEvent {
	out := logEvents(v.run.Container, messages)
	add := func(at time.Time, level, text string) {
		out = append(out, logEvent{Timestamp: stamp(at), LogLevel: level, Logger: apiLogger, Event: text,
			Attributes: map[string]any{}})
	}
	_, to := span(v.run, v.live, v.now)
	switch run := v.run; {
	case run.State.Open() && !v.live:
		add(to, "warning", "No worker keeps this run alive. It goes on when one comes back, or is closed as expired.")
	case run.State == status.Deferred:
		add(run.DeferredUntil, "info", fmt.Sprintf("Waits until %s: %s", run.DeferredUntil.UTC().Format(time.RFC3339),
			run.DeferReason))
	case run.State == status.Cancelled && !mentions(out, run.CancelledBy):
		add(to, "warning", "Cancelled by "+run.CancelledBy+".")
	case run.FailReason != "" && !mentions(out, run.FailReason):
		add(to, "error", "Failed: "+run.FailReason)
	}
	return out
}

// mentions reports whether the text or an attribute of an event contains text.
func mentions(events []logEvent, text string) bool {
	for _, e := range events {
		if strings.Contains(e.Event, text) || text != "" && e.Attributes["by"] == text {
			return true
		}
	}
	return false
}
