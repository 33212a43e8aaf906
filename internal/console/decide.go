package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
)

// reviewData asks for a confirmation.
type reviewData struct {
	api.Resource
	Verdict     string
	Digest      string
	Write       string // of the set
	Count       int
	Consequence string
	Changes     []decisions.HeldChange // the first ones
	Groups      []*heldGroup           // by reason, without rows
	Until       time.Time              // when the decision ends
	Selection   url.Values
	Back        string
}

// mostReviewed is the number of changes that a confirmation names one by one.
const mostReviewed = 20

// mostEntries is the number of changes that can be chosen one by one. A page has heldRows of them.
const mostEntries = 500

// review shows the confirmation of a decision with its numbers.
func (c *Console) review(r *request) (*page, error) {
	q := r.URL.Query()
	verdict := q.Get("verdict")
	if verdict != string(plan.Approved) && verdict != string(plan.Rejected) {
		return nil, errNoPage
	}
	chosen, err := c.choose(r, q)
	if err != nil {
		return nil, err
	}
	res, _ := c.resource(r.container())
	data := reviewData{
		Resource: res, Verdict: verdict, Digest: r.PathValue("digest"), Write: chosen.set.Write(),
		Count: chosen.count, Until: c.now().Add(decisions.DecisionTTL), Selection: q, Back: heldPath(res.Container),
	}
	if data.Groups, err = c.grouped(r.Context(), &chosen.set, chosen.places, "reason"); err != nil {
		return nil, err
	}
	worst, err := c.grouped(r.Context(), &chosen.set, chosen.places, "action")
	does := map[string]int64{}
	for _, g := range worst {
		rows, wrong := chosen.set.Rows(r.Context(), g.some(chosen.places, 0, mostReviewed-len(data.Changes)))
		if err = errors.Join(err, wrong); err != nil {
			return nil, err
		}
		data.Changes = append(data.Changes, rows...)
		maps.Copy(does, g.does)
	}
	data.Consequence = consequence(does)
	title := map[bool]string{true: "Approve", false: "Reject"}[verdict == string(plan.Approved)]
	return &page{View: "review", Title: title, Nav: "held", Data: data}, nil
}

// choice is a selection of held changes.
type choice struct {
	set    decisions.HeldIndex
	places []int // nil for all
	count  int
	named  map[string]bool // the fingerprints of the form where it has single entries
}

// choose returns the changes that a form selects: some entries, one group, or all of a set. Of a superseded set it
// returns those that still wait.
func (c *Console) choose(r *request, form url.Values) (out choice, err error) {
	ctx, id := r.Context(), r.container()
	if _, known := c.resource(id); !known {
		return out, errNoPage
	}
	if len(form["entry"]) > mostEntries {
		return out, refusal{http.StatusBadRequest,
			fmt.Sprintf("At most %d changes can be chosen one by one.", mostEntries)}
	}
	if out.set, err = c.cfg.Decisions.HeldIndex(ctx, id); err == nil && out.set.Digest != r.PathValue("digest") {
		var whole decisions.HeldSet
		whole, err = c.cfg.API.Waiting(ctx, id, r.PathValue("digest"))
		out.set = decisions.IndexHeld(whole)
	}
	if err != nil {
		return out, err
	}
	if form.Get("scope") == "entries" {
		out.named = make(map[string]bool, len(form["entry"]))
		for _, print := range form["entry"] {
			out.named[print] = true
		}
		out.places, err = out.set.Find(ctx, "", func(l decisions.HeldLine) bool { return out.named[l.Fingerprint] })
		out.places = append([]int{}, out.places...)
	} else {
		out.places, err = found(ctx, &out.set, strings.TrimSpace(form.Get("q")))
	}
	if err != nil {
		return out, err
	}
	groups, err := c.grouped(ctx, &out.set, out.places, form.Get("by"))
	var of []int
	for _, g := range groups {
		if !form.Has("key") || form.Get("scope") == "entries" {
			out.count += g.Count
		} else if g.Key == form.Get("key") {
			of, out.count = g.some(out.places, 0, g.Count), g.Count
		}
	}
	if of != nil {
		slices.Sort(of)
		out.places = of
	}
	if err == nil && out.count == 0 {
		err = refusal{http.StatusConflict, "Nothing is selected, or what was selected waits no more. " +
			"Go back, load the page again and choose."}
	}
	return out, err
}

func (c *Console) approve(r *request) (string, error) { return c.decide(r, plan.Approved) }

func (c *Console) reject(r *request) (string, error) { return c.decide(r, plan.Rejected) }

// decide carries out a confirmed decision. It refuses when other changes are selected by now than the confirmation
// showed.
func (c *Console) decide(r *request, verdict plan.Verdict) (string, error) {
	if err := r.ParseForm(); err != nil {
		return "", refusal{http.StatusBadRequest, "The form cannot be read."}
	}
	chosen, err := c.choose(r, r.PostForm)
	if err != nil {
		return "", err
	}
	if shown := r.PostForm.Get("count"); shown != strconv.Itoa(chosen.count) {
		return "", refusal{http.StatusConflict,
			fmt.Sprintf("The confirmation showed %s changes, and %d are selected by now. "+
				"Nothing was decided. Go back and look again.", shown, chosen.count)}
	}
	changed := refusal{http.StatusConflict, "The plan has changed since the confirmation. Nothing was decided. " +
		"Go back and review again."}
	if chosen.places != nil && chosen.named == nil && r.PostForm.Get("write") != chosen.set.Write() {
		return "", changed
	}
	var entries map[string]bool // nil for all
	if chosen.places != nil {
		rows, err := chosen.set.Rows(r.Context(), chosen.places)
		if err != nil {
			return "", err
		}
		entries = make(map[string]bool, len(rows))
		for i := range rows {
			if chosen.named != nil && !chosen.named[rows[i].Fingerprint] {
				return "", changed
			}
			entries[rows[i].Fingerprint] = true
		}
	}
	n, run, err := c.cfg.API.Decide(r.Context(), api.Verdict{
		Container: r.container(), Digest: r.PathValue("digest"), Verdict: verdict,
		Entries: entries, By: r.who.Name,
	})
	r.detail("changes", strconv.Itoa(n))
	if err != nil {
		return "", err
	}
	if run != nil {
		return home(r.container(), run.ID), nil
	}
	return heldPath(r.container()) + query("rejected", strconv.Itoa(n)), nil
}

// resource returns a configured source or provider.
func (c *Console) resource(id container.ID) (api.Resource, bool) {
	all := c.cfg.API.Resources()
	i := slices.IndexFunc(all, func(res api.Resource) bool { return res.Container == id })
	if i < 0 {
		return api.Resource{}, false
	}
	return all[i], true
}

// acceptServer accepts the server in doubt.
func (c *Console) acceptServer(r *request) (string, error) {
	_, err := c.cfg.API.AcceptServer(r.Context(), r.container(), r.who.Name)
	return heldPath(r.container()), err
}

// liftPins ends the pins of one entry, or all of them if the form says how many there are.
func (c *Console) liftPins(r *request) (string, error) {
	entries := map[string]bool{r.PostFormValue("entry"): true}
	if all := r.PostFormValue("all"); all != "" {
		pins, err := c.cfg.Decisions.Pins(r.Context(), r.container())
		if err != nil {
			return "", err
		}
		if strconv.Itoa(len(pins)) != all {
			return "", refusal{http.StatusConflict, fmt.Sprintf("The page showed %s pins, and there are %d by now. "+
				"Nothing was lifted. Go back and load the page again.", all, len(pins))}
		}
		entries = nil
	}
	n, err := c.cfg.API.Lift(r.Context(), r.container(), entries)
	r.detail("pins", strconv.Itoa(n))
	if ref, ok := plan.ParseRef(r.PostFormValue("entry")); ok && r.PostFormValue("back") == "person" {
		return personPath(ref.Kind, ref.ID), err
	}
	return heldPath(r.container()) + "#pins", err
}

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
