package api

import (
	"fmt"
	"strings"
	"time"

	"rollcall/status"
)

// systemTask is a row of the sync status, its fields in the contract's order.
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

// rowKinds are the rows of one run of a source: clients of the contract know them apart by their uid.
var rowKinds = []struct {
	name   string
	object status.ObjectType
}{{"users", status.User}, {"groups", status.Group}, {"membership", status.Membership}}

// runRows makes rows of one run.
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

// row returns a row without status and messages. kind is what makes its UUID differ from that of its neighbours.
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

// distribute gives each message to the row of its object type. One that has none belongs to the first row, and to all
// of them if it says why the run ended.
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

// statusLogger is the logger of what package status itself notes: a run was cancelled, resumed or given up.
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

// rowStatus returns the status of one row of a source: it may be better than that of the run where the run was
// completed and what failed or is held was of another type.
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

// neverBetter sees to it that the rows do not hide a warning of their run: if none of them carries it, all do.
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

// events returns the messages of a row, and with them what the state of the run adds.
func (v runRows) events(messages []status.Message) []logEvent {
	out := logEvents(v.run.Container, messages)
	add := func(at time.Time, level, text string) {
		out = append(out, logEvent{Timestamp: stamp(at), LogLevel: level, Logger: apiLogger, Event: text, Attributes: map[string]any{}})
	}
	_, to := span(v.run, v.live, v.now)
	switch run := v.run; {
	case run.State.Open() && !v.live:
		add(to, "warning", "No worker keeps this run alive. It goes on when one comes back, or is closed as expired.")
	case run.State == status.Deferred:
		add(run.DeferredUntil, "info", fmt.Sprintf("Waits until %s: %s", run.DeferredUntil.UTC().Format(time.RFC3339), run.DeferReason))
	case run.State == status.Cancelled && !mentions(out, run.CancelledBy):
		add(to, "warning", "Cancelled by "+run.CancelledBy+".")
	case run.FailReason != "" && !mentions(out, run.FailReason):
		add(to, "error", "Failed: "+run.FailReason)
	}
	return out
}

// mentions reports whether an event says text, in its words or its attributes.
func mentions(events []logEvent, text string) bool {
	for _, e := range events {
		if strings.Contains(e.Event, text) || text != "" && e.Attributes["by"] == text {
			return true
		}
	}
	return false
}
