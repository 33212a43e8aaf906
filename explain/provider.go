package explain

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/reconcile"
)

// providerOf says how the entry stands with a provider.
func providerOf(in *ProviderInput, all *Input, sources []Source) Provider {
	values, hidden := values(in.Mapping)
	if slices.ContainsFunc(values, func(v mapping.Value) bool { return v.Problem == secret.Redacted }) {
		in = censored(in, all.Ref, values)
	}
	p := Provider{
		Container: in.Container, Mapping: values, Groups: groups(in.Hop.Groups), Match: matchOf(&in.Hop, all.Ref),
		Scope:     scopeOf(&in.Hop),
		Departure: departureOf(in, all.Ref), Receipt: receiptOf(in.Receipt),
		Next:     rows(in.Hop.Apply, in.Hop.Held, hidden),
		Outcomes: outcomes(in.Attempts, in.GroupLabels),
		Held:     holds(in.Held, in.Decisions, all.Ref), Decisions: about(in.Decisions, all.Ref),
		Pins:    pins(in.Hop.Pin),
		Unasked: []string{}, LastFull: MomentOf(in.Hop.Facts.LastFull),
	}
	if d := in.Hop.Desired; d != nil {
		p.Desired = &Desired{Address: d.Address, Active: d.Active, Why: string(d.Why), Held: string(d.Held),
			Detail: d.Detail}
	}
	for _, err := range []error{in.Err, in.Hop.SourceErr, in.Hop.RemoteErr} {
		if err != nil {
			p.Unasked = append(p.Unasked, err.Error())
		}
	}
	for i := range in.Strangers {
		p.Match.Objects = append(p.Match.Objects, objectOf(&in.Strangers[i]))
	}
	if in.Order != nil {
		p.Order = &Order{in.Order.By, Moment(in.Order.At)}
	}
	j := judge{in: in, p: &p, ref: all.Ref, sources: sources}
	p.Code, p.Reason, p.Verdict = j.verdict()
	if in.Pause != nil {
		p.Verdict += "; nothing is written to this provider: " + in.Pause.Text()
	}
	return p
}

func scopeOf(h *reconcile.Explanation) Scope {
	yes, no := true, false
	switch {
	case h.OutOfScope != nil:
		return Scope{In: &no, Rule: h.OutOfScope.Rule, Setting: h.OutOfScope.Setting}
	case h.Desired != nil:
		return Scope{In: &yes}
	}
	return Scope{}
}

func groups(in []plan.Desired) []Group {
	out := make([]Group, len(in))
	for i := range in {
		out[i] = Group{in[i].ID, in[i].Label}
	}
	return out
}

// matchOf is by what the remote object was found, with everything that speaks for or against it.
func matchOf(h *reconcile.Explanation, ref directory.Ref) Match {
	m := Match{By: Nothing, Objects: []Object{}}
	anchored := 0
	for i := range h.Objects {
		o := &h.Objects[i]
		if o.Ref == ref {
			anchored++
		}
		m.Objects = append(m.Objects, objectOf(o))
	}
	if l := h.Link; l.RemoteID != "" {
		m.Link = &Link{RemoteID: l.RemoteID, CreatedAt: MomentOf(l.Created), Suspended: l.Suspended,
			DepartedAt: MomentOf(l.Departed)}
	}
	planned := func(op plan.Op) bool {
		return slices.ContainsFunc(slices.Concat(h.Apply.Changes, h.Held.Changes),
			func(c plan.Change) bool { return c.Op == op && c.Ref == ref })
	}
	switch {
	case anchored > 1:
		m.By = Ambiguous
	case anchored == 1:
		m.By = ByAnchor
	case planned(plan.Adopt):
		m.By = ByAdoption
	case planned(plan.Reanchor):
		m.By = ByReanchor
	case m.Link != nil && (h.RemoteErr != nil || len(m.Objects) > 0):
		m.By = ByLedger
	}
	return m
}

var suspenders = map[plan.Suspender]string{plan.Us: "us", plan.Else: "somebody_else", plan.Unknown: "unknown"}

func objectOf(o *plan.Object) Object {
	out := Object{
		Kind: o.Kind, RemoteID: o.RemoteID, Address: o.Address, Aliases: append([]string{}, o.Aliases...), Anchor: o.ID,
		Active: o.Active, Protected: o.Protected, ReadOnly: o.ReadOnly,
	}
	if !o.Active {
		out.SuspendedBy = suspenders[o.Suspender]
	}
	return out
}

// departureOf is since when the entry is gone, as the plan has it or else the ledger.
func departureOf(in *ProviderInput, ref directory.Ref) *Departure {
	h := &in.Hop
	since, why := h.Link.Departed, h.Link.Why
	for _, t := range h.Apply.Tombstones {
		if t.Ref == ref {
			since, why = t.Since, t.Why
		}
	}
	if since.IsZero() && h.Departure != nil {
		since, why = h.Departure.Left, plan.Absent
	}
	if since.IsZero() {
		return nil
	}
	d := &Departure{Since: MomentOf(since), Why: string(why)}
	kept := h.Pin != nil && h.Pin.Account != ""
	if due, deleted := in.Policy.Due(ref.Kind, since); deleted && !kept && len(h.Objects) > 0 {
		d.DeletedAfter = MomentOf(due)
	}
	return d
}

func receiptOf(r *decisions.Receipt) *Receipt {
	if r == nil {
		return nil
	}
	return &Receipt{*r, Moment(r.Seen), Moment(r.Decided), Moment(r.Confirmed)}
}

func pins(p *plan.Pin) []Pin {
	if p == nil {
		return []Pin{}
	}
	out := Pin{RunID: p.Run, By: p.By, At: Moment(p.At), Account: string(p.Account), Address: p.Address,
		Fields: []string{}, Groups: []PinnedMembership{}}
	for _, f := range p.Fields {
		out.Fields = append(out.Fields, f.Name)
	}
	for _, g := range p.Groups {
		out.Groups = append(out.Groups, PinnedMembership{g.ID, g.Label, g.Member})
	}
	return []Pin{out}
}

func outcomes(in []decisions.Attempt, groups map[directory.ID]string) []Outcome {
	out := make([]Outcome, len(in))
	for i, a := range in {
		out[i] = Outcome{a, Moment(a.At), groups[directory.ID(a.Group)]}
	}
	return out
}

// holds returns the held changes that concern the entry, its own before its memberships. Values of fields are left to
// the held set.
func holds(set decisions.HeldSet, decided map[string]decisions.Decision, ref directory.Ref) []Hold {
	out := []Hold{}
	for _, c := range set.Changes {
		own := c.ID == string(ref.ID) && c.Kind == ref.Kind.String()
		if ref.ID == "" || !own && c.Member != string(ref.ID) {
			continue
		}
		h := Hold{HeldChange: c, Digest: set.Digest, RunID: set.RunID, At: Moment(set.At)}
		h.Fields = nil
		if d, is := decided[c.Fingerprint]; is {
			one := decisionOf(d)
			h.Decision = &one
		}
		out = append(out, h)
	}
	slices.SortStableFunc(out, func(a, b Hold) int { return cmp.Compare(a.Member, b.Member) })
	return out
}

func decisionOf(d decisions.Decision) Decision {
	return Decision{Fingerprint: d.Fingerprint, Verdict: d.Verdict, By: d.By, Op: d.Op, At: Moment(d.At),
		Expires: Moment(d.Expires)}
}

// about returns the decisions about the entry, oldest first.
func about(all map[string]decisions.Decision, ref directory.Ref) []Decision {
	out := []Decision{}
	for _, d := range all {
		if ref.ID != "" && d.ID == string(ref.ID) {
			out = append(out, decisionOf(d))
		}
	}
	slices.SortFunc(out, func(a, b Decision) int {
		return cmp.Or(time.Time(a.At).Compare(time.Time(b.At)), cmp.Compare(a.Fingerprint, b.Fingerprint))
	})
	return out
}

// conclude sets whether the query led to an entry, and the summary.
func (d *Document) conclude(in *Input) {
	what := fmt.Sprintf("the %s %q", d.Query.By, d.Query.Value)
	switch {
	case len(in.Candidates) > 0:
		d.Found = Several
		d.Verdict = fmt.Sprintf("%d entries have %s: ask by the id of one of them.", len(in.Candidates), what)
	case d.Entry != nil:
		d.Found = Known
		d.Verdict = d.sum()
	default:
		d.Found = NotFound
		var asked, not []string
		for i := range d.Sources {
			switch s := &d.Sources[i]; {
			case s.Live.Problem != "":
				d.Found, not = Uncertain, append(not, fmt.Sprintf("%s (%s)", s.Container, s.Live.Problem))
			case s.Live.Asked:
				asked = append(asked, string(s.Container))
			}
		}
		d.Verdict = "No entry of the local directory has " + what
		if len(asked) > 0 {
			d.Verdict += ", and none in the live directory of " + strings.Join(asked, ", ")
		}
		if len(not) > 0 {
			d.Verdict += ". Could not be asked: " + strings.Join(not, "; ")
		}
		d.Verdict += "."
		for i := range d.Providers {
			d.Verdict += " " + d.Providers[i].Verdict
		}
	}
}

// sum returns one sentence with the entry and the code of each provider.
func (d *Document) sum() string {
	var parts []string
	for i := range d.Providers {
		p := &d.Providers[i]
		text := strings.ReplaceAll(string(p.Code), "_", " ")
		if p.Reason != "" {
			text += " (" + p.Reason + ")"
		}
		parts = append(parts, fmt.Sprintf("%s: %s", p.Container, text))
	}
	text := fmt.Sprintf("%s %s", d.Entry.Kind, d.Entry.Label)
	if d.leaving() {
		text = "Leaving: " + text
	}
	if d.Entry.Source != "" {
		text += " of " + container.Source(d.Entry.Source).String()
	}
	if len(parts) == 0 {
		return text + ": no provider is fed from its source."
	}
	return text + ". " + strings.Join(parts, "; ") + "."
}

// leaving reports whether the source no longer gives the entry, or its account is about to be suspended.
func (d *Document) leaving() bool {
	return slices.ContainsFunc(d.Sources, func(s Source) bool { return s.Code == Leaving }) ||
		slices.ContainsFunc(d.Providers, func(p Provider) bool {
			return slices.ContainsFunc(p.Next, func(r plan.Row) bool {
				_, suspends := r.Change.Suspension(false)
				return suspends
			})
		})
}

// askTenants searches the tenants for an address that no directory has. An account with our anchor leads to its
// entry. An account without our anchor is listed.
func (x *Explainer) askTenants(ctx context.Context, in *Input) error {
	for i := range x.cfg.Providers {
		access := &x.cfg.Providers[i]
		if !access.On {
			continue
		}
		p := ProviderInput{Container: access.Container}
		engine, err := x.engine(access)
		if err == nil {
			p.Strangers, err = engine.Holders(ctx, in.Query.Value, max(patience(ctx), 1))
		}
		if p.Err = err; err == nil && len(p.Strangers) == 0 {
			continue
		}
		in.Providers = append(in.Providers, p)
		for j := range p.Strangers {
			whose, err := x.owner(ctx, &p.Strangers[j])
			if err != nil {
				return err
			}
			if whose != nil {
				whose.Query = in.Query
				*in = *whose
				return nil
			}
		}
	}
	return nil
}

// owner gathers the evidence for the entry in an object's anchor; nil if the object has none.
func (x *Explainer) owner(ctx context.Context, o *plan.Object) (*Input, error) {
	if o.ID == "" {
		return nil, nil // there is none, and that is no error
	}
	in, err := x.gather(ctx, Query{By: ByID, Value: string(o.ID)})
	if err != nil || unknown(&in) {
		return nil, err
	}
	return &in, nil
}

// patience returns the time limit for the next tenant. A silent tenant must not delay the answers of the others.
func patience(ctx context.Context) time.Duration {
	end, bounded := ctx.Deadline()
	if !bounded {
		return askProvider
	}
	const rest = 10 * time.Second // to read the local directory, to plan and to answer
	return min(askProvider, time.Until(end)-rest)
}

// phrase describes a change in words.
func phrase(c *plan.Change, ref directory.Ref) string {
	text := opText(c.Op.String())
	if c.Ref != ref || c.Op.Membership() {
		return text + " in " + c.Label
	}
	if c.Address != "" {
		text += " " + c.Address
	}
	if c.Op == plan.Update {
		var names []string
		for _, f := range c.Fields {
			names = append(names, f.Name)
		}
		text += " (" + strings.Join(names, ", ") + ")"
	}
	return text
}

// opText is an operation in words.
func opText(op string) string {
	switch op {
	case plan.AddMember.String():
		return "membership"
	case plan.RemoveMember.String():
		return "removal from a group"
	}
	return op
}
