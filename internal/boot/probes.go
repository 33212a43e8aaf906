package boot

import (
	"context"
	"fmt"
	"log/slog"

	"rollcall/internal/config"
	"rollcall/provider/googleworkspace"
)

// Probe tries one connection.
type Probe struct {
	Name string
	// Try connects and reports what it saw; the error says what to do.
	Try func(context.Context) ([]string, error)
}

// Probes returns one for Redis and for each enabled source and provider.
func Probes(p config.Process, cfg *config.Config, getenv func(string) string) []Probe {
	a := &App{Process: p, Config: cfg, Getenv: getenv, Log: slog.New(slog.DiscardHandler)}
	var out []Probe
	if p.RedisURL != Embedded {
		out = append(out, Probe{"redis", func(ctx context.Context) ([]string, error) {
			_, closeRedis, err := Connect(ctx, p.RedisURL, a.Log)
			if err == nil {
				closeRedis()
			}
			return nil, err
		}})
	}
	for i := range cfg.Sources.LDAP {
		c := &cfg.Sources.LDAP[i]
		if !c.Enabled {
			continue
		}
		out = append(out, Probe{"ldap:" + c.Slug, func(ctx context.Context) ([]string, error) {
			src, err := a.openLDAP(c)
			if err != nil {
				return nil, err
			}
			if c, ok := any(src).(interface {
				Check(context.Context) ([]string, error)
			}); ok {
				return c.Check(ctx)
			}
			return nil, nil
		}})
	}
	for i := range cfg.Providers.GoogleWorkspace {
		c := &cfg.Providers.GoogleWorkspace[i]
		if !*c.Enabled {
			continue
		}
		out = append(out, Probe{fmt.Sprintf("google_workspace:%d", c.ID), func(ctx context.Context) ([]string, error) {
			tenant, err := googleworkspace.New(c.Config, googleworkspace.Options{})
			if err != nil {
				return nil, err
			}
			return tenant.Check(ctx)
		}})
	}
	return out
}
