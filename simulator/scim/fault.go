package scim

import (
	"net/http"

	"rollcall/simulator/fault"
)

// Effect is fault.Effect, for callers of this package.
type Effect = fault.Effect

// Fault is fault.Fault, for callers of this package. Methods are named users.list, groups.patch and so on; see Call.
type Fault = fault.Fault

// The effects; see package fault.
const (
	Refuse         = fault.Refuse
	Drop           = fault.Drop
	LoseAnswer     = fault.LoseAnswer
	TruncateAnswer = fault.TruncateAnswer
	Delay          = fault.Delay
	ShortPage      = fault.ShortPage
	EmptyList      = fault.EmptyList
)

// TokenMethod names the token endpoint in Fault.Method.
const TokenMethod = "oauth.token"

// before applies the part of a fault that precedes the work.
func (t *Tenant) before(r *http.Request, f *Fault, entry *Call) *apiError {
	switch f.Effect {
	case Drop:
		entry.Refused = true
		t.calls.add(*entry)
		panic(http.ErrAbortHandler)
	case Delay:
		t.cfg.Wait(r.Context(), f.Delay)
	case Refuse:
		return refusalOf(f)
	case LoseAnswer, TruncateAnswer, ShortPage, EmptyList:
	}
	return nil
}

// refusalOf returns the error of a fault. Fault.Code is the scimType.
func refusalOf(f *Fault) *apiError {
	status, message := f.Status, f.Message
	setDefault(&status, http.StatusServiceUnavailable)
	setDefault(&message, http.StatusText(status))
	e := refusal(status, f.Code, "%s", message)
	e.retryAfter = f.RetryAfter
	return e
}

// shorten applies ShortPage and EmptyList to a page, which then seems to be the last one.
func shorten(f *Fault, a *answer) {
	list, _ := a.body["Resources"].([]any)
	switch f.Effect {
	case ShortPage:
		list = list[:len(list)/2]
	case EmptyList:
		list = nil
	default:
		return
	}
	delete(a.body, "nextCursor")
	a.body["itemsPerPage"] = len(list)
	if a.body["Resources"] = list; len(list) == 0 {
		delete(a.body, "Resources")
	}
	if f.Effect == EmptyList {
		a.body["totalResults"] = 0
	}
}
