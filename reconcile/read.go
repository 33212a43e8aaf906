package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
)

// view is all the data that one run read.
type view struct {
	at time.Time
	// readAt orders this read of the source among others. See Committer.
	readAt   time.Time
	snapshot directory.Snapshot
	// entries counts the entries of the snapshot and their memberships. A mirror keeps no others of a full read.
	entries plan.Tally
	desired mapping.Result
	state   plan.State
	links   map[directory.Ref]plan.Link
	groups  map[directory.ID]plan.Confirmed
	facts   ledger.Facts
	memory  Remembered
	doubts  []string
	// delta is what the run knew about changes before it read.
	delta delta
	// trusted says that the position of the source is at least that of the last read.
	trusted bool
	// stale says why the source may be older than in the last read. known are then the entries that existed before.
	stale string
	// clocks says which clocks disagree.
	clocks string
	known  map[directory.Ref]bool
	// approval says why every change waits for a decision. It is empty if none does.
	approval string
	// others is what the next run does to other entries than an explained one.
	others plan.Budget
	// joining are the sources that the provider was never synced from.
	joining []plan.NewSource
	// sourceRead and stateRead report which sides have been read.
	sourceRead, stateRead bool
	// undo are the pins of this run's undo, which are also among the pins in memory. notUndone are the changes that
	// cannot be undone.
	undo      []plan.Pin
	notUndone []plan.Note
	// strangers are active accounts with an anchor that names no known entry. Each is an address or a remote id.
	strangers []string
}

// read reads both sides completely, and the memory. After an error the view holds the data that was read before it.
// Only explanations use such a view.
func (e *Engine) read(ctx context.Context, s Scope, memory Memory) (*view, error) {
	v := &view{at: e.cfg.Now()}
	var err error
	if v.facts, err = e.cfg.Ledger.Facts(ctx); err != nil {
		return v, err
	}
	if memory != nil {
		if v.memory, err = memory.Load(ctx); err != nil {
			return v, err
		}
	}
	if err := e.hop().read(ctx, s, v); err != nil {
		return v, err
	}
	if err := e.check(v, s); err != nil {
		return v, err
	}
	if e.cfg.Clocks != nil {
		if text, holds := e.cfg.Clocks(); holds {
			v.clocks = text
		} else if text != "" {
			v.memory.Warnings = append(v.memory.Warnings, text)
		}
	}
	if s.undo != nil {
		v.undo, v.notUndone = plan.Undo(*s.undo, v.desired.Desired, v.snapshot.Versions, v.at)
		v.memory.Pins = plan.MergePins(v.memory.Pins, v.undo)
	}
	return v, nil
}

// ledger reads every link and all confirmed members.
func (e *Engine) ledger(ctx context.Context, v *view) (err error) {
	if v.links, err = e.cfg.Ledger.Links(ctx); err != nil {
		return err
	}
	v.groups, err = e.cfg.Ledger.Groups(ctx)
	return err
}

// ErrReadSource is wrapped by the error of a run that could not read its source.
var ErrReadSource = errors.New("read source")

// source reads the source.
func (e *Engine) source(ctx context.Context, q directory.Query, v *view) (err error) {
	if v.snapshot, err = e.cfg.Source.Read(ctx, q); err != nil {
		return fmt.Errorf("%w: %w", ErrReadSource, err)
	}
	v.readSource()
	return nil
}

// readSource notes that the source was read.
func (v *view) readSource() {
	v.sourceRead = true
	v.entries = plan.Tally{User: v.snapshot.Count(directory.User), Group: v.snapshot.Count(directory.Group)}
	for i := range v.snapshot.Entries {
		v.entries.Membership += len(v.snapshot.Entries[i].Members)
	}
}

// state reads the provider into v.
func (e *Engine) state(ctx context.Context, s Scope, q provider.Query, v *view) (err error) {
	q.Known, q.Groups, q.Now = v.links, v.groups, v.at
	if v.state, err = e.remote(ctx, s.readWithin, q); err != nil {
		return fmt.Errorf("read provider: %w", err)
	}
	v.stateRead = true
	return nil
}

// remote reads the provider. Zero within means no bound.
func (e *Engine) remote(ctx context.Context, within time.Duration, q provider.Query) (plan.State, error) {
	if within == 0 {
		return e.cfg.Provider.Read(ctx, q)
	}
	bounded, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	state, err := e.cfg.Provider.Read(bounded, q)
	if err != nil && bounded.Err() != nil && ctx.Err() == nil { // The error of the last attempt would be less precise.
		err = fault.Errorf(fault.Unavailable,
			"no answer within %s: the tenant is down or slow, or its quota is spent", within)
	}
	return state, err
}

// check fails the run for an answer that is complete in form but implausible, and collects doubts.
func (e *Engine) check(v *view, s Scope) error {
	v.doubts = slices.Concat(v.snapshot.Doubts, v.desired.Doubts, v.memory.Doubts)
	if v.stale != "" {
		v.doubts = append(v.doubts, v.stale)
	}
	if s.limited() {
		return nil
	}
	users := 0
	for i := range v.state.Objects {
		if o := &v.state.Objects[i]; o.Anchored() && o.Kind == directory.User {
			users++
		}
	}
	if users > 0 && v.entries.User == 0 {
		return fault.Errorf(fault.Unsafe, "the source returned no users, but the provider has %d; nothing was changed; "+
			"check the base DN, the filter and the rights of the bind account", users)
	}
	if !v.facts.LastFull.IsZero() && !slices.Equal(v.facts.Referrals, v.snapshot.Referrals) {
		v.doubts = append(v.doubts,
			fmt.Sprintf("the server refers to other places than in the last good run (now: %s; then: %s)",
				list(v.snapshot.Referrals), list(v.facts.Referrals)))
	}
	return nil
}

func list(s []string) string {
	if len(s) == 0 {
		return "none"
	}
	return strings.Join(s, ", ")
}

// lookups returns the lookups in the provider for the entries of a limited scope. A user is looked up in the groups in
// which it should be, and in those in which it was when their members were last confirmed. The pin of an entry may end
// in this run, so that both addresses are looked up.
func (v *view) lookups(s Scope, desired []plan.Desired) []provider.Lookup {
	out := make([]provider.Lookup, len(s.refs))
	at := make(map[directory.Ref]int, len(s.refs))
	users := make(map[string]int, len(s.refs)) // by remote id
	for i, ref := range s.refs {
		out[i] = provider.Lookup{Ref: ref, RemoteID: v.links[ref].RemoteID}
		at[ref] = i
		if ref.Kind == directory.User && out[i].RemoteID != "" {
			users[out[i].RemoteID] = i
		}
	}
	pinned := make(map[directory.Ref]string, len(v.memory.Pins))
	for i := range v.memory.Pins {
		pinned[v.memory.Pins[i].Ref] = v.memory.Pins[i].Address
	}
	for i := range desired {
		d := &desired[i]
		if n, ok := at[d.Ref]; ok {
			out[n].Address = cmp.Or(pinned[d.Ref], d.Address)
			if d.Address != "" && d.Address != out[n].Address {
				out = append(out, holder(d.Kind, d.Address))
			}
		}
		remote := v.links[d.Ref].RemoteID
		if d.Kind != directory.Group || remote == "" || s.alone {
			continue
		}
		in := map[int]bool{}
		for _, m := range d.Members {
			if n, ok := at[m.Ref]; ok && m.Kind == directory.User {
				in[n] = true
			}
		}
		known, confirmed := v.groups[d.ID]
		for _, m := range known.Members {
			if n, ok := users[m]; ok {
				in[n] = true
			}
		}
		if !confirmed && v.snapshot.Partial && s.urgent() { // The groups are those of these entries, now or lately.
			for _, n := range users {
				in[n] = true
			}
		}
		for n := range in {
			out[n].Groups = append(out[n].Groups, provider.GroupRef{ID: d.ID, RemoteID: remote})
		}
	}
	return out
}

// holder looks up the object that has an address. The id is of no entry, so that only the address can be found.
func holder(kind directory.Kind, address string) provider.Lookup {
	return provider.Lookup{Ref: directory.Ref{Kind: kind, ID: directory.ID(uuid.NewString())}, Address: address}
}

// refs returns every present and former entry of the source, usable or not.
func (v *view) refs() map[directory.Ref]bool {
	refs := make(map[directory.Ref]bool, len(v.desired.Desired))
	for i := range v.desired.Desired {
		refs[v.desired.Desired[i].Ref] = true
	}
	mark(refs, v.desired.OutOfScope...)
	for _, d := range v.snapshot.Departed {
		refs[d.Ref] = true
	}
	for _, f := range v.snapshot.Findings {
		refs[f.Ref] = true
	}
	for ref := range v.snapshot.Versions {
		refs[ref] = true
	}
	return refs
}

// mayReadSingly reports whether a run that failed in reading may still suspend leavers: a full run, or one that carries
// out what was approved. The source was read, and the tenant refuses to list its objects.
func (e *Engine) mayReadSingly(s Scope, v *view, err error) bool {
	return fault.KindOf(err) == fault.Denied && v.sourceRead && !v.stateRead && s.may(confirms) && s.may(writes) &&
		s.undo == nil && !e.cfg.Provider.Capabilities().Mirror
}

// suspendKnown suspends the leavers that the ledger knows, after the tenant refused a list with the given error. Each
// account is read by its id. It must carry our anchor, and be no administrator and not protected. The guards count
// against the number of accounts in the ledger. The run fails with the given error all the same.
func (e *Engine) suspendKnown(ctx context.Context, run Run, v *view, refused error) (Report, error) {
	refs, err := e.departing(v)
	if err != nil || len(refs) == 0 {
		return Report{}, refused
	}
	approved := run.Scope.approvedOnly
	run.Scope = leavers(refs)
	run.Scope.approvedOnly = approved
	if v, err = e.read(ctx, run.Scope, run.Memory); err != nil {
		if fault.KindOf(err) == fault.Canceled {
			return Report{}, err
		}
		run.Journal.Say(Error, fmt.Sprintf(
			"%d accounts of entries that left are not suspended, because they cannot be read one by one either: %v",
			len(refs), err), nil)
		return Report{}, refused
	}
	run.Journal.Say(Warning, fmt.Sprintf("The tenant refuses a list: %v. This run suspends leavers that are known "+
		"from earlier runs, and does nothing else. %d accounts were read one by one.", refused, len(refs)), nil)
	report, err := e.carryOut(ctx, run, v)
	report.SuspendsOnly = true
	if err != nil && fault.KindOf(err) == fault.Canceled {
		return report, err
	}
	if err != nil {
		run.Journal.Say(Error, "Not every leaver was suspended: "+err.Error(), nil)
	}
	return report, fmt.Errorf("%w (%d leavers were suspended all the same)", refused, report.Applied)
}

// departing returns the users with an account in the ledger that should be suspended, as far as the source or an order
// tells.
func (e *Engine) departing(v *view) (refs []directory.Ref, err error) {
	for i := range v.memory.Orders {
		if ref := v.memory.Orders[i].Ref; stands(v.links[ref]) {
			refs = append(refs, ref)
		}
	}
	if action := e.cfg.Policy.UserDeleteAction; action == plan.ActionDoNothing {
		return refs, nil
	}
	desired, err := e.cfg.Desire(v.snapshot, plan.State{})
	if err != nil {
		return nil, err
	}
	stays := map[directory.Ref]bool{}
	for i := range desired.Desired {
		stays[desired.Desired[i].Ref] = desired.Desired[i].Active
	}
	for i := range v.snapshot.Findings {
		stays[v.snapshot.Findings[i].Ref] = true
	}
	for ref, link := range v.links {
		if ref.Kind == directory.User && stands(link) && !stays[ref] {
			refs = append(refs, ref)
		}
	}
	slices.SortFunc(refs, directory.Ref.Compare)
	return slices.Compact(refs), nil
}
