package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"rollcall/explain"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/jobs"
	"rollcall/preview"
)

// Previewer compares a changed configuration with the running one. A worker does it, because it reads the directories
// and the tenants.
type Previewer interface {
	// Submit has the text of a configuration compared. The error is ConfigProblems if the text cannot be the next
	// configuration, and fault.Conflict while another comparison is made.
	Submit(ctx context.Context, text []byte, by string, at time.Time) (Preview, error)
	// Preview returns a comparison. The error is fault.NotFound if it is not kept.
	Preview(ctx context.Context, id string) (Preview, error)
}

// Preview is a comparison of two configurations. It is kept for an hour.
type Preview struct {
	jobs.Kept
	// Result is nil until the comparison is done.
	Result *preview.Document
}

// Problem says why the comparison failed, for people; it is empty if it did not.
func (p *Preview) Problem() string {
	if p.Err == nil {
		return ""
	}
	return secret.Scrub(p.Err.Error())
}

// ConfigProblem is one mistake of a configuration.
type ConfigProblem struct {
	Line    int // 0 where the mistake is in no line
	Field   string
	Message string
}

// ConfigProblems are the mistakes of a configuration, in the order of its lines.
type ConfigProblems []ConfigProblem

// Error implements error with one line for each mistake.
func (p ConfigProblems) Error() string {
	text := ""
	for i := range p {
		text += cmp.Or(p[i].Field, nonField) + ": " + p[i].Text() + "\n"
	}
	return text
}

// Text names the line and says what is wrong.
func (p *ConfigProblem) Text() string {
	if p.Line == 0 {
		return p.Message
	}
	return fmt.Sprintf("line %d: %s", p.Line, p.Message)
}

// fields returns the mistakes by the field, as the body of a 400.
func (p ConfigProblems) fields() invalid {
	out := invalid{}
	for i := range p {
		out.add(cmp.Or(p[i].Field, nonField), "%s", p[i].Text())
	}
	return out
}

// previewView is the response about a comparison.
type previewView struct {
	ID     string            `json:"id"`
	By     string            `json:"by"`
	At     stamp             `json:"at"`
	State  jobs.KeptState    `json:"state"`
	Error  string            `json:"error,omitempty"`
	Result *preview.Document `json:"result,omitempty"`
}

func newPreviewView(p Preview) previewView {
	return previewView{p.ID, p.By, stamp(p.At), p.State, p.Problem(), p.Result}
}

// previewTypes are the media types of a configuration (RFC 9512).
var previewTypes = []string{"application/yaml", "application/x-yaml", "text/yaml", "text/plain"}

// startPreview has a changed configuration compared with the running one.
func (a *API) startPreview(r *request) (answer, error) {
	if len(r.caller.Only) > 0 { // A comparison names every source and provider.
		return answer{}, errForbidden
	}
	if a.cfg.Previewer == nil {
		return notFound(), nil
	}
	text, err := io.ReadAll(r.Body)
	if tooLarge, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return answer{}, badRequest(fmt.Sprintf("Request body exceeds %d bytes.", tooLarge.Limit))
	}
	if err != nil {
		return answer{}, badRequest("Request body could not be read.")
	}
	given := r.Header.Get("Content-Type")
	if media, _, _ := mime.ParseMediaType(given); !slices.Contains(previewTypes, media) {
		return answer{}, &problem{http.StatusUnsupportedMediaType,
			detail{Detail: `Unsupported media type "` + given + `" in request: send the file as application/yaml.`}}
	}
	p, err := a.StartPreview(r.Context(), text, r.by())
	if err != nil {
		return answer{}, err
	}
	r.detail("preview", p.ID)
	return answer{status: http.StatusAccepted, body: newPreviewView(p),
		header: map[string]string{"Location": prefix + "/preview/" + p.ID + "/"}}, nil
}

// previewed returns a comparison.
func (a *API) previewed(r *request) (answer, error) {
	if len(r.caller.Only) > 0 {
		return answer{}, errForbidden
	}
	p, err := a.Preview(r.Context(), r.PathValue("preview"))
	return ok(newPreviewView(p)), err
}

// StartPreview has the text of a changed configuration compared with the running one. Nothing is written but the
// comparison.
func (a *API) StartPreview(ctx context.Context, text []byte, by string) (Preview, error) {
	switch {
	case a.cfg.Previewer == nil:
		return Preview{}, fault.Errorf(fault.NotFound, "previews are not configured")
	case !utf8.Valid(text):
		return Preview{}, ConfigProblems{{Message: "is not UTF-8"}}
	}
	return a.cfg.Previewer.Submit(ctx, text, by, a.now())
}

// Preview returns a comparison. The error is fault.NotFound if it is not kept.
func (a *API) Preview(ctx context.Context, id string) (Preview, error) {
	if a.cfg.Previewer == nil {
		return Preview{}, fault.Errorf(fault.NotFound, "previews are not configured")
	}
	return a.cfg.Previewer.Preview(ctx, id)
}

// explain explains the state of one entry at every source and provider.
func (a *API) explain(r *request) (answer, error) {
	if len(r.caller.Only) > 0 { // an explanation names every source and provider
		return answer{}, errForbidden
	}
	if a.cfg.Explainer == nil {
		return notFound(), nil
	}
	q, err := explainQuery(r)
	if err != nil {
		return answer{}, err
	}
	doc, err := a.Explain(r.Context(), q, a.Sharers(r.Request, r.caller.Name)...)
	return ok(doc), err
}

// explainQuery reads the parameter that names the entry. The error lists every wrong parameter.
func explainQuery(r *request) (explain.Query, error) {
	ways := []explain.By{explain.ByID, explain.ByEmail, explain.ByUserName}
	wrong, given := invalid{}, []explain.Query{}
	values := r.URL.Query()
	for _, by := range ways {
		list, there := values[string(by)]
		delete(values, string(by))
		if !there {
			continue
		}
		text := strings.TrimSpace(list[0])
		switch {
		case len(list) > 1:
			wrong.add(string(by), "Give this parameter once.")
		case text == "":
			wrong.add(string(by), "This field may not be blank.")
		case strings.ContainsRune(text, 0) || !utf8.ValidString(text):
			wrong.add(string(by), "Null characters are not allowed.")
		case utf8.RuneCountInString(text) > maxObjectID:
			wrong.add(string(by), "Ensure this field has no more than %d characters.", maxObjectID)
		}
		given = append(given, explain.Query{By: by, Value: text})
	}
	for name := range values {
		wrong.add(name, "Unknown parameter.")
	}
	switch {
	case len(wrong) > 0:
	case len(given) == 0:
		for _, by := range ways {
			wrong.add(string(by), "Exactly one of id, email and username is required.")
		}
	case len(given) > 1:
		for _, q := range given {
			wrong.add(string(q.By), "Give only one of id, email and username.")
		}
	default:
		return given[0], nil
	}
	return explain.Query{}, wrong
}
