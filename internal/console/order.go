package console

import (
	"context"
	"strings"
	"time"

	"rollcall/api"
	"rollcall/directory"
	"rollcall/plan"
)

// orderTime is how long an action waits for the jobs that carry out an order.
const orderTime = 5 * time.Second

// orderData asks for the confirmation of an order to leave, or of its end.
type orderData struct {
	directory.Ref
	Known
	Lift  bool
	Order *standingOrder // nil if none stands
}

// standingOrder is an order to leave.
type standingOrder struct {
	plan.Order
	Problem string // why the order is not trusted, and has no effect
}

// orders returns the orders to leave, the trusted ones first. A token for some containers learns of none, because an
// order is for every provider.
func (c *Console) orders(r *request) (out []standingOrder, err error) {
	if r.who.Restricted() {
		return nil, nil
	}
	all, err := c.cfg.API.Orders(r.Context())
	for _, o := range all.Leave {
		out = append(out, standingOrder{Order: o})
	}
	for ref, problem := range all.Untrusted {
		out = append(out, standingOrder{plan.Order{Ref: ref}, problem})
	}
	return out, err
}

// orderFor returns the order for a user, or nil.
func (c *Console) orderFor(r *request, ref directory.Ref) (*standingOrder, error) {
	all, err := c.orders(r)
	for i := range all {
		if all[i].Ref == ref {
			return &all[i], err
		}
	}
	return nil, err
}

// order shows the confirmation of an order to leave, or of its end.
func (c *Console) order(r *request) (*page, error) {
	if r.who.Restricted() {
		return nil, errEverything
	}
	q := r.URL.Query()
	data := orderData{Ref: directory.Ref{Kind: directory.User, ID: directory.ID(q.Get("id"))},
		Lift: q.Get("lift") == "true"}
	known, err := c.cfg.Entries(r.Context(), []directory.Ref{data.Ref})
	if err != nil {
		return nil, err
	}
	var there bool
	if data.Known, there = known[data.Ref]; !there {
		data.Label = string(data.ID)
	}
	if data.Order, err = c.orderFor(r, data.Ref); err != nil {
		return nil, err
	}
	if data.Lift && data.Order == nil || !data.Lift && !there {
		return nil, errNoPage
	}
	return &page{View: "order", Title: map[bool]string{true: "Lift an order", false: "Leave now"}[data.Lift],
		Nav: "people", Data: data}, nil
}

func (c *Console) leave(r *request) (string, error) { return c.ordered(r, c.cfg.API.Leave) }

func (c *Console) liftLeave(r *request) (string, error) { return c.ordered(r, c.cfg.API.LiftLeave) }

// ordered gives or lifts an order, waits for its jobs and shows the person with them.
func (c *Console) ordered(r *request, do func(context.Context, api.Caller, string) (plan.Order, []api.LeaveJob,
	error)) (string, error) {
	if r.who.Restricted() {
		return "", errEverything
	}
	order, jobs, err := do(r.Context(), api.Caller{Name: r.who.Name}, strings.TrimSpace(r.PostFormValue("id")))
	if order.ID != "" {
		r.detail("object", order.Ref.String())
	}
	if err != nil {
		return "", err
	}
	asked := make([]string, len(jobs))
	until := time.Now().Add(orderTime)
	for i, j := range jobs {
		asked[i] = string(j.Container) + "/" + j.JobID
		if left := time.Until(until); j.JobID != "" && left > 0 {
			_, _ = c.cfg.Status.WaitJob(r.Context(), j.Container, j.JobID, left) // the page shows how the job is
		}
	}
	return personPath(order.Kind, order.ID, asked...), nil
}
