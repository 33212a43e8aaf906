package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/explain"
	"rollcall/status"
)

// closedTasks is the number of finished runs in the sync status, in addition to the live one.
const closedTasks = 10

// syncStatus is the response of the contract. The last two fields belong to its newer form, where they are optional
// and not nullable. They are omitted if they have no value.
type syncStatus struct {
	IsRunning          bool         `json:"is_running"`
	Tasks              []systemTask `json:"tasks"`
	LastSuccessfulSync *stamp       `json:"last_successful_sync,omitempty"`
	LastSyncStatus     string       `json:"last_sync_status,omitempty"`
}

// syncStatus returns the present activity of a container and the results of its last runs.
func (a *API) syncStatus(r *request) (answer, error) {
	text, err := a.recent(r.Context(), r.family, r.container())
	return ok(json.RawMessage(text)), err
}

// statusText returns the response with the rows of runs.
func statusText(g status.Glance, rows [][]byte) ([]byte, error) {
	text, err := json.Marshal(syncStatus{
		IsRunning: g.Live, Tasks: []systemTask{},
		LastSuccessfulSync: explain.MomentOf(g.SuccessfulAt), LastSyncStatus: lastSyncStatus(g.Summary),
	})
	if err != nil {
		return nil, err
	}
	before, after, _ := bytes.Cut(text, []byte("[]")) // the tasks
	tasks := bytes.Join(rows, []byte(","))
	return slices.Concat(before, []byte("["), tasks, []byte("]"), after, []byte("\n")), nil
}

// shown returns the newest messages of a run, the oldest first. If there are more, the first one says so.
func shown(run status.Run, page status.MessagePage) []status.Message {
	found := page.Messages
	slices.Reverse(found)
	if !page.More || len(found) == 0 {
		return found
	}
	return slices.Insert(found, 0, status.Message{
		Time: found[0].Time, Level: status.Info, Logger: apiLogger,
		Event: fmt.Sprintf("Only the last %d messages are shown; sync/runs/%s/messages/ has the others.", len(found),
			run.ID),
		Attributes: map[string]any{"messages": run.Messages},
	})
}

// apiLogger is the logger of messages that the API adds.
const apiLogger = "rollcall.api"

// lastSyncStatus returns a value of the newer form's enum; empty before the first finished run.
func lastSyncStatus(s status.Summary) string {
	if s.LastID == "" {
		return ""
	}
	switch s.LastStatus {
	case status.TaskSuccessful:
		return "done"
	case status.TaskWarning:
		return "warning"
	case status.TaskError:
		return "error"
	case status.TaskUnknown:
	}
	return ""
}

// span returns the start and the end of a run. An open run without renewals counts as ended at its last progress.
func span(run status.Run, live bool, now time.Time) (from, to time.Time) {
	from, to = run.StartedAt, run.FinishedAt
	if from.IsZero() {
		from = run.CreatedAt
	}
	if to.IsZero() {
		to = now
		if !live && !run.ExpiresAt.IsZero() && run.ExpiresAt.Before(now) {
			to = run.ExpiresAt
		}
	}
	if to.Before(from) { // clocks of two machines
		to = from
	}
	return from, to
}

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
		Expires: explain.MomentOf(v.run.KeptUntil), Expiring: !v.run.KeptUntil.IsZero(),
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
	failed := func(p status.Progress) bool { return p.Object == o && p.Failed > 0 }
	warns := func(m status.Message) bool { return m.Level != status.Info }
	if slices.ContainsFunc(v.run.Progress, failed) || slices.ContainsFunc(messages, warns) {
		return status.TaskWarning
	}
	return status.TaskSuccessful
}

// neverBetter keeps the rows from hiding a warning of their run. If no row has the warning, all rows get it.
func (v runRows) neverBetter(rows []systemTask) {
	want := v.run.TaskStatus()
	if slices.ContainsFunc(rows, func(row systemTask) bool { return row.Status == want }) {
		return
	}
	for i := range rows {
		rows[i].Status = want
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
	return slices.ContainsFunc(events, func(e logEvent) bool {
		return strings.Contains(e.Event, text) || text != "" && e.Attributes["by"] == text
	})
}

// logEvent is one message in the contract's form.
type logEvent struct {
	Timestamp  stamp          `json:"timestamp"`
	LogLevel   string         `json:"log_level"`
	Logger     string         `json:"logger"`
	Event      string         `json:"event"`
	Attributes map[string]any `json:"attributes"`
}

// logLevel maps a level to the closed set of the contract.
func logLevel(l status.Level) string {
	switch l {
	case status.Warning:
		return "warning"
	case status.Error:
		return "error"
	case status.Info:
	}
	return "info"
}

func newLogEvent(c container.ID, m status.Message) logEvent {
	e := logEvent{
		Timestamp: stamp(m.Time), LogLevel: logLevel(m.Level), Logger: m.Logger, Event: m.Event,
		Attributes: m.Attributes,
	}
	e.Logger = cmp.Or(e.Logger, c.String())
	if e.Attributes == nil {
		e.Attributes = map[string]any{}
	}
	return e
}

func logEvents(c container.ID, in []status.Message) []logEvent {
	out := make([]logEvent, len(in))
	for i, m := range in {
		out[i] = newLogEvent(c, m)
	}
	return out
}

// stamp is a time in the format of the contract.
type stamp = explain.Moment
