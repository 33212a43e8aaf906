package console

import (
	"errors"
	"io"
	"net/http"
	"time"

	"rollcall/api"
	"rollcall/internal/tokens"
	"rollcall/jobs"
)

// previewRoot is the path of the form for previews. The API has /preview/.
const previewRoot = "/previews/"

// previewForm is the form for a changed configuration, with the mistakes of one that was sent.
type previewForm struct {
	Text     string
	Problems api.ConfigProblems
}

// instead is an error with the page that shows it.
type instead struct {
	error
	page *page
}

// Unwrap returns the error itself.
func (i instead) Unwrap() error { return i.error }

func newPreviewPage(form previewForm) *page {
	return &page{View: "previews", Title: "Preview of a configuration", Nav: "previews", Data: form}
}

// previews shows the form, to those who may send it.
func (c *Console) previews(r *request) (*page, error) {
	switch {
	case r.who.Restricted():
		return nil, errEverything
	case !r.who.May(tokens.Sync):
		return nil, lacks(r.who, tokens.Sync)
	}
	return newPreviewPage(previewForm{}), nil
}

// startPreview has a configuration compared, and leads to the result. A form with mistakes is shown again.
func (c *Console) startPreview(r *request) (string, error) {
	if r.who.Restricted() {
		return "", errEverything
	}
	text, err := previewText(r)
	if err != nil {
		return "", err
	}
	p, err := c.cfg.API.StartPreview(r.Context(), text, r.who.Name)
	if problems, wrong := errors.AsType[api.ConfigProblems](err); wrong {
		form := newPreviewPage(previewForm{string(text), problems})
		form.Status = http.StatusBadRequest
		return "", instead{err, form}
	}
	r.detail("preview", p.ID)
	return previewRoot + p.ID + "/", err
}

// previewText returns the file of the form or, without one, its text.
func previewText(r *request) ([]byte, error) {
	const inMemory = maxForm
	tooLarge := refusal{http.StatusBadRequest, "The configuration could not be read, or has more than a megabyte."}
	if err := r.ParseMultipartForm(inMemory); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return nil, tooLarge
	}
	file, _, err := r.FormFile("file")
	if err != nil { // There is none.
		return []byte(r.PostFormValue("text")), nil
	}
	defer file.Close()
	text, err := io.ReadAll(file)
	if err != nil {
		return nil, tooLarge
	}
	if len(text) == 0 {
		return []byte(r.PostFormValue("text")), nil
	}
	return text, nil
}

// Most comparisons of small directories end within previewWait, so that the page need not be loaded again.
const (
	previewWait = 4 * time.Second
	previewPoll = 200 * time.Millisecond
)

// preview shows one comparison.
func (c *Console) preview(r *request) (*page, error) {
	if r.who.Restricted() {
		return nil, errEverything
	}
	patience := time.After(previewWait)
	p, err := c.cfg.API.Preview(r.Context(), r.PathValue("preview"))
	for waits := true; waits && err == nil && (p.State == jobs.KeptQueued || p.State == jobs.KeptRunning); {
		select {
		case <-time.After(previewPoll):
			p, err = c.cfg.API.Preview(r.Context(), p.ID)
		case <-patience:
			waits = false
		case <-r.Context().Done():
			waits = false
		}
	}
	if err != nil {
		return nil, err
	}
	return &page{View: "preview", Title: "Preview of a configuration", Nav: "previews", Data: &p}, nil
}
