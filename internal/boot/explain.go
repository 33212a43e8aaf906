package boot

import (
	"context"
	"strings"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/explain"
	"rollcall/jobs"
	"rollcall/provider/entra"
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
		AnchorID:  func(text string) directory.ID { id, _ := entra.ID(text); return id },
		IsDN: func(text string) bool {
			_, err := ldap.NormalizeDN(text)
			return err == nil && strings.Contains(text, "=")
		},
	}
	for i := range a.Config.Sources.LDAP {
		cfg.Sources = append(cfg.Sources, a.explainedSource(&a.Config.Sources.LDAP[i]))
	}
	for _, name := range a.providers() {
		s, _ := a.settings(name)
		cfg.Providers = append(cfg.Providers, explain.ProviderAccess{
			Container: name, On: s.On(), Policy: s.Policy(), Sources: a.slugs(s), Mapping: a.mapping(name),
			Open: func() (func() *reconcile.Engine, error) {
				c, err := a.provider(name)
				return c.Engine, err
			},
		})
	}
	return explain.New(cfg)
}

func (a *App) explainedSource(cfg *ldap.Config) explain.SourceAccess {
	part := store.New(store.Config{Redis: a.Redis, Slug: cfg.Slug})
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
