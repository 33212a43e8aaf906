package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/status"
)

// MaxPage is how many items one call returns at most.
const MaxPage = status.MaxList

// Resources returns every source and provider that the API knows, sources first.
func (c *Client) Resources(ctx context.Context) ([]Resource, error) {
	type list struct {
		Pagination struct {
			Next int `json:"next"`
		} `json:"pagination"`
		Results []Resource `json:"results"`
	}
	var out []Resource
	paths := []string{"/sources/ldap/"}
	for i := range c.types {
		paths = append(paths, "/providers/"+c.types[i].Name+"/")
	}
	for _, path := range paths {
		for page := 1; page > 0; {
			got, err := get[list](ctx, c, path,
				url.Values{"page": {strconv.Itoa(page)}, "page_size": {strconv.Itoa(MaxPage)}})
			if err != nil {
				return nil, missing(err, "%s has no list of sources and providers: is it the address of Rollcall's "+
					"API?", c.address)
			}
			out, page = append(out, got.Value.Results...), got.Value.Pagination.Next
		}
	}
	return out, nil
}

// of calls a path below that of a container. Its error says what to do where the API does not have the container.
func of[T any](ctx context.Context, c *Client, name container.ID, method, path string, body any) (Answer[T], error) {
	a, err := call[T](ctx, c, method, pathOf(name)+path, body, callTime)
	return a, missing(err, "the API has no %s: rollcall status says what it has", name)
}

// Status returns what a container is doing.
func (c *Client) Status(ctx context.Context, name container.ID) (Answer[SyncStatus], error) {
	return of[SyncStatus](ctx, c, name, http.MethodGet, "sync/status/", nil)
}

// Runs lists the runs of a container from a cursor on, newest first.
func (c *Client) Runs(ctx context.Context, name container.ID, cursor string, size int) (Answer[Runs], error) {
	q := url.Values{"page_size": {strconv.Itoa(size)}}
	if cursor != "" {
		q.Set("cursor", cursor)
	}
	return of[Runs](ctx, c, name, http.MethodGet, "sync/runs/?"+q.Encode(), nil)
}

// Run returns one run.
func (c *Client) Run(ctx context.Context, name container.ID, id string) (Answer[Run], error) {
	a, err := get[Run](ctx, c, pathOf(name)+"sync/runs/"+url.PathEscape(id)+"/", nil)
	return a, missing(err, "the API has no run %q of %s: rollcall runs %[2]s lists them", id, name)
}

// Plan returns a page of the plan of a run, as a table for people or as JSON.
func (c *Client) Plan(ctx context.Context, name container.ID, run string, asText bool) ([]byte, error) {
	q := url.Values{"run": {run}}
	if asText {
		q.Set("format", "text")
	}
	a, err := get[Text](ctx, c, pathOf(name)+"sync/plan/", q)
	return a.Body, missing(err, "the API has no run %q of %s: rollcall runs %[2]s lists them", run, name)
}

// Messages returns the newest messages of a run, newest first.
func (c *Client) Messages(ctx context.Context, name container.ID, id string, size int) (Answer[Messages], error) {
	q := url.Values{"page_size": {strconv.Itoa(size)}}
	a, err := get[Messages](ctx, c, pathOf(name)+"sync/runs/"+url.PathEscape(id)+"/messages/", q)
	return a, missing(err, "the API has no run %q of %s: rollcall runs %[2]s lists them", id, name)
}

// Start starts a full sync. Where a run is live already, the Error has it.
func (c *Client) Start(ctx context.Context, name container.ID, mode status.Mode, dryRun bool) (Answer[Run], error) {
	options := map[string]any{"dry_run": dryRun}
	if mode == status.Delta {
		options["mode"] = mode
	}
	return of[Run](ctx, c, name, http.MethodPost, "sync/", options)
}

// Cancel ends the live run of a container.
func (c *Client) Cancel(ctx context.Context, name container.ID) (Answer[Run], error) {
	return of[Run](ctx, c, name, http.MethodPost, "sync/cancel/", nil)
}

// Held returns a part of what waits for a person.
func (c *Client) Held(ctx context.Context, name container.ID, offset, limit int) (Answer[Held], error) {
	q := url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)}}
	return of[Held](ctx, c, name, http.MethodGet, "sync/held/?"+q.Encode(), nil)
}

// HeldBy returns a part of the changes of a held set that still wait unchanged. The set may be superseded.
func (c *Client) HeldBy(ctx context.Context, name container.ID, digest string, offset, limit int) (Answer[Held],
	error) {
	q := url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)}}
	a, err := get[Held](ctx, c, pathOf(name)+"sync/held/"+url.PathEscape(digest)+"/", q)
	return a, noSet(err, name, digest)
}

func noSet(err error, name container.ID, digest string) error {
	return missing(err, "the API has no held set %q of %s: rollcall held %[2]s says what waits", digest, name)
}

// ErrChanged says that what waits became something else while it was read.
var ErrChanged = errors.New("what is held changed while it was read: look again")

// AllHeld returns everything that waits for a person. A digest limits it to the changes of that set.
func (c *Client) AllHeld(ctx context.Context, name container.ID, digest string) (Held, error) {
	part := c.Held
	if digest != "" {
		part = func(ctx context.Context, name container.ID, offset, limit int) (Answer[Held], error) {
			return c.HeldBy(ctx, name, digest, offset, limit)
		}
	}
	var all Held
	for {
		a, err := part(ctx, name, len(all.Changes), MaxPage)
		if err != nil {
			return Held{}, err
		}
		if len(all.Changes) > 0 && a.Value.Digest != all.Digest {
			return Held{}, ErrChanged
		}
		more := len(a.Value.Changes) > 0
		a.Value.Changes = append(all.Changes, a.Value.Changes...)
		if all = a.Value; len(all.Changes) >= all.Count || !more {
			return all, nil
		}
	}
}

// Verdict is what a person decides about held changes, as the path has it.
type Verdict string

// The verdicts.
const (
	Approve Verdict = "approve"
	Reject  Verdict = "reject"
)

// Decide decides about the changes of a held set, either all of them or those that entries list by id or fingerprint.
func (c *Client) Decide(ctx context.Context, name container.ID, digest string, v Verdict,
	entries []string) (Answer[Decided], error) {
	var body any
	if len(entries) > 0 {
		body = map[string][]string{"entries": entries}
	}
	a, err := post[Decided](ctx, c, pathOf(name)+"sync/held/"+url.PathEscape(digest)+"/"+string(v)+"/", body, callTime)
	return a, noSet(err, name, digest)
}

// Explain says how one entry stands everywhere, and why.
func (c *Client) Explain(ctx context.Context, q explain.Query) (Answer[explain.Document], error) {
	a, err := call[explain.Document](ctx, c, http.MethodGet, "/explain/?"+url.Values{string(q.By): {q.Value}}.Encode(),
		nil, explainTime)
	return a, missing(err, "%s has no explain: it is an older version of the API", c.address)
}

// models are the closed names of the contract.
var models = map[directory.Kind]string{
	directory.User: "authentik.core.models.User", directory.Group: "authentik.core.models.Group",
}

// Object syncs one user or group to a provider and waits for the result as long as the API does. If that was not long
// enough, the job has an ID and is not done.
func (c *Client) Object(ctx context.Context, name container.ID, kind directory.Kind, id string) (Answer[Job], error) {
	a, err := post[Job](ctx, c, pathOf(name)+"sync/object/", map[string]string{
		"sync_object_model": models[kind], "sync_object_id": id,
	}, objectTime)
	a.Value.State = status.JobDone // The contract has messages only; what else there is stands in their attributes.
	for _, m := range a.Value.Messages {
		if outcome := m.Attribute("outcome"); outcome != "" {
			a.Value.Outcome = status.Outcome(outcome)
		}
		if job := m.Attribute("job_id"); job != "" && a.Status == http.StatusAccepted {
			a.Value.ID, a.Value.State = job, status.JobRunning
		}
	}
	return a, missing(err, "the API has no provider %s: rollcall status says what it has", name)
}

// Job returns the sync of a single object.
func (c *Client) Job(ctx context.Context, name container.ID, id string) (Answer[Job], error) {
	a, err := get[Job](ctx, c, pathOf(name)+"sync/objects/"+url.PathEscape(id)+"/", nil)
	return a, missing(err, "the API has no job %q of %s", id, name)
}

// missing puts the API's plain "Not found." into words. Where a path is not served at all, the API is of another
// version.
func missing(err error, format string, args ...any) error {
	e, is := errors.AsType[*Error](err)
	if is && e.Kind == fault.NotFound && e.Body != nil && strings.HasPrefix(e.Text, "Not found") {
		e.Text = fmt.Sprintf(format, args...)
	}
	return err
}

// Revert starts a run that takes back what another one changed.
func (c *Client) Revert(ctx context.Context, name container.ID, run string, dryRun bool) (Answer[Run], error) {
	a, err := post[Run](ctx, c, pathOf(name)+"sync/runs/"+url.PathEscape(run)+"/revert/",
		map[string]bool{"dry_run": dryRun}, callTime)
	return a, missing(err, "the API has no run %q of %s that could be undone: rollcall runs %[2]s lists them", run,
		name)
}

// Pins returns a part of what is pinned.
func (c *Client) Pins(ctx context.Context, name container.ID, offset, limit int) (Answer[Pins], error) {
	q := url.Values{"offset": {strconv.Itoa(offset)}, "limit": {strconv.Itoa(limit)}}
	a, err := get[Pins](ctx, c, pathOf(name)+"sync/pins/", q)
	return a, missing(err, "the API has no provider %s: rollcall status says what it has", name)
}

// Lift ends pins, those of the entries or, without any, all.
func (c *Client) Lift(ctx context.Context, name container.ID, entries []string) (Answer[api.Lifted], error) {
	body := map[string]any{}
	if len(entries) > 0 {
		body["entries"] = entries
	}
	a, err := post[api.Lifted](ctx, c, pathOf(name)+"sync/pins/lift/", body, callTime)
	return a, missing(err, "the API has no provider %s: rollcall status says what it has", name)
}

// Kept lists the decisions and pins that are not trusted.
func (c *Client) Kept(ctx context.Context, name container.ID) (Answer[api.Kept], error) {
	return of[api.Kept](ctx, c, name, http.MethodGet, "sync/decisions/", nil)
}

// Adopt signs the decisions and pins of a list.
func (c *Client) Adopt(ctx context.Context, name container.ID, digest string) (Answer[api.Lifted], error) {
	return of[api.Lifted](ctx, c, name, http.MethodPost, "sync/decisions/"+url.PathEscape(digest)+"/adopt/", nil)
}

// Leave orders that a user leaves or, with lift, ends that order. Jobs carry it out.
func (c *Client) Leave(ctx context.Context, entry string, lift bool) (Answer[api.Ordered], error) {
	path := "/leave/"
	if lift {
		path += "lift/"
	}
	a, err := post[api.Ordered](ctx, c, path, map[string]string{"entry": entry}, explainTime)
	return a, missing(err, "%s has no orders to leave: it is an older version of the API", c.address)
}

// Leaves returns the orders to leave that stand.
func (c *Client) Leaves(ctx context.Context) (Answer[api.Orders], error) {
	a, err := get[api.Orders](ctx, c, "/leave/orders/", nil)
	return a, missing(err, "%s has no orders to leave: it is an older version of the API", c.address)
}

// Server says which server a source was read from last.
func (c *Client) Server(ctx context.Context, name container.ID) (Answer[Server], error) {
	a, err := get[Server](ctx, c, pathOf(name)+"sync/server/", nil)
	return a, missing(err, "the API has no source %s: rollcall status says what it has", name)
}

// AcceptServer takes the server in doubt as the right one.
func (c *Client) AcceptServer(ctx context.Context, name container.ID) (Answer[Server], error) {
	a, err := post[Server](ctx, c, pathOf(name)+"sync/server/accept/", nil, callTime)
	return a, missing(err, "the API has no source %s: rollcall status says what it has", name)
}

// PauseOf says whether a container is paused.
func (c *Client) PauseOf(ctx context.Context, name container.ID) (Answer[Pause], error) {
	return of[Pause](ctx, c, name, http.MethodGet, "sync/pause/", nil)
}

// Pause keeps everything from writing to a container, and returns the pause that stands.
func (c *Client) Pause(ctx context.Context, name container.ID) (Answer[Pause], error) {
	return of[Pause](ctx, c, name, http.MethodPost, "sync/pause/", nil)
}

// Resume ends the pause of a container.
func (c *Client) Resume(ctx context.Context, name container.ID) (Answer[Resumed], error) {
	return of[Resumed](ctx, c, name, http.MethodPost, "sync/resume/", nil)
}
