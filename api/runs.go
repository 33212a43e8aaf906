package api

import (
	"context"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"github.com/google/uuid"

	"rollcall/container"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/status"
)

// cursorPage is a part of a list that grows at its head. Next is the cursor of the next part; null at the end. A
// cursor stays valid when items are added.
type cursorPage[T any] struct {
	Next    *string `json:"next"`
	Results []T     `json:"results"`
}

const defaultRunPage = 20

// pageOf reads cursor and page_size.
func pageOf(q url.Values, size int) (before status.Cursor, limit int, err error) {
	wrong := invalid{}
	if text := q.Get("cursor"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			wrong.add("cursor", "This is not a cursor of this list.")
		}
		before = status.Cursor(n)
	}
	return before, sizeOf(q, size, wrong), wrong.orNil()
}

func sizeOf(q url.Values, size int, wrong invalid) int {
	return number(q, "page_size", size, 1, status.MaxList, wrong)
}

// number reads a parameter that may be missing.
func number(q url.Values, name string, otherwise, least, most int, wrong invalid) int {
	text := q.Get(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		wrong.add(name, "Ensure this value is between %d and %d.", least, most)
	}
	return n
}

// listed answers with a page of a list.
func listed[T, V any](r *request,
	list func(context.Context, container.ID, status.Cursor, int) ([]T, status.Cursor, error), view func(T) V,
) (answer, error) {
	before, limit, err := pageOf(r.URL.Query(), defaultRunPage)
	if err != nil {
		return answer{}, err
	}
	found, next, err := list(r.Context(), r.container(), before, limit)
	if err != nil {
		return answer{}, err
	}
	page := cursorPage[V]{Results: make([]V, len(found))}
	for i := range found {
		page.Results[i] = view(found[i])
	}
	if next > 0 {
		text := strconv.FormatInt(int64(next), 10)
		page.Next = &text
	}
	return ok(page), nil
}

// runs lists the runs of a container, newest first.
func (a *API) runs(r *request) (answer, error) {
	now := a.now()
	return listed(r, a.cfg.Status.List, func(run status.Run) runView { return newRunView(run, now) })
}

// run returns one run.
func (a *API) run(r *request) (answer, error) {
	run, err := a.runOf(r)
	return ok(newRunView(run, a.now())), err
}

func (a *API) runOf(r *request) (status.Run, error) {
	id, err := pathUUID(r, "run")
	if err != nil {
		return status.Run{}, err
	}
	return a.cfg.Status.Get(r.Context(), r.container(), id)
}

// pathUUID reads an id from the path. Only a UUID may become part of a Redis key.
func pathUUID(r *request, name string) (string, error) {
	id, err := uuid.Parse(r.PathValue(name))
	if err != nil || id.String() != r.PathValue(name) {
		return "", fault.Errorf(fault.NotFound, "%s: no id", name)
	}
	return id.String(), nil
}

// streamID matches the id of a message.
var streamID = regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`)

// messageView is a message with its id, for continued reading.
type messageView struct {
	ID string `json:"id"`
	logEvent
}

// runMessages lists the messages of a run, the newest first. With after=, it lists the messages after that id, the
// oldest first, so that a client can follow a run. An empty after= means from the first message.
func (a *API) runMessages(r *request) (answer, error) {
	run, err := a.runOf(r)
	if err != nil {
		return answer{}, err
	}
	q, wrong := r.URL.Query(), invalid{}
	limit := sizeOf(q, defaultPageSize, wrong)
	for _, name := range []string{"cursor", "after"} {
		if text := q.Get(name); text != "" && !streamID.MatchString(text) {
			wrong.add(name, "This is not the id of a message.")
		}
	}
	if q.Has("cursor") && q.Has("after") {
		wrong.add(nonField, "Give cursor or after, not both.")
	}
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	read, from := a.cfg.Status.Messages, q.Get("cursor")
	if q.Has("after") {
		read, from = a.cfg.Status.MessagesAfter, q.Get("after")
	}
	found, next, err := read(r.Context(), run.Container, run.ID, from, limit)
	if err != nil {
		return answer{}, err
	}
	page := cursorPage[messageView]{Results: make([]messageView, len(found))}
	for i, m := range found {
		page.Results[i] = messageView{m.ID, newLogEvent(run.Container, m)}
	}
	if next != "" {
		page.Next = &next
	}
	return ok(page), nil
}

// objects lists the object jobs of a provider, newest first.
func (a *API) objects(r *request) (answer, error) {
	return listed(r, a.cfg.Status.ListJobs, newJobView)
}

// object returns one object job.
func (a *API) object(r *request) (answer, error) {
	id, err := pathUUID(r, "job")
	if err != nil {
		return answer{}, err
	}
	job, err := a.cfg.Status.Job(r.Context(), r.container(), id)
	return ok(newJobView(job)), err
}

// runView is the complete description of a run in the service's own form.
type runView struct {
	ID        string            `json:"id"`
	Container container.ID      `json:"container"`
	Mode      status.Mode       `json:"mode"`
	DryRun    bool              `json:"dry_run"`
	Trigger   triggerView       `json:"trigger"`
	State     status.State      `json:"state"`
	Status    status.TaskStatus `json:"status"`

	CreatedAt      stamp   `json:"created_at"`
	StartedAt      *stamp  `json:"started_at"`
	FinishedAt     *stamp  `json:"finished_at"`
	Duration       float64 `json:"duration"`
	LastProgressAt *stamp  `json:"last_progress_at"`
	DeferredUntil  *stamp  `json:"deferred_until"`
	DeferReason    string  `json:"defer_reason"`
	ExpiresAt      *stamp  `json:"expires_at"`
	KeptUntil      *stamp  `json:"kept_until"`

	Worker  string `json:"worker"`
	Resumes int64  `json:"resumes"`

	Read          map[status.ObjectType]int64 `json:"read"`
	Progress      []status.Progress           `json:"progress"`
	Done          int64                       `json:"done"`
	Expected      int64                       `json:"expected"`
	EstimatedEnd  *stamp                      `json:"estimated_end"`
	EstimatedTime float64                     `json:"estimated_duration,omitempty"`
	Held          int64                       `json:"held"`
	FailedChanges int64                       `json:"failed_changes"`
	Calls         int64                       `json:"calls"`
	Messages      int64                       `json:"messages"`
	PlanDigest    string                      `json:"plan_digest"`
	PlannedAt     *stamp                      `json:"planned_at"`

	FailKind    string `json:"fail_kind"`
	FailReason  string `json:"fail_reason"`
	CancelledBy string `json:"cancelled_by"`
	Paused      string `json:"paused,omitempty"`
}

type triggerView struct {
	Kind status.TriggerKind `json:"kind"`
	By   string             `json:"by"`
	Of   string             `json:"of,omitempty"`
}

func viewTrigger(t status.Trigger) triggerView { return triggerView{t.Kind, t.By, t.Of} }

func newRunView(r status.Run, now time.Time) runView {
	v := runView{
		ID: r.ID, Container: r.Container, Mode: r.Mode, DryRun: r.DryRun, Trigger: viewTrigger(r.Trigger),
		State: r.State, Status: r.TaskStatus(),
		CreatedAt: stamp(r.CreatedAt), StartedAt: explain.MomentOf(r.StartedAt),
		FinishedAt: explain.MomentOf(r.FinishedAt),
		Duration:   r.Duration(now).Seconds(), LastProgressAt: explain.MomentOf(r.LastProgressAt),
		KeptUntil: explain.MomentOf(r.KeptUntil), Worker: r.Worker, Resumes: r.Resumes,
		Read: map[status.ObjectType]int64{}, Progress: r.Progress,
		Held: r.Held, FailedChanges: r.FailedChanges, Calls: r.Calls, Messages: r.Messages,
		PlanDigest: r.PlanDigest, PlannedAt: explain.MomentOf(r.PlannedAt),
		FailKind: r.FailKind, FailReason: r.FailReason, CancelledBy: r.CancelledBy, Paused: r.Paused,
	}
	if r.State.Open() { // what these say is over with the run
		v.EstimatedTime = r.Takes.Seconds()
		v.EstimatedEnd, v.ExpiresAt = explain.MomentOf(r.EstimatedEnd(now)), explain.MomentOf(r.ExpiresAt)
	}
	if r.State == status.Deferred {
		v.DeferredUntil, v.DeferReason = explain.MomentOf(r.DeferredUntil), r.DeferReason
	}
	if v.Progress == nil {
		v.Progress = []status.Progress{}
	}
	v.Done, v.Expected = r.Done()
	for _, o := range status.ObjectTypes() {
		v.Read[o] = r.Read[o]
	}
	return v
}

// jobView is an object job.
type jobView struct {
	ID         string            `json:"id"`
	Container  container.ID      `json:"container"`
	Kind       status.ObjectType `json:"kind"`
	ObjectID   string            `json:"object_id"`
	Trigger    triggerView       `json:"trigger"`
	State      status.JobState   `json:"state"`
	Outcome    *status.Outcome   `json:"outcome"`
	CreatedAt  stamp             `json:"created_at"`
	StartedAt  *stamp            `json:"started_at"`
	FinishedAt *stamp            `json:"finished_at"`
	Worker     string            `json:"worker"`
	Attempts   int64             `json:"attempts"`
	FailKind   string            `json:"fail_kind"`
	FailReason string            `json:"fail_reason"`
	Messages   []logEvent        `json:"messages"`
}

func newJobView(j status.Job) jobView {
	v := jobView{
		ID: j.ID, Container: j.Container, Kind: j.Kind, ObjectID: j.ObjectID,
		Trigger: viewTrigger(j.Trigger), State: j.State,
		CreatedAt: stamp(j.CreatedAt), StartedAt: explain.MomentOf(j.StartedAt),
		FinishedAt: explain.MomentOf(j.FinishedAt),
		Worker:     j.Worker, Attempts: j.Attempts, FailKind: j.FailKind, FailReason: j.FailReason,
		Messages: logEvents(j.Container, j.Messages),
	}
	if j.Outcome != "" {
		v.Outcome = &j.Outcome
	}
	return v
}
