package graph

import (
	"encoding/json"
	"net/http"
	"strconv"
)

// codes are the error codes that go with a status.
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

// before is what a fault does ahead of the work. It says whether that was all.
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
	e := refused.refusal()
	entry.Status, entry.Refused = e.status, true
	t.calls.add(*entry)
	return refuse(c, e), Refuse, true
}

// after is what a fault does to the answer.
func (t *Tenant) after(c *call, f *Fault, a *answer) (*answer, Effect) {
	if f == nil {
		return a, Refuse
	}
	switch f.Effect {
	case LoseAnswer, TruncateAnswer:
		if c.item {
			return refuse(c, (&Fault{Status: http.StatusGatewayTimeout}).refusal()), Refuse
		}
		return a, f.Effect
	case ShortPage, EmptyList:
		return shorten(f, a), Refuse
	}
	return a, Refuse
}

func (f *Fault) refusal() *apiError {
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

// shorten is what ShortPage and EmptyList do to a list's answer.
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

// truncate announces the whole answer, sends half of it and closes the connection.
func truncate(w http.ResponseWriter, a *answer) {
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body[:len(a.body)/2])
	_ = http.NewResponseController(w).Flush() // so that the first half arrives; the rest never does
	panic(http.ErrAbortHandler)
}
