package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/status"
)

// refused is the response to a start while a run is live.
type refused struct {
	Detail string   `json:"detail"`
	Run    *runView `json:"run,omitempty"` // missing when its record was lost
}

// start starts a run: a full one or, with mode=delta, one over what changed. With dry_run, in the query or the body,
// the run writes nothing. Unknown parameters are refused, because a misspelt dry_run must not start a run that writes.
func (a *API) start(r *request) (answer, error) {
	options, err := startOptions(r, true)
	if err != nil {
		return answer{}, err
	}
	run, err := a.Start(r.Context(), r.container(), options.mode, options.dryRun, r.by())
	if err != nil {
		return answer{}, err
	}
	r.detail("run", run.ID)
	return answer{
		status: http.StatusAccepted, body: newRunView(run, a.now()),
		header: map[string]string{"Location": r.URL.EscapedPath() + "runs/" + url.PathEscape(run.ID) + "/"},
	}, nil
}

// refuseLive refuses what cannot be done while a run is live.
func (a *API) refuseLive(live status.Run, why string) *problem {
	out := refused{Detail: why}
	if live.State != "" {
		view := newRunView(live, a.now())
		out.Run = &view
	}
	return &problem{http.StatusConflict, out}
}

// options are the parameters of a start.
type options struct {
	dryRun bool
	mode   status.Mode
}

// startOptions reads the parameters. moded says that there is a choice of mode.
func startOptions(r *request, moded bool) (options, error) {
	out := options{mode: status.Full}
	body, err := readObject(r)
	if err != nil {
		return out, err
	}
	wrong := invalid{}
	given := map[string]any{}
	for name, values := range r.URL.Query() {
		given[name] = values[len(values)-1]
	}
	for name, v := range body {
		if _, twice := given[name]; twice {
			wrong.add(name, "This is given in the query and in the body.")
		}
		given[name] = v
	}
	for name, v := range given {
		switch on, known := parseBool(v); {
		case moded && name == "mode" && (v == string(status.Full) || v == string(status.Delta)):
			out.mode = status.Mode(inWords(v))
		case moded && name == "mode":
			wrong.add(name, `Must be "full" or "delta".`)
		case name != "dry_run":
			wrong.add(name, "Unknown parameter.")
		case !known:
			wrong.add(name, "Must be a valid boolean.")
		default:
			out.dryRun = on
		}
	}
	return out, wrong.orNil()
}

// cancel ends the run of a container.
func (a *API) cancel(r *request) (answer, error) {
	run, err := a.Cancel(r.Context(), r.container(), r.by())
	if err != nil {
		return answer{}, err
	}
	r.detail("run", run.ID)
	return ok(newRunView(run, a.now())), nil
}

// check refuses work on a disabled resource.
func (r *resource) check() error {
	if r.Disabled {
		return conflict("This " + r.family.verbose + " is disabled.")
	}
	return nil
}

// The fields of a request for a single object, and the closed set of models. Clients are generated from them.
const (
	fieldModel    = "sync_object_model"
	fieldObject   = "sync_object_id"
	fieldOverride = "override_dry_run"

	modelUser  = "authentik.core.models.User"
	modelGroup = "authentik.core.models.Group"

	// maxObjectID is the longest id, in characters.
	maxObjectID = 1024
)

// objectResult is the response of the contract.
type objectResult struct {
	Messages []logEvent `json:"messages"`
}

// syncObject syncs one user or group to a provider and waits for the result. The response is 200 with any result, or
// 202 if the sync takes too long for a client to wait.
func (a *API) syncObject(r *request) (answer, error) {
	body, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	kind, text, err := objectOptions(body)
	if err != nil {
		return answer{}, err
	}
	job, err := a.SyncObject(r.Context(), r.container(), kind, text, r.by())
	if job.ID != "" {
		r.detail("job", job.ID)
		r.detail("object", string(job.Kind)+"/"+job.ObjectID)
	}
	if err != nil {
		return answer{}, err
	}
	if job.State == status.JobDone {
		return ok(objectResult{a.jobEvents(job)}), nil
	}
	place := strings.TrimSuffix(r.URL.EscapedPath(), "object/") + "objects/" + job.ID + "/"
	return answer{
		status: http.StatusAccepted, header: map[string]string{"Location": place},
		body: objectResult{[]logEvent{{
			Timestamp: stamp(a.now()), LogLevel: "info", Logger: apiLogger,
			Event:      fmt.Sprintf("The sync of this %s is still %s: %s has the result.", kind, job.State, place),
			Attributes: map[string]any{"job_id": job.ID, "state": job.State},
		}}},
	}, nil
}

// objectOptions reads the body. The error lists every wrong field.
func objectOptions(body map[string]any) (directory.Kind, string, error) {
	wrong := invalid{}
	kind := modelOf(body, wrong)
	text := objectIDOf(body, wrong)
	if v, given := body[fieldOverride]; given {
		// There is no dry run to override. The flag is accepted because clients send it.
		if _, known := parseBool(v); !known {
			wrong.add(fieldOverride, "Must be a valid boolean.")
		}
	}
	if _, given := body["dry_run"]; given { // ignoring it would write what the caller wanted to see first
		wrong.add("dry_run", "A single object has no dry run.")
	}
	return kind, text, wrong.orNil()
}

func modelOf(body map[string]any, wrong invalid) directory.Kind {
	v, given := body[fieldModel]
	switch {
	case !given:
		wrong.add(fieldModel, "This field is required.")
	case v == nil:
		wrong.add(fieldModel, "This field may not be null.")
	case v == any(modelUser):
		return directory.User
	case v == any(modelGroup):
		return directory.Group
	default:
		wrong.add(fieldModel, `"%s" is not a valid choice.`, shorten(inWords(v)))
	}
	return 0
}

// objectIDOf accepts a number for its text, as the contract's server does, because ids were once numbers.
func objectIDOf(body map[string]any, wrong invalid) string {
	v, given := body[fieldObject]
	text, isText := v.(string)
	if n, isNumber := v.(json.Number); isNumber {
		text, isText = n.String(), true
	}
	text = strings.TrimSpace(text)
	switch {
	case !given:
		wrong.add(fieldObject, "This field is required.")
	case v == nil:
		wrong.add(fieldObject, "This field may not be null.")
	case !isText:
		wrong.add(fieldObject, "Not a valid string.")
	default:
		checkObjectID(fieldObject, text, wrong)
	}
	return text
}

// checkObjectID adds what is wrong with the text of an id.
func checkObjectID(field, text string, wrong invalid) {
	switch {
	case text == "":
		wrong.add(field, "This field may not be blank.")
	case strings.ContainsRune(text, 0):
		wrong.add(field, "Null characters are not allowed.")
	case utf8.RuneCountInString(text) > maxObjectID:
		wrong.add(field, "Ensure this field has no more than %d characters.", maxObjectID)
	}
}

// inWords returns a JSON value as text, and a string without its quotes.
func inWords(v any) string {
	if s, isText := v.(string); isText {
		return s
	}
	text, _ := json.Marshal(v) // it came from JSON
	return string(text)
}

// shorten limits the length of a quoted value.
func shorten(s string) string {
	const most = 100
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}

// findObject returns the entry that text names. No entry or several entries are an error of the caller.
func (a *API) findObject(ctx context.Context, c container.ID, kind directory.Kind, text string) (Match, error) {
	found, err := a.cfg.Directory.Find(ctx, c, kind, text)
	switch {
	case err != nil && fault.KindOf(err) == fault.NotFound, err == nil && len(found) == 0:
		return Match{}, invalidField(fieldObject, "No %s has the id, anchor, username or mail %q.", kind, shorten(text))
	case err != nil && fault.KindOf(err) == fault.Invalid:
		return Match{}, invalidField(fieldObject, "%v", err)
	case err != nil:
		return Match{}, err
	case len(found) > 1:
		return Match{}, invalidField(fieldObject, "%d %ss match %q: give the unique id of one of them.", len(found), kind,
			shorten(text))
	}
	return found[0], nil
}

// jobEvents returns the messages of a finished job. A job without messages gets one, because an empty list would look
// like success.
func (a *API) jobEvents(job status.Job) []logEvent {
	if len(job.Messages) > 0 {
		return logEvents(job.Container, job.Messages)
	}
	e := logEvent{Timestamp: stamp(job.FinishedAt), LogLevel: "info", Logger: apiLogger, Attributes: map[string]any{
		"kind": job.Kind, "id": job.ObjectID, "outcome": job.Outcome,
	}}
	switch job.Outcome {
	case status.OutcomeFailed:
		e.LogLevel, e.Event = "error", "Failed: "+job.FailReason
	case status.OutcomeAbsent:
		e.LogLevel, e.Event = "error", outcomeText[job.Outcome]
	case status.OutcomeHeld:
		e.LogLevel, e.Event = "warning", outcomeText[job.Outcome]
	case status.OutcomeCreated, status.OutcomeUpdated, status.OutcomeSuspended, status.OutcomeRestored,
		status.OutcomeDeleted, status.OutcomeUnchanged, status.OutcomeOutOfScope:
		e.Event = outcomeText[job.Outcome]
	}
	return []logEvent{e}
}

var outcomeText = map[status.Outcome]string{
	status.OutcomeCreated: "Created.", status.OutcomeUpdated: "Updated.", status.OutcomeSuspended: "Suspended.",
	status.OutcomeRestored: "Restored.", status.OutcomeDeleted: "Deleted.", status.OutcomeUnchanged: "Nothing to change.",
	status.OutcomeOutOfScope: "Out of scope: not provisioned.", status.OutcomeHeld: "Held: a person has to look.",
	status.OutcomeAbsent: "Absent at its source; not suspended.",
}

// readObject reads a JSON object. An empty body is an empty object, whatever its media type, as in the contract's
// server. The error texts are those of the contract.
func readObject(r *request) (map[string]any, error) {
	data, err := io.ReadAll(r.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, badRequest(fmt.Sprintf("Request body exceeds %d bytes.", tooLarge.Limit))
	}
	if err != nil {
		return nil, badRequest("Request body could not be read.")
	}
	if len(data) == 0 {
		return map[string]any{}, nil
	}
	given := r.Header.Get("Content-Type")
	if media, _, err := mime.ParseMediaType(given); err != nil && media == "" || media != "application/json" {
		return nil, &problem{http.StatusUnsupportedMediaType,
			detail{Detail: `Unsupported media type "` + given + `" in request.`}}
	}
	v, err := parseJSON(data)
	if err != nil {
		return nil, badRequest("JSON parse error - " + err.Error())
	}
	object, isObject := v.(map[string]any)
	if !isObject {
		return nil, invalidField(nonField, "Invalid data. Expected a dictionary, but got %s.", typeName(v))
	}
	return object, nil
}

// parseJSON reads exactly one value and keeps the text of numbers.
func parseJSON(data []byte) (any, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the body is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var v any
	switch err := dec.Decode(&v); {
	case errors.Is(err, io.EOF):
		//nolint:staticcheck // This is a text of the contract's server.
		return nil, errors.New("Expecting value: line 1 column 1 (char 0)")
	case err != nil:
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("Extra data after the value") //nolint:staticcheck // the same
	}
	return v, nil
}

// typeName names the type of a JSON value as the contract's server does.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case string:
		return "str"
	case []any:
		return "list"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "float"
		}
		return "int"
	}
	return "dict"
}

// parseBool reads a flag in any spelling that the contract's server accepts.
func parseBool(v any) (on, known bool) {
	switch v := v.(type) {
	case bool:
		return v, true
	case json.Number:
		return v == "1", v == "0" || v == "1"
	case string:
		switch strings.ToLower(v) {
		case "t", "y", "yes", "true", "on", "1":
			return true, true
		case "f", "n", "no", "false", "off", "0":
			return false, true
		}
	}
	return false, false
}
