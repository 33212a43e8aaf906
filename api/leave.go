package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/plan"
)

// Order is an order to leave.
type Order struct {
	ID     string `json:"id"`
	Label  string `json:"label"`
	Source string `json:"source"`
	By     string `json:"by"`
	At     stamp  `json:"at"`
	// Providers are those that it was given for. It is left out where an older version gave the order.
	Providers []OrderAt `json:"providers,omitempty"`
}

// OrderAt is an order at one provider.
type OrderAt struct {
	Container container.ID `json:"container"`
	// State is stands, or ended where the directory agrees.
	State string `json:"state"`
	// Confirmed is when the tenant confirmed that the account is suspended or deleted.
	Confirmed *stamp `json:"confirmed"`
}

func newOrder(o plan.Order) Order {
	v := Order{ID: string(o.ID), Label: o.Label, Source: o.Source, By: o.By, At: stamp(o.At)}
	for _, c := range o.Providers {
		at := OrderAt{Container: c, State: "stands"}
		if slices.Contains(o.Agreed, c) {
			at.State = "ended"
		}
		v.Providers = append(v.Providers, at)
	}
	return v
}

// confirm adds when the tenants confirmed.
func (a *API) confirm(ctx context.Context, orders []plan.Order, views []Order) error {
	entries := map[container.ID][]string{}
	for _, o := range orders {
		for _, c := range o.Providers {
			entries[c] = append(entries[c], o.Ref.String())
		}
	}
	for c, refs := range entries {
		receipts, err := a.cfg.Decisions.Receipts(ctx, c, refs...)
		if err != nil {
			return err
		}
		for i, o := range orders {
			at := slices.Index(o.Providers, c)
			if r, ok := receipts[o.Ref.String()]; ok && at >= 0 {
				views[i].Providers[at].Confirmed = explain.MomentOf(r.Confirmed)
			}
		}
	}
	return nil
}

// Ordered is the response to an order, or to its end. Jobs carry it out, one at each provider.
type Ordered struct {
	Order Order      `json:"order"`
	Jobs  []LeaveJob `json:"jobs"`
}

// LeaveJob is the job that carries out an order at one provider.
type LeaveJob struct {
	Container container.ID `json:"container"`
	// JobID is empty if the job could not be started. Problem then says why, and the next run carries out the order.
	JobID   string `json:"job_id,omitempty"`
	Problem string `json:"problem,omitempty"`
}

// Orders lists the orders that stand.
type Orders struct {
	Orders []Order `json:"orders"`
}

// leaves lists the orders that stand.
func (a *API) leaves(r *request) (answer, error) {
	if len(r.caller.Only) > 0 { // The orders are for every provider.
		return answer{}, errForbidden
	}
	orders, err := a.Orders(r.Context())
	if err != nil {
		return answer{}, err
	}
	out := Orders{make([]Order, 0, len(orders.Leave))}
	for _, o := range orders.Leave {
		out.Orders = append(out.Orders, newOrder(o))
	}
	return ok(out), a.confirm(r.Context(), orders.Leave, out.Orders)
}

// Orders returns the orders to leave without those that stand only at providers that were removed: neither the
// configuration of the API nor a live worker has them. Such an order counts again when its provider comes back.
func (a *API) Orders(ctx context.Context) (decisions.Orders, error) {
	all, err := a.cfg.Decisions.Orders(ctx)
	if err != nil {
		return all, err
	}
	stand := make([]plan.Order, 0, len(all.Leave))
	for _, o := range all.Leave {
		removed, err := a.removed(ctx, o.StandsAt())
		if err != nil {
			return all, err
		}
		if !removed {
			stand = append(stand, o)
		}
	}
	all.Leave = stand
	return all, nil
}

// removed reports whether there are providers, and all of them were removed.
func (a *API) removed(ctx context.Context, providers []container.ID) (bool, error) {
	for _, c := range providers {
		if slices.ContainsFunc(a.cfg.Resources, func(r Resource) bool { return r.Container == c }) {
			return false, nil
		}
		now, err := a.cfg.Status.Configured(ctx, c)
		if err != nil || now.Digest != "" {
			return false, err
		}
	}
	return len(providers) > 0, nil
}

// ordering gives an order to leave, or ends one.
type ordering func(context.Context, Caller, string) (plan.Order, []LeaveJob, error)

func (do ordering) handle(r *request) (answer, error) {
	body, err := readObject(r)
	if err != nil {
		return answer{}, err
	}
	wrong := invalid{}
	for name := range body {
		if name != "entry" {
			wrong.add(name, "Unknown field.")
		}
	}
	text, isText := body["entry"].(string)
	switch _, given := body["entry"]; {
	case !given:
		wrong.add("entry", "This field is required.")
	case !isText:
		wrong.add("entry", "Not a valid string.")
	}
	if err := wrong.orNil(); err != nil {
		return answer{}, err
	}
	o, jobs, err := do(r.Context(), r.caller, text)
	if o.ID != "" {
		r.detail("object", o.Ref.String())
	}
	return answer{status: http.StatusAccepted, body: Ordered{newOrder(o), jobs}}, err
}

// Leave orders that the user of a text leaves. Each provider suspends the account at once. No run lifts the
// suspension until the directory agrees or the order is lifted. A token that does not reach all of these providers
// is refused.
func (a *API) Leave(ctx context.Context, caller Caller, text string) (plan.Order, []LeaveJob, error) {
	if err := checkEntry(text); err != nil {
		return plan.Order{}, nil, err
	}
	at, err := a.concerned(ctx, caller, text)
	if err != nil {
		return plan.Order{}, nil, err
	}
	o := plan.Order{Ref: at.match.Ref, Label: at.match.Label, Source: at.match.Source, By: caller.Name, At: a.now(),
		Providers: at.providers}
	if err := a.cfg.Decisions.Leave(ctx, o); err != nil {
		return plan.Order{}, nil, err
	}
	jobs, err := a.startJobs(ctx, at, caller.Name, "The order stands")
	return o, jobs, err
}

// LiftLeave ends the order for the user of a text. Each provider then does what the directory says. A user who
// is no longer known is named by the id.
func (a *API) LiftLeave(ctx context.Context, caller Caller, text string) (plan.Order, []LeaveJob, error) {
	if err := checkEntry(text); err != nil {
		return plan.Order{}, nil, err
	}
	orders, err := a.cfg.Decisions.Orders(ctx)
	if err != nil {
		return plan.Order{}, nil, err
	}
	at, err := a.concerned(ctx, caller, text)
	_, unknown := errors.AsType[invalid](err)
	ref := at.match.Ref
	if unknown && len(caller.Only) == 0 {
		ref, err = directory.Ref{Kind: directory.User, ID: directory.ID(text)}, nil
	}
	if err != nil {
		return plan.Order{}, nil, err
	}
	order := plan.Order{Ref: ref, Label: at.match.Label, Source: at.match.Source}
	if o := orders.Of(ref); o != nil {
		order = *o
	} else if orders.Untrusted[ref] == "" {
		return plan.Order{}, nil, conflict("No order to leave stands " +
			"for " + cmp.Or(at.match.Label, shorten(text)) + ".")
	}
	if err := a.cfg.Decisions.EndLeaves(ctx, ref); err != nil {
		return plan.Order{}, nil, err
	}
	jobs, err := a.startJobs(ctx, at, caller.Name, "The order was lifted")
	return order, jobs, err
}

// checkEntry refuses a text that names no entry.
func checkEntry(text string) error {
	wrong := invalid{}
	checkObjectID("entry", text, wrong)
	return wrong.orNil()
}

// place is a user with the providers that have its source.
type place struct {
	match     Match
	providers []container.ID
}

// concerned finds a user by its id, anchor, user name or mail, and the enabled providers that follow its source.
func (a *API) concerned(ctx context.Context, caller Caller, text string) (at place, err error) {
	for _, res := range a.resources {
		if res.Container.IsSource() || res.Disabled {
			continue
		}
		found, err := a.cfg.Directory.Find(ctx, res.Container, directory.User, text)
		switch {
		case err != nil && fault.KindOf(err) == fault.NotFound, err == nil && len(found) == 0:
			continue
		case err != nil && fault.KindOf(err) == fault.Invalid:
			return at, invalidField("entry", "%v", err)
		case err != nil:
			return at, err
		case len(found) > 1, at.match.Ref.ID != "" && at.match.Ref != found[0].Ref:
			return at, invalidField("entry", "Several users match %q: give the unique id of one of them.",
				shorten(text))
		}
		at.match, text = found[0], string(found[0].Ref.ID)
		at.providers = append(at.providers, res.Container)
	}
	if len(at.providers) == 0 {
		return at, invalidField("entry", "No user has the id, anchor, username or mail %q.", shorten(text))
	}
	for _, c := range at.providers {
		if !caller.reaches(c) {
			return place{}, errForbidden
		}
	}
	return at, nil
}

// startJobs starts a job at each provider, and names those that could not be started. It is an error if none could.
func (a *API) startJobs(ctx context.Context, at place, by, done string) ([]LeaveJob, error) {
	jobs := make([]LeaveJob, 0, len(at.providers))
	var last *problem
	started := 0
	for _, c := range at.providers {
		id, err := a.cfg.Jobs.StartObject(ctx, c, at.match.Source, at.match.Ref, by)
		if err == nil {
			jobs = append(jobs, LeaveJob{Container: c, JobID: id})
			started++
			continue
		}
		a.cfg.Log.WarnContext(ctx, "no job was started for an order", "container", c, "err", secret.Scrub(err.Error()))
		out, _ := a.errorAnswer(err)
		why := rpcMessage(out.body)
		jobs = append(jobs, LeaveJob{Container: c, Problem: "No job was started, and the next run does it. " + why})
		last = &problem{out.status, detail{Detail: done +
			", but no job was started. The next run of each provider does it. " +
			why}}
	}
	if started == 0 && last != nil {
		return nil, last
	}
	return jobs, nil
}
