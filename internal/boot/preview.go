package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/internal/secret"
	"rollcall/jobs"
	"rollcall/mapping"
	"rollcall/preview"
	"rollcall/reconcile"
	"rollcall/source/ldap"
)

// Preview compares what this configuration and the next one want, over live data and without writing. The directories
// are read with both configurations, and each tenant once. The changes are those that the next run of each container
// would plan with the next configuration, if the sources were synced without a guard before the tenants.
func (a *App) Preview(ctx context.Context, next *config.Config) ([]preview.Container, error) {
	before, err := a.side(ctx, a.Config, nil)
	if err != nil {
		return nil, fmt.Errorf("the running configuration: %w", err)
	}
	return a.preview(ctx, before, next, func(c container.ID) reconcile.Memory { return jobs.NewMemory(a.Decisions, c) })
}

// PreviewOffline is Preview without an installation. What the running configuration reads becomes the local directory,
// in this process. The App must be connected to Embedded.
func (a *App) PreviewOffline(ctx context.Context, next *config.Config) ([]preview.Container, error) {
	before, err := a.side(ctx, a.Config, nil)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Config.File, err)
	}
	for _, c := range before.all {
		if !c.Name.IsSource() {
			continue
		}
		engine, err := before.engine(c)
		if err == nil {
			_, err = engine.Execute(ctx, alone(&listener{}))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", a.Config.File, c.Name, err)
		}
	}
	return a.preview(ctx, before, next, func(container.ID) reconcile.Memory { return nil })
}

func (a *App) preview(ctx context.Context, before *side, next *config.Config,
	memory func(container.ID) reconcile.Memory) ([]preview.Container, error) {
	after, err := a.side(ctx, next, before)
	if err != nil {
		return nil, fmt.Errorf("the new configuration: %w", err)
	}
	var out []preview.Container
	for _, id := range union(a.Config, next) {
		c, err := compare(ctx, id, before, after, memory(id))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// side is one of the two configurations, with its sources read.
type side struct {
	*App
	all  []jobs.Container
	read map[string]directory.Snapshot // by the slug of the source
	// digests identify what is read.
	digests map[container.ID]string
}

// side reads the sources of a configuration. A source with the same configuration on the other side is not read again.
func (a *App) side(ctx context.Context, cfg *config.Config, other *side) (*side, error) {
	app := *a
	app.Config, app.tenants, app.keepsNothing = cfg, nil, true
	s := &side{App: &app, read: map[string]directory.Snapshot{}, digests: cfg.Digests("")}
	var err error
	if s.all, err = app.Containers(); err != nil {
		return nil, err
	}
	for _, c := range cfg.EnabledSources() {
		id := container.Source(c.Slug)
		if other != nil && other.digests[id] == s.digests[id] {
			s.read[c.Slug] = other.read[c.Slug]
			continue
		}
		src, err := app.openLDAP(c, nil)
		if err == nil {
			s.read[c.Slug], err = src.Read(ctx, directory.Query{Known: app.part(c.Slug).Known})
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
	}
	return s, nil
}

// alreadyRead is a source with what it returned when everything was read.
type alreadyRead struct {
	*ldap.Source
	snapshot directory.Snapshot
}

// Read implements source.Source.
func (r alreadyRead) Read(ctx context.Context, q directory.Query) (directory.Snapshot, error) {
	if q.All() {
		return r.snapshot, nil
	}
	return r.Source.Read(ctx, q)
}

// plan plans a container of this side. ok is false if the side does not have it.
func (s *side) plan(ctx context.Context, id container.ID, memory reconcile.Memory) (r reconcile.Report, ok bool,
	err error) {
	i := slices.IndexFunc(s.all, func(c jobs.Container) bool { return c.Name == id })
	if i < 0 {
		return r, false, nil
	}
	engine, err := s.engine(s.all[i])
	if err == nil {
		r, err = engine.Plan(ctx, memory)
	}
	return r, true, err
}

// engine returns the engine of a container, with what was read as its source.
func (s *side) engine(c jobs.Container) (*reconcile.Engine, error) {
	if p := s.Config.Provider(c.Name); p != nil {
		return c.Engine().From(s.reader(s.Config.Slugs(p.Settings)).Foresee(s.read)), nil
	}
	src, err := s.openLDAP(s.Config.Source(c.Name.Name()), nil)
	return c.Engine().From(alreadyRead{src, s.read[c.Name.Name()]}), err
}

// desired returns what the side wants of a container at a tenant with these domains.
func (s *side) desired(ctx context.Context, id container.ID, domains []string) (mapping.Result, error) {
	p := s.Config.Provider(id)
	if p == nil {
		return mapping.Result{Desired: store.Desired(s.read[id.Name()])}, nil
	}
	snapshot, err := s.reader(s.Config.Slugs(p.Settings)).Foresee(s.read).Read(ctx, directory.Query{})
	if err != nil {
		return mapping.Result{}, err
	}
	return p.Mapping.Desire(mapping.Input{Snapshot: snapshot, Domains: domains})
}

// union returns the enabled containers of either configuration.
func union(before, after *config.Config) (out []container.ID) {
	was, is := before.Digests(""), after.Digests("")
	for _, id := range slices.Concat(before.Containers(), after.Containers()) {
		if (was[id] != "" || is[id] != "") && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out
}

func compare(ctx context.Context, id container.ID, before, after *side, memory reconcile.Memory) (preview.Container,
	error) {
	out := preview.Container{Name: id.String(), Differences: []preview.Difference{}}
	is, has, err := after.plan(ctx, id, memory)
	if err != nil {
		return out, err
	}
	if !has {
		out.Note = "is not in the new file or is switched off there: its objects stay as they are"
		return out, nil
	}
	out.Apply, out.Held = is.Apply, is.Held
	var was mapping.Result
	if before.digests[id] == "" {
		out.Note = "is new"
	} else if was, err = before.desired(ctx, id, is.Domains); err != nil {
		return out, err
	}
	out.Differences = preview.Compare(was, is.Desired)
	return out, nil
}

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
			Err: errors.New(secret.Scrub(err.Error()))}
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
	if k.State != jobs.KeptDone {
		doc = nil
	}
	return api.Preview{Kept: k, Result: doc}
}
