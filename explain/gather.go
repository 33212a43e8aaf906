package explain

import (
	"context"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
	"rollcall/source"
)

// Time limits for a live directory, for a tenant, and for the explanations that are queued before this one.
const (
	askSource   = 8 * time.Second
	askProvider = 8 * time.Second
	awaitTurn   = 20 * time.Second
)

// mostAtOnce is how many explanations are made side by side.
const mostAtOnce = 4

// Config has the sources of evidence of an Explainer.
type Config struct {
	Sources   []SourceAccess
	Providers []ProviderAccess
	Decisions *decisions.Store
	// Memory returns the stored state of a provider's guards.
	Memory func(container.ID) reconcile.Memory
	// AnchorID returns the entry id for a provider's spelling of an anchor; empty if the text is not an anchor.
	AnchorID func(text string) directory.ID
	// IsDN reports whether a text is a distinguished name.
	IsDN func(text string) bool
}

// SourceAccess reads one configured source: its part of the local directory and its live directory.
type SourceAccess struct {
	Container container.ID
	Enabled   bool
	// Copy returns the age of the local copy.
	Copy func(context.Context) (Copy, error)
	// Find returns the stored entries, present or departed, that match a text.
	Find func(ctx context.Context, kind directory.Kind, text string) ([]directory.Ref, error)
	// Entry returns a stored entry or its departure; nil if there is none.
	Entry func(context.Context, directory.Ref) (*directory.Entry, *directory.Departure, error)
	// Locate searches the live directory.
	Locate func(context.Context, source.Wanted) (*source.Location, error)
}

// ProviderAccess reads one configured provider.
type ProviderAccess struct {
	Container container.ID
	On        bool
	Policy    plan.Policy
	// Sources are the slugs of the provider's sources.
	Sources []string
	Mapping *mapping.Mapping
	// Open connects the provider and returns a constructor of engines. Each explanation uses an engine of its own.
	Open func() (func() *reconcile.Engine, error)
}

// Explainer gathers the input of Of. It reads the local directory, the live directories, the ledger and, through
// their shared quota, the tenants. It writes nothing.
type Explainer struct {
	cfg Config
	// turn admits a few searches at a time, because an LDIF file is read as a whole.
	turn chan struct{}

	mu     sync.Mutex
	opened map[container.ID]func() *reconcile.Engine
}

// New returns an Explainer. It does not connect.
func New(cfg Config) *Explainer {
	return &Explainer{cfg: cfg, turn: make(chan struct{}, mostAtOnce),
		opened: map[container.ID]func() *reconcile.Engine{}}
}

// Explain gathers the evidence for an entry from the live directories and the tenants. The document lists what did
// not answer. An error means that there is no document.
func (x *Explainer) Explain(ctx context.Context, q Query) (Document, error) {
	select {
	case x.turn <- struct{}{}:
		defer func() { <-x.turn }()
	case <-time.After(awaitTurn):
		return Document{}, fault.Errorf(fault.Unavailable, "explain: others were not done within %s", awaitTurn)
	case <-ctx.Done():
		return Document{}, fault.New(fault.Unavailable, "explain", ctx.Err())
	}
	in, err := x.gather(ctx, q)
	if err == nil && q.By == ByEmail && unknown(&in) {
		err = x.askTenants(ctx, &in)
	}
	if err != nil {
		return Document{}, err
	}
	return Of(in), nil
}

func (x *Explainer) gather(ctx context.Context, q Query) (Input, error) {
	in := Input{Query: q, Now: time.Now()}
	found, err := x.known(ctx, q)
	if err != nil {
		return in, err
	}
	if len(found) > 1 {
		in.Candidates = candidates(found)
		return in, nil
	}
	if len(found) == 1 {
		in.Ref = found[0].ref
	}
	if in.Sources, err = x.sources(ctx, q, found); err != nil {
		return in, err
	}
	if len(found) == 0 {
		in.Ref, in.Candidates = seen(in.Sources)
		if err := x.recall(ctx, &in); err != nil {
			return in, err
		}
	}
	if len(in.Candidates) > 0 {
		in.Sources = nil
		return in, nil
	}
	if !unknown(&in) {
		in.Providers, err = x.providers(ctx, &in)
	}
	return in, err
}

// sources asks all sources concurrently.
func (x *Explainer) sources(ctx context.Context, q Query, found []match) ([]SourceInput, error) {
	out := make([]SourceInput, len(x.cfg.Sources))
	g, ctx := errgroup.WithContext(ctx)
	for i := range x.cfg.Sources {
		g.Go(func() (err error) { out[i], err = x.source(ctx, &x.cfg.Sources[i], q, found); return err })
	}
	return out, g.Wait()
}

func (x *Explainer) source(ctx context.Context, s *SourceAccess, q Query, found []match) (SourceInput, error) {
	in := SourceInput{Container: s.Container, Enabled: s.Enabled}
	copied, err := s.Copy(ctx)
	if err != nil {
		return in, err
	}
	in.Copy = copied
	if in.Held, in.Decisions, err = x.held(ctx, in.Container); err != nil {
		return in, err
	}
	var ref directory.Ref
	if len(found) == 1 {
		ref = found[0].ref
		if in.Stored, in.Departure, err = s.Entry(ctx, ref); err != nil {
			return in, err
		}
	}
	if s.Enabled {
		ctx, cancel := context.WithTimeout(ctx, askSource)
		defer cancel()
		in.Location, in.LocateErr = s.Locate(ctx, x.wanted(q, ref))
		if in.Stored != nil && in.Location != nil && in.unanswered() == "" && in.sighting() == nil {
			in.Other, in.LocateErr = s.other(ctx, in.Stored)
		}
	}
	return in, nil
}

// other returns the live entry that may be a stored one whose id is not found, or nil. A run does not conclude that the
// stored entry left.
func (s *SourceAccess) other(ctx context.Context, e *directory.Entry) (*source.Sighting, error) {
	const most = 10 // of each kind of name; each costs a search
	wanted := []source.Wanted{{DN: e.DN}}
	mails, names := e.Attributes.Values(directory.Mail), e.Attributes.Values(directory.UserName)
	for _, mail := range mails[:min(len(mails), most)] {
		wanted = append(wanted, source.Wanted{Mail: mail})
	}
	for _, name := range names[:min(len(names), most)] {
		wanted = append(wanted, source.Wanted{UserName: name})
	}
	for _, w := range wanted {
		if w.DN+w.Mail+w.UserName == "" {
			continue
		}
		w.Kind = e.Kind
		found, err := s.Locate(ctx, w)
		if err != nil || found == nil {
			return nil, err
		}
		for i := range found.Sightings {
			other := &found.Sightings[i]
			if other.ID == "" {
				return other, nil
			}
			if known, _, err := s.Entry(ctx, other.Ref); err != nil || known == nil && other.Broken() == nil {
				return other, err
			}
		}
	}
	return nil, nil
}

// recall reads the entry from the local directory after only a live directory matched the query, for example by a new
// address.
func (x *Explainer) recall(ctx context.Context, in *Input) (err error) {
	for i := range in.Sources {
		s := &in.Sources[i]
		if in.Ref.ID == "" {
			return nil
		}
		if s.Stored, s.Departure, err = x.cfg.Sources[i].Entry(ctx, in.Ref); err != nil {
			return err
		}
	}
	return nil
}

func (x *Explainer) held(ctx context.Context, c container.ID) (decisions.HeldSet, map[string]decisions.Decision,
	error) {
	set, err := x.cfg.Decisions.Held(ctx, c)
	if err != nil {
		return set, nil, err
	}
	decided, err := x.cfg.Decisions.Decisions(ctx, c)
	return set, decided, err
}

// providers explains the entry for each provider of its source, one after the other.
func (x *Explainer) providers(ctx context.Context, in *Input) ([]ProviderInput, error) {
	var out []ProviderInput
	for i := range x.cfg.Providers {
		access := &x.cfg.Providers[i]
		if !feeds(in, access) {
			continue
		}
		if !access.On {
			out = append(out, ProviderInput{Container: access.Container, Off: true})
			continue
		}
		p, err := x.provider(ctx, access, in)
		if err != nil {
			return nil, err
		}
		p.Policy = access.Policy
		out = append(out, p)
	}
	return out, nil
}

// feeds reports whether a source that is related to the entry feeds a provider.
func feeds(in *Input, p *ProviderAccess) bool {
	for i := range in.Sources {
		s := &in.Sources[i]
		concerned := s.Stored != nil || s.Departure != nil || s.Location != nil && len(s.Location.Sightings) > 0
		if concerned && slices.Contains(p.Sources, s.Container.Name()) {
			return true
		}
	}
	return false
}

func (x *Explainer) provider(ctx context.Context, access *ProviderAccess, in *Input) (ProviderInput, error) {
	p := ProviderInput{Container: access.Container}
	var err error
	if p.Held, p.Decisions, err = x.held(ctx, access.Container); err != nil {
		return p, err
	}
	if in.Ref.ID == "" { // There is no id to ask the tenant for.
		return p, nil
	}
	if p.Attempts, err = x.cfg.Decisions.Attempts(ctx, access.Container, in.Ref.String()); err != nil {
		return p, err
	}
	receipts, err := x.cfg.Decisions.Receipts(ctx, access.Container, in.Ref.String())
	if err != nil {
		return p, err
	}
	if r, there := receipts[in.Ref.String()]; there {
		p.Receipt = &r
	}
	if p.Pause, err = x.cfg.Decisions.PauseOf(ctx, access.Container); err != nil {
		return p, err
	}
	orders, err := x.cfg.Decisions.Orders(ctx)
	if err != nil {
		return p, err
	}
	orders = orders.At(access.Container)
	p.Order = orders.Of(in.Ref)
	if p.GroupLabels, err = x.groupLabels(ctx, p.Attempts); err != nil {
		return p, err
	}
	engine, err := x.engine(access)
	if err != nil {
		p.Err = err
		return p, nil
	}
	within := patience(ctx)
	if within <= 0 {
		p.Err = fault.Errorf(fault.Unavailable, "no time was left: others took long to answer; ask again")
		return p, nil
	}
	p.Hop = engine.Explain(ctx, in.Ref, x.cfg.Memory(access.Container), within, waiting(p.Held, p.Decisions, in.Ref))
	if e := subject(in, p.Hop.Entry); e != nil {
		p.Mapping = access.Mapping.Evaluate(e, p.Hop.Desired)
	}
	return p, nil
}

// groupLabels returns the names of the groups in membership changes. A group that the local directory does not have
// is missing.
func (x *Explainer) groupLabels(ctx context.Context, attempts []decisions.Attempt) (map[directory.ID]string, error) {
	out := map[directory.ID]string{}
	for i := range attempts {
		id := directory.ID(attempts[i].Group)
		if id == "" || out[id] != "" {
			continue
		}
		for j := range x.cfg.Sources {
			e, d, err := x.cfg.Sources[j].Entry(ctx, directory.Ref{Kind: directory.Group, ID: id})
			switch {
			case err != nil:
				return nil, err
			case e != nil:
				out[id] = e.Label()
			case d != nil && out[id] == "":
				out[id] = d.Label
			}
		}
	}
	return out, nil
}

// engine opens a provider on first use. Wrong credentials of a tenant must not prevent the API from starting.
func (x *Explainer) engine(access *ProviderAccess) (*reconcile.Engine, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	open := x.opened[access.Container]
	if open == nil {
		var err error
		if open, err = access.Open(); err != nil {
			return nil, err
		}
		x.opened[access.Container] = open
	}
	return open(), nil
}

// subject returns the entry for the mapping: the stored one, or the live one if there is no stored one.
func subject(in *Input, stored *directory.Entry) *directory.Entry {
	if stored != nil {
		return stored
	}
	for i := range in.Sources {
		if s := &in.Sources[i]; s.Location != nil && len(s.Location.Sightings) > 0 {
			return s.Location.Sightings[0].Entry
		}
	}
	return nil
}
