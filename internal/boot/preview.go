package boot

import (
	"context"
	"fmt"
	"slices"

	"rollcall/container"
	"rollcall/internal/config"
	"rollcall/jobs"
	"rollcall/preview"
	"rollcall/reconcile"
)

// Preview compares what this configuration and the next one want, over live data and without writing. Each
// configuration gets a local directory of its own in this process. App must be connected to Embedded.
func (a *App) Preview(ctx context.Context, next *config.Config) ([]preview.Container, error) {
	b, err := With(ctx, a.Process, next, a.Getenv, a.Log)
	if err != nil {
		return nil, err
	}
	defer b.Close()
	before, err := a.side(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", a.Config.File, err)
	}
	after, err := b.side(ctx)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", next.File, err)
	}
	// The sources of the next configuration are planned against the directory of the running one.
	changed := *b
	changed.Redis = a.Redis
	if after.sources, err = changed.Containers(); err != nil {
		return nil, err
	}
	var out []preview.Container
	for _, id := range union(before.all, after.all) {
		c, err := compare(ctx, id, before, after)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", id, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// side is one of the two configurations, with its sources read.
type side struct {
	all, sources []jobs.Container
	read         map[container.ID]reconcile.Report
}

func (a *App) side(ctx context.Context) (s side, err error) {
	if s.all, err = a.Containers(); err != nil {
		return s, err
	}
	s.sources, s.read = s.all, map[container.ID]reconcile.Report{}
	for _, c := range s.all {
		if c.Name.IsSource() {
			if s.read[c.Name], err = fill(ctx, s.all, c.Name, &listener{}); err != nil {
				return s, fmt.Errorf("%s: %w", c.Name, err)
			}
		}
	}
	return s, nil
}

// plan plans a container of this side; ok is false where the side does not have it.
func (s *side) plan(ctx context.Context, id container.ID) (r reconcile.Report, ok bool, err error) {
	list := s.all
	if id.IsSource() {
		list = s.sources
	}
	i := slices.IndexFunc(list, func(c jobs.Container) bool { return c.Name == id })
	if i < 0 {
		return r, false, nil
	}
	r, err = list[i].Engine().Plan(ctx)
	return r, true, err
}

func union(before, after []jobs.Container) (out []container.ID) {
	for _, c := range slices.Concat(before, after) {
		if !slices.Contains(out, c.Name) {
			out = append(out, c.Name)
		}
	}
	return out
}

func compare(ctx context.Context, id container.ID, before, after side) (preview.Container, error) {
	out := preview.Container{Name: id.String(), Differences: []preview.Difference{}}
	was, had := before.read[id]
	if !id.IsSource() {
		var err error
		if was, had, err = before.plan(ctx, id); err != nil {
			return out, err
		}
	}
	is, has, err := after.plan(ctx, id)
	if err != nil {
		return out, err
	}
	out.Apply, out.Held = is.Apply, is.Held
	switch {
	case !has:
		out.Note = "is not in the new file or is switched off there: its objects stay as they are"
	case !had:
		out.Note = "is new"
		fallthrough
	default:
		out.Differences = preview.Compare(was.Desired, is.Desired)
	}
	return out, nil
}
