package api

import (
	"net/url"
	"regexp"
	"strconv"

	"github.com/google/uuid"

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
	text := q.Get("page_size")
	if text == "" {
		return size
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > status.MaxList {
		wrong.add("page_size", "Ensure this value is between 1 and %d.", status.MaxList)
	}
	return n
}

func newPage[T any](results []T, next status.Cursor) cursorPage[T] {
	p := cursorPage[T]{Results: results}
	if next > 0 {
		text := strconv.FormatInt(int64(next), 10)
		p.Next = &text
	}
	return p
}

// runs lists the runs of a container, newest first.
func (a *API) runs(r *request) (answer, error) {
	before, limit, err := pageOf(r.URL.Query(), defaultRunPage)
	if err != nil {
		return answer{}, err
	}
	found, next, err := a.cfg.Status.List(r.Context(), r.container(), before, limit)
	if err != nil {
		return answer{}, err
	}
	views, now := make([]runView, len(found)), a.now()
	for i, run := range found {
		views[i] = newRunView(run, now)
	}
	return ok(newPage(views, next)), nil
}

// run returns one run.
func (a *API) run(r *request) (answer, error) {
	run, err := a.runOf(r)
	if err != nil {
		return answer{}, err
	}
	return ok(newRunView(run, a.now())), nil
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
	before, limit, err := pageOf(r.URL.Query(), defaultRunPage)
	if err != nil {
		return answer{}, err
	}
	found, next, err := a.cfg.Status.ListJobs(r.Context(), r.container(), before, limit)
	if err != nil {
		return answer{}, err
	}
	views := make([]jobView, len(found))
	for i, job := range found {
		views[i] = newJobView(job)
	}
	return ok(newPage(views, next)), nil
}

// object returns one object job.
func (a *API) object(r *request) (answer, error) {
	id, err := pathUUID(r, "job")
	if err != nil {
		return answer{}, err
	}
	job, err := a.cfg.Status.Job(r.Context(), r.container(), id)
	if err != nil {
		return answer{}, err
	}
	return ok(newJobView(job)), nil
}
