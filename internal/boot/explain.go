package boot

import (
	"context"
	"strings"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/jobs"
	"rollcall/reconcile"
	"rollcall/source"
	"rollcall/source/ldap"
)

// explainer connects package explain to what is configured.
func (a *App) explainer() *explain.Explainer {
	cfg := explain.Config{
		Decisions: a.Decisions,
		Local:     func(slugs []string) source.Source { return a.reader(slugs) },
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
			Container: p.Container(), On: p.On(), Policy: p.Policy(), Sources: a.slugs(p.Settings), Mapping: p.Mapping,
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
			return explain.Copy{Completed: s.Generation > 0, Writing: s.Run, ReadAt: s.ReadAt, CompletedAt: s.CompletedAt}, err
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
			src, err := a.openLDAP(cfg)
			if err != nil {
				return nil, err
			}
			found, err := src.Locate(ctx, w)
			return &found, err
		},
	}
}
