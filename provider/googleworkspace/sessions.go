package googleworkspace

import (
	"context"
	"sync"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
	"rollcall/provider"
)

// SessionsScope lets Rollcall sign an account out of all its sessions when it is suspended. It is optional, and asked
// for in a token of its own.
const SessionsScope = admin.AdminDirectoryUserSecurityScope

const opSignOut = "users.signOut"

// signOutWithin bounds the attempt that comes before a suspension.
const signOutWithin = 5 * time.Second

// sessions ends the sessions of accounts.
type sessions struct {
	api    *admin.Service
	tokens *tokens

	mu sync.Mutex
	// until is when the scope is asked for again after a refusal.
	until time.Time
}

// endsSessions reports whether an account is signed out when it is suspended. Only a refused token means that it is
// not. Where the token endpoint gives no answer, the suspension tries.
func (p *Provider) endsSessions() bool {
	if p.cfg.EndSessions == provider.SessionsOff {
		return false
	}
	s := &p.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.now().Before(s.until) {
		return false
	}
	if _, err := s.tokens.get(nil); fault.KindOf(err) == fault.Denied {
		s.until = p.now().Add(scopeRefused)
		return false
	}
	return true
}

// signOut makes one attempt to end the sessions of an account. A suspension follows, so a refusal is neither repeated
// nor waited for.
func (p *Provider) signOut(ctx context.Context, id string) (failed error) {
	err := p.through(ctx, opSignOut, func(ctx context.Context) error {
		failed = p.once(ctx, opSignOut, min(signOutWithin, p.cfg.RequestTimeout), p.signOutCall(id))
		return nil
	})
	if err != nil {
		return err
	}
	return failed
}

func (p *Provider) signOutCall(id string) func(context.Context) error {
	return func(ctx context.Context) error { return p.sessions.api.Users.SignOut(id).Context(ctx).Do() }
}

// sessions reports whether the sessions of suspended accounts end. A scope that was not granted is no failure.
func (c *check) sessions() {
	switch {
	case c.p.cfg.EndSessions == provider.SessionsOff:
		c.ok("sessions of suspended accounts do not end (end_sessions: off)")
	case c.p.endsSessions():
		c.ok("suspended accounts are signed out of their sessions")
	default:
		c.ok("suspended accounts are not signed out of their sessions: the optional scope %s was not granted",
			SessionsScope)
	}
}
