package graph

import (
	"encoding/json"
	"net/http"

	"rollcall/simulator/fault"
)

// Effect is fault.Effect, for callers of this package.
type Effect = fault.Effect

// Scope is fault.Scope, for callers of this package.
type Scope = fault.Scope

// Fault is fault.Fault, for callers of this package.
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

// The scopes; see package fault. An item of a batch has no connection of its own. Drop makes it 503. LoseAnswer and
// TruncateAnswer make it 504 after it was carried out.
const (
	Anywhere = fault.Anywhere
	Alone    = fault.Alone
	InBatch  = fault.InBatch
)

// TokenMethod names the sign-in in Fault.Method.
const TokenMethod = "login.token"

// Inject adds faults. Each begins to count matching calls now.
func (t *Tenant) Inject(faults ...Fault) { t.faults.Inject(faults...) }

// ClearFaults removes all faults.
func (t *Tenant) ClearFaults() { t.faults.Clear() }

// codes are the error codes of each status.
var codes = map[int]string{
	http.StatusBadRequest:          "Request_BadRequest",
	http.StatusUnauthorized:        "InvalidAuthenticationToken",
	http.StatusForbidden:           "Authorization_RequestDenied",
	http.StatusNotFound:            "Request_ResourceNotFound",
	http.StatusConflict:            "Directory_ConcurrencyViolation",
	http.StatusGone:                "resyncRequired",
	http.StatusTooManyRequests:     "TooManyRequests",
	http.StatusInternalServerError: "InternalServerError",
	http.StatusBadGateway:          "BadGateway",
	http.StatusServiceUnavailable:  "ServiceUnavailable",
	http.StatusGatewayTimeout:      "GatewayTimeout",
}

// before applies the part of a fault that precedes the work. It reports whether the call ends there.
func (t *Tenant) before(c *call, f *Fault, entry *Call) (*answer, Effect, bool) {
	if f == nil {
		return nil, Refuse, false
	}
	refused := Fault{Status: http.StatusServiceUnavailable}
	switch {
	case f.Effect == Delay:
		t.cfg.Wait(c.ctx, f.Delay)
		return nil, Refuse, false
	case f.Effect == Refuse:
		refused = *f
	case f.Effect != Drop:
		return nil, Refuse, false
	case !c.item:
		entry.Refused = true
		t.calls.add(*entry)
		return nil, Drop, true
	}
	e := refusalOf(&refused)
	entry.Status, entry.Refused = e.status, true
	t.calls.add(*entry)
	return refuse(c, e), Refuse, true
}

// after applies a fault to the response.
func (t *Tenant) after(c *call, f *Fault, a *answer) (*answer, Effect) {
	if f == nil {
		return a, Refuse
	}
	switch f.Effect {
	case LoseAnswer, TruncateAnswer:
		if c.item {
			return refuse(c, refusalOf(&Fault{Status: http.StatusGatewayTimeout})), Refuse
		}
		return a, f.Effect
	case ShortPage, EmptyList:
		return shorten(f, a), Refuse
	}
	return a, Refuse
}

// refusalOf returns the error of a fault.
func refusalOf(f *Fault) *apiError {
	status := f.Status
	setDefault(&status, http.StatusServiceUnavailable)
	code, message := f.Code, f.Message
	setDefault(&code, codes[status])
	setDefault(&code, "UnknownError")
	setDefault(&message, http.StatusText(status))
	e := refusal(status, code, "%s", message)
	e.retryAfter = f.RetryAfter
	return e
}

// shorten applies ShortPage and EmptyList to the response of a list.
func shorten(f *Fault, a *answer) *answer {
	var body map[string]json.RawMessage
	var items []json.RawMessage
	if json.Unmarshal(a.body, &body) != nil || json.Unmarshal(body["value"], &items) != nil {
		return a
	}
	delete(body, "@odata.nextLink")
	if f.Effect == EmptyList {
		items = items[:0]
	}
	body["value"] = marshal(items[:len(items)/2])
	short := newAnswer(a.status, marshal(body))
	short.header = a.header
	return short
}
