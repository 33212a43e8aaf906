package boot

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"

	"rollcall/api"
	"rollcall/container"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/jobs"
	"rollcall/provider"
	"rollcall/reconcile"
	"rollcall/source"
	"rollcall/source/ldap"
)

// explainer connects package explain to what is configured.
func (a *App) explainer() *explain.Explainer {
	cfg := explain.Config{
		Decisions: a.Decisions,
		Memory:    func(c container.ID) reconcile.Memory { return jobs.NewMemory(a.Decisions, c) },
		AnchorID:  a.anchorID,
		IsDN: func(text string) bool {
			_, err := ldap.NormalizeDN(text)
			return err == nil && strings.Contains(text, "=")
		},
	}
	for i := range a.Config.Sources.LDAP {
		cfg.Sources = append(cfg.Sources, a.explainedSource(&a.Config.Sources.LDAP[i]))
	}
	for i := range a.Config.Providers {
		p := &a.Config.Providers[i]
		cfg.Providers = append(cfg.Providers, explain.ProviderAccess{
			Container: p.Container(), On: p.On(), Policy: p.Policy(), Sources: a.Config.Slugs(p.Settings), Mapping: p.Mapping,
			Open: func() (func() *reconcile.Engine, error) {
				c, err := a.tenant(p)
				return c.Engine, err
			},
		})
	}
	return explain.New(cfg)
}

// anchorID reads the id of an entry out of an anchor as one of the types of provider has it; empty for any other text.
func (a *App) anchorID(text string) directory.ID {
	for i := range a.Config.Types {
		if read := a.Config.Types[i].EntryID; read != nil {
			if id, is := read(text); is {
				return id
			}
		}
	}
	return ""
}

func (a *App) explainedSource(cfg *ldap.Config) explain.SourceAccess {
	part := a.part(cfg.Slug)
	return explain.SourceAccess{
		Container: container.Source(cfg.Slug), Enabled: cfg.Enabled, Entry: part.Entry,
		Copy: func(ctx context.Context) (explain.Copy, error) {
			s, err := part.Status(ctx)
			return explain.Copy{Completed: s.Generation > 0, Writing: s.Run, ReadAt: s.ReadAt,
				CompletedAt: s.CompletedAt}, err
		},
		Find: func(ctx context.Context, kind directory.Kind, text string) ([]directory.Ref, error) {
			found, err := a.reader([]string{cfg.Slug}).Find(ctx, kind, text)
			refs := make([]directory.Ref, len(found))
			for i, m := range found {
				refs[i] = m.Ref
			}
			return refs, err
		},
		Locate: func(ctx context.Context, w source.Wanted) (*source.Location, error) {
			src, err := a.openLDAP(cfg, nil)
			if err != nil {
				return nil, err
			}
			found, err := src.Locate(ctx, w)
			return &found, err
		},
	}
}

// The topics of questions that a worker answers, because it has the credentials of directories and tenants.
const (
	topicExplain = "explain"
	topicFind    = "find"
)

// answers are what a worker answers.
func (a *App) answers() map[string]jobs.Answer {
	x := a.explainer()
	return map[string]jobs.Answer{
		topicPreview: a.answerPreview,
		topicExplain: func(ctx context.Context, text json.RawMessage) (any, error) {
			var q explain.Query
			if err := json.Unmarshal(text, &q); err != nil {
				return nil, err
			}
			return x.Explain(ctx, q)
		},
		topicFind: func(ctx context.Context, text json.RawMessage) (any, error) {
			var w wanted
			if err := json.Unmarshal(text, &w); err != nil {
				return nil, err
			}
			p := a.Config.Provider(w.Container)
			if p == nil {
				return []api.Match{}, nil
			}
			return a.searchSources(ctx, p.Settings, w.Ref)
		},
	}
}

// remoteExplainer has a worker explain.
type remoteExplainer struct{ client *jobs.Client }

// Explain implements api.Explainer.
func (x remoteExplainer) Explain(ctx context.Context, q explain.Query) (d explain.Document, err error) {
	err = x.client.Ask(ctx, topicExplain, q, &d)
	return d, err
}

// wanted is an entry that is searched for in the sources of a container.
type wanted struct {
	Container container.ID  `json:"container"`
	Ref       directory.Ref `json:"ref"`
}

// finder looks entries up for the single-object endpoint.
type finder struct {
	app    *App
	client *jobs.Client
}

// Find implements api.Directory. The local directory does not have the entries that were added since the last sync.
// An unknown id is therefore searched in the sources, too.
func (f *finder) Find(ctx context.Context, c container.ID, kind directory.Kind, text string) ([]api.Match, error) {
	p := f.app.Config.Provider(c)
	if p == nil {
		return nil, nil
	}
	s := p.Settings
	found, err := f.app.reader(f.app.Config.Slugs(s)).Find(ctx, kind, text)
	if err != nil {
		return nil, err
	}
	out := make([]api.Match, 0, len(found))
	for _, m := range found {
		out = append(out, api.Match{Ref: m.Ref, Source: m.Source, Label: m.Label})
	}
	if len(out) == 0 && plausible(text) {
		if uuid.Validate(text) == nil {
			text = strings.ToLower(text)
		}
		err = f.client.Ask(ctx, topicFind, wanted{c, directory.Ref{Kind: kind, ID: directory.ID(text)}}, &out)
	}
	return out, err
}

// plausible reports whether a text may be an id from a directory. A name or an address is in the local directory, or
// wrong.
func plausible(text string) bool {
	const shortest, longest = 16, 64
	return len(text) >= shortest && len(text) <= longest && !strings.ContainsAny(text, "@ \t\n=,*()\\")
}

// searchSources searches for an id in the sources that completed a sync. Without a completed sync, the other entries
// are unknown.
func (a *App) searchSources(ctx context.Context, s *provider.Settings, ref directory.Ref) ([]api.Match, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var out []api.Match
	for _, cfg := range a.Config.EnabledSources() {
		if !config.Uses(s, cfg.Slug) {
			continue
		}
		m, err := a.located(ctx, cfg, ref)
		if err != nil {
			return nil, err
		}
		out = append(out, m...)
	}
	return out, nil
}

func (a *App) located(ctx context.Context, cfg *ldap.Config, ref directory.Ref) ([]api.Match, error) {
	state, err := a.part(cfg.Slug).Status(ctx)
	if err != nil || state.Generation == 0 {
		return nil, err
	}
	src, err := a.openLDAP(cfg, nil)
	if err != nil {
		return nil, err
	}
	snapshot, err := src.Read(ctx, directory.Query{Refs: []directory.Ref{ref}})
	if kind := fault.KindOf(err); err != nil && (kind == fault.Invalid || kind == fault.NotFound) {
		return nil, nil // Not an id of this directory.
	}
	if err != nil {
		return nil, err
	}
	var out []api.Match
	for i := range snapshot.Entries {
		e := &snapshot.Entries[i]
		out = append(out, api.Match{Ref: e.Ref(), Source: cfg.Slug, Label: e.Label()})
	}
	return out, nil
}
