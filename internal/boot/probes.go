package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/config"
	"rollcall/provider"
	"rollcall/source/ldap"
)

// Probe tries one connection.
type Probe struct {
	Name string
	// Try connects and reports what it saw; the error says what to do. It is ErrNoRedis where no Redis answers.
	Try func(context.Context) ([]string, error)
}

// ErrNoRedis is the failure of the probe for Redis where no Redis answers.
var ErrNoRedis = errors.New("no answer")

// Probes returns one for Redis and for each enabled source and provider.
func Probes(p config.Process, cfg *config.Config, getenv func(string) string) []Probe {
	a := &App{Process: p, Config: cfg, Getenv: getenv, Log: slog.New(slog.DiscardHandler)}
	var out []Probe
	if p.RedisURL != Embedded {
		out = append(out, Probe{"redis", func(ctx context.Context) ([]string, error) { return a.tryRedis(ctx) }})
	}
	for i := range cfg.Sources.LDAP {
		c := &cfg.Sources.LDAP[i]
		if !c.Enabled {
			continue
		}
		out = append(out, Probe{container.Source(c.Slug).String(), func(ctx context.Context) ([]string, error) {
			src, err := a.openLDAP(c)
			if err != nil {
				return nil, err
			}
			reports, err := src.Check(ctx)
			var lines []string
			for i := range reports {
				lines = append(lines, describe(&reports[i])...)
			}
			return lines, err
		}})
	}
	for i := range cfg.Providers {
		c := &cfg.Providers[i]
		if !c.On() {
			continue
		}
		out = append(out, Probe{c.Container().String(), func(ctx context.Context) ([]string, error) {
			tenant, err := c.Config.Open(provider.Env{Getenv: getenv})
			if err != nil {
				return nil, err
			}
			return tenant.Check(ctx)
		}})
	}
	return out
}

// tryRedis connects to Redis and leaves. A Redis that answers with a refusal is there, and its configuration is wrong.
func (a *App) tryRedis(ctx context.Context) ([]string, error) {
	_, closeRedis, err := Connect(ctx, a.Process, a.Log)
	if err == nil {
		closeRedis()
		return nil, nil
	}
	var reply redis.Error
	if fault.KindOf(err) == fault.Unavailable && !errors.As(err, &reply) {
		return []string{"not reachable; needed for syncs, not for `plan`"}, fmt.Errorf("%w: %w", ErrNoRedis, err)
	}
	return nil, err
}

// describe says in words what a server showed.
func describe(r *ldap.Report) []string {
	first := r.Server + " is " + r.Family
	if r.Vendor != "" {
		first += " (" + strings.TrimSpace(r.Vendor+" "+r.Version) + ")"
	}
	if r.TLS != "" {
		first += ", over " + r.TLS
	}
	lines := []string{first}
	for _, s := range []struct {
		what string
		ldap.Sample
	}{{"users", r.Users}, {"groups", r.Groups}} {
		if !s.Searched {
			lines = append(lines, s.what+" are not read")
			continue
		}
		line := fmt.Sprintf("%d %s on the first page", s.Count, s.what)
		if s.More {
			line += " and more behind it"
		}
		if s.Disabled > 0 {
			line += fmt.Sprintf(", %d disabled", s.Disabled)
		}
		if s.BuiltIn > 0 {
			line += fmt.Sprintf(", %d built into Active Directory left out", s.BuiltIn)
		}
		if s.Unusable > 0 {
			line += fmt.Sprintf(", %d WITHOUT a usable unique id", s.Unusable)
		}
		if s.Example != "" {
			line += ", " + s.Example + " say"
		}
		lines = append(lines, line)
	}
	for _, w := range r.Warnings {
		lines = append(lines, "warning: "+w)
	}
	return lines
}
