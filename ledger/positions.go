package ledger

import (
	"maps"

	"rollcall/directory"
)

// Positions are the positions of the servers of a source when they were read. They reveal a server that lags, or that
// was restored from a snapshot.
type Positions struct {
	// Reference is the position of the last read that was trusted.
	Reference directory.Position `json:"reference,omitzero"`
	// Servers are the last trusted positions, by server, of servers that have no origin of changes in common.
	Servers map[string]directory.Position `json:"servers,omitempty"`
	// Pending is the position of the last read that was not trusted. Accept makes it the reference.
	Pending *directory.Position `json:"pending,omitempty"`
}

// IsZero reports whether no position is known.
func (p Positions) IsZero() bool { return p.Reference.IsZero() && p.Pending == nil }

// Judge compares the position of a read with the trusted positions, and returns the one that it was compared with.
// The read is Newer if it is at least as new, Older if it is proved to be older, and Incomparable if neither can be
// determined.
//
// A server without a common origin of changes is compared with its own last position, also after a server without a
// position was accepted. A server that lacks changes of
// the reference is in doubt, although it may have changes of its own. The doubt ends when it has these changes, when
// the reference's server is read again, or when its position is accepted. Accepting is the only end where a server was
// retired with changes that no other server has.
func (p Positions) Judge(now directory.Position) (order directory.Order, with directory.Position) {
	if p.Reference.IsZero() && (now.IsZero() || len(p.Servers) == 0) {
		return directory.Newer, p.Reference
	}
	order, with = now.Compare(p.Reference), p.Reference
	if own, known := p.Servers[server(now)]; order == directory.Incomparable && known {
		order, with = now.Compare(own), own
	}
	switch order {
	case directory.Same:
		order = directory.Newer
	case directory.Diverged:
		order = directory.Incomparable
	}
	return order, with
}

// Trust makes the position of a read the reference.
func (p *Positions) Trust(now directory.Position) {
	p.Pending = nil
	if now.IsZero() {
		p.Reference = now
		return
	}
	servers := maps.Clone(p.Servers)
	if servers == nil {
		servers = map[string]directory.Position{}
	}
	servers[server(now)] = now
	p.Reference, p.Servers = now, servers
}

// Doubt stores the position of a read that was not trusted.
func (p *Positions) Doubt(now directory.Position) { p.Pending = &now }

// Accept makes the pending position the reference and returns it. It returns false if no position is pending.
func (p *Positions) Accept() (directory.Position, bool) {
	if p.Pending == nil {
		return directory.Position{}, false
	}
	accepted := *p.Pending
	p.Trust(accepted)
	return accepted, true
}

func server(p directory.Position) string {
	if p.Server != "" {
		return p.Server
	}
	return p.Name
}
