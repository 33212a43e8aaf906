package boot

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"rollcall/api"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/internal/scrub"
	"rollcall/jobs"
	"rollcall/preview"
)

const (
	topicPreview = "preview"
	// previewWithin is how long a worker may take for a preview, and previewKept how long it is kept.
	previewWithin = 30 * time.Minute
	previewKept   = time.Hour
)

// answerPreview compares a configuration that an operator sent with the running one. The worker checks it as the API
// did, by its own configuration.
func (a *App) answerPreview(ctx context.Context, question json.RawMessage) (any, error) {
	var text string
	if err := json.Unmarshal(question, &text); err != nil {
		return nil, err
	}
	next, warnings, err := a.next([]byte(text))
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "the worker has another configuration than the API: %w", err)
	}
	containers, err := a.Preview(ctx, next)
	if err != nil {
		return nil, &fault.Error{Kind: fault.KindOf(err), RetryAfter: fault.RetryAfter(err),
			Err: errors.New(scrub.Error(err))}
	}
	return preview.Summarize(containers, warnings), nil
}

// next checks the text of a changed configuration. The error is api.ConfigProblems.
func (a *App) next(text []byte) (*config.Config, []string, error) {
	next, warnings, err := config.Next(a.Config, text, config.Options{Getenv: a.Getenv, Strict: a.Process.StrictFiles})
	if problems, ok := errors.AsType[config.Problems](err); ok {
		out := make(api.ConfigProblems, len(problems))
		for i, p := range problems {
			out[i] = api.ConfigProblem{Line: p.Line, Field: p.Field, Message: p.Message}
		}
		return nil, nil, out
	}
	return next, warnings, err
}

// remotePreviewer has a worker compare configurations.
type remotePreviewer struct {
	app    *App
	client *jobs.Client
}

// Submit implements api.Previewer.
func (r remotePreviewer) Submit(ctx context.Context, text []byte, by string, at time.Time) (api.Preview, error) {
	if _, _, err := r.app.next(text); err != nil {
		return api.Preview{}, err
	}
	k, err := r.client.Submit(ctx, jobs.Submission{Topic: topicPreview, Ask: string(text), By: by, At: at,
		Within: previewWithin, Keep: previewKept})
	return shownPreview(k, nil), err
}

// Preview implements api.Previewer.
func (r remotePreviewer) Preview(ctx context.Context, id string) (api.Preview, error) {
	var doc preview.Document
	k, err := r.client.Kept(ctx, topicPreview, id, &doc)
	return shownPreview(k, &doc), err
}

func shownPreview(k jobs.Kept, doc *preview.Document) api.Preview {
	p := api.Preview{ID: k.ID, By: k.By, At: k.At, State: api.PreviewState(k.State), Err: k.Err}
	if k.State == jobs.KeptDone {
		p.Result = doc
	}
	return p
}
