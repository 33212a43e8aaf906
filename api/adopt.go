package api

import (
	"net/http"
	"strconv"

	"rollcall/decisions"
	"rollcall/directory"
)

// keptView lists the decisions and pins of a container that are not trusted.
type keptView struct {
	// Digest identifies the list for an adoption.
	Digest string `json:"digest"`
	// Problem says why records may be missing that are not listed; empty for a list that is complete.
	Problem string          `json:"problem"`
	Count   int             `json:"count"`
	Records []untrustedView `json:"records"`
}

// untrustedView is one record of the list.
type untrustedView struct {
	// Type is decision or pin. Entry names the entry as "user/<id>", and may be empty for a decision that is gone.
	Type  string `json:"type"`
	Entry string `json:"entry"`
	Label string `json:"label"`
	// Problem says what is wrong with the record.
	Problem string `json:"problem"`
	// Verdict, Op, By and Fingerprint are those of a decision.
	Verdict     string `json:"verdict"`
	Op          string `json:"op"`
	By          string `json:"by"`
	Fingerprint string `json:"fingerprint"`
}

func newUntrustedView(u *decisions.Untrusted) untrustedView {
	if u.Pin != (directory.Ref{}) {
		return untrustedView{Type: "pin", Entry: u.Pin.String(), Label: u.Label, Problem: u.Problem}
	}
	d := &u.Decision
	return untrustedView{Type: "decision", Entry: d.ID, Label: u.Label, Problem: u.Problem, Verdict: d.Verdict, Op: d.Op,
		By: d.By, Fingerprint: d.Fingerprint}
}

// kept lists the decisions and pins that are not signed, changed or gone.
func (a *API) kept(r *request) (answer, error) {
	k, err := a.cfg.Decisions.Kept(r.Context(), r.container())
	if err != nil {
		return answer{}, err
	}
	from, to, err := window(r, len(k.Untrusted))
	if err != nil {
		return answer{}, err
	}
	view := keptView{Digest: k.Digest, Problem: k.Broken, Count: len(k.Untrusted), Records: []untrustedView{}}
	for i := range k.Untrusted[from:to] {
		view.Records = append(view.Records, newUntrustedView(&k.Untrusted[from+i]))
	}
	return ok(view), nil
}

// adoptedView is the response to an adoption.
type adoptedView struct {
	// Count is the number of decisions and pins that count from now on.
	Count int `json:"count"`
}

// adopt signs the decisions and pins that the list with this digest was made of.
func (a *API) adopt(r *request) (answer, error) {
	n, err := a.cfg.Decisions.Adopt(r.Context(), r.container(), r.PathValue("digest"))
	if err != nil {
		return answer{}, err
	}
	r.detail("records", strconv.Itoa(n))
	return ok(adoptedView{n}), nil
}

// adoptions are the routes of the decisions that are not trusted.
func (a *API) adoptions() map[string]methods {
	return map[string]methods{
		"sync/decisions/":                get(ScopeRead, a.kept),
		"sync/decisions/{digest}/adopt/": {http.MethodPost: {scope: ScopeApprove, handle: a.adopt}},
	}
}
