package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/plan"
)

// reviewData asks for a confirmation.
type reviewData struct {
	api.Resource
	Verdict     string
	Digest      string
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
	slices.SortStableFunc(chosen, func(a, b decisions.HeldChange) int {
		return cmp.Compare(severity(a.Op), severity(b.Op))
	})
	res, _ := c.resource(r.container())
	data := reviewData{
		Resource: res, Verdict: verdict, Digest: r.PathValue("digest"), Count: len(chosen),
		Consequence: consequence(decisions.CountHeld(chosen).Does), Changes: chosen[:min(len(chosen), mostReviewed)],
		Until: c.now().Add(decisions.DecisionTTL), Selection: q, Back: heldPath(res.Container),
	}
	data.Groups, _ = tally(chosen, "reason", func(h *decisions.HeldChange) string { return h.Guard }, nil)
	title := map[bool]string{true: "Approve", false: "Reject"}[verdict == string(plan.Approved)]
	return &page{View: "review", Title: title, Nav: "held", Data: data}, nil
}

// choose returns the changes that a form selects: some entries, one group, or all of a set.
func (c *Console) choose(r *request, form url.Values) ([]decisions.HeldChange, error) {
	id := r.container()
	if _, known := c.resource(id); !known {
		return nil, errNoPage
	}
	set, err := c.cfg.API.Waiting(r.Context(), id, r.PathValue("digest"))
	if err != nil {
		return nil, err
	}
	changes := matching(set.Changes, strings.TrimSpace(form.Get("q")), heldText)
	keep := func(*decisions.HeldChange) bool { return true }
	switch {
	case form.Get("scope") == "entries":
		keep = func(h *decisions.HeldChange) bool { return slices.Contains(form["entry"], h.Fingerprint) }
	case form.Has("key") && tooManyUnits(form.Get("by"), changes):
		return nil, refusal{http.StatusConflict,
			fmt.Sprintf("More than %d changes wait, which is too many to choose by unit. "+
				"Go back and search for a part of them, or group them in another way.", mostUnits)}
	case form.Has("key"):
		key, err := c.grouper(r.Context(), form.Get("by"), changes)
		if err != nil {
			return nil, err
		}
		keep = func(h *decisions.HeldChange) bool { return key(h) == form.Get("key") }
	}
	chosen := slices.DeleteFunc(changes, func(h decisions.HeldChange) bool { return !keep(&h) })
	if len(chosen) == 0 {
		return nil, refusal{http.StatusConflict, "Nothing is selected, or what was selected waits no more. " +
			"Go back, load the page again and choose."}
	}
	return chosen, nil
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
	if shown := r.PostForm.Get("count"); shown != strconv.Itoa(len(chosen)) {
		return "", refusal{http.StatusConflict,
			fmt.Sprintf("The confirmation showed %s changes, and %d are selected by now. "+
				"Nothing was decided. Go back and look again.", shown, len(chosen))}
	}
	entries := make(map[string]bool, len(chosen))
	for _, h := range chosen {
		entries[h.Fingerprint] = true
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
			return "", refusal{http.StatusConflict, fmt.Sprintf("The page showed %s pins, and there are %d by now. Nothing was "+
				"lifted. Go back and load the page again.", all, len(pins))}
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
