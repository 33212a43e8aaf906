package googleworkspace

import (
	"context"
	"maps"
	"net/http"

	"rollcall/simulator/fault"
)

// Effect is fault.Effect, for callers of this package.
type Effect = fault.Effect

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

// TokenMethod names the token endpoint in Fault.Method.
const TokenMethod = "oauth2.token"

// Inject adds faults. Each begins to count matching calls now.
func (t *Tenant) Inject(faults ...Fault) { t.faults.Inject(faults...) }

// ClearFaults removes all faults.
func (t *Tenant) ClearFaults() { t.faults.Clear() }

// before applies the part of a fault that precedes the work.
func (t *Tenant) before(ctx context.Context, f *Fault, entry *Call) *apiError {
	switch f.Effect {
	case Drop:
		entry.Refused = true
		t.calls.add(*entry)
		panic(http.ErrAbortHandler)
	case Delay:
		t.cfg.Wait(ctx, f.Delay)
	case Refuse:
		return refusalOf(f)
	}
	return nil
}

// beforeToken does the same at the token endpoint, which is not among the counted calls.
func (t *Tenant) beforeToken(ctx context.Context) *oauthError {
	f := t.faults.Next(fault.Call{Method: TokenMethod, Path: "/token"})
	switch {
	case f == nil:
	case f.Effect == Delay:
		t.cfg.Wait(ctx, f.Delay)
	case f.Effect == Refuse:
		e := refusalOf(f)
		return &oauthError{e.code, e.reason, e.message}
	default:
		panic(http.ErrAbortHandler)
	}
	return nil
}

// refusalOf returns the error of a fault.
func refusalOf(f *Fault) *apiError {
	e := &apiError{code: f.Status, reason: f.Code, message: f.Message, retryAfter: f.RetryAfter}
	if e.code == 0 {
		e.code = http.StatusServiceUnavailable
	}
	if e.reason == "" {
		e.reason = "backendError"
	}
	if e.message == "" {
		e.message = http.StatusText(e.code)
	}
	return e
}

// shorten applies ShortPage and EmptyList to the result of a list.
func shorten(f *Fault, items string, value any) any {
	answer, ok := value.(map[string]any)
	if !ok || f.Effect != ShortPage && f.Effect != EmptyList {
		return value
	}
	answer = maps.Clone(answer)
	delete(answer, "nextPageToken")
	list := half(answer[items])
	if list == nil || f.Effect == EmptyList {
		delete(answer, items)
	} else {
		answer[items] = list
	}
	return answer
}

// half returns the first half of a list of any type, or nil if nothing is left.
func half(list any) any {
	switch l := list.(type) {
	case []*rendered:
		if len(l) > 1 {
			return l[:len(l)/2]
		}
	case []map[string]any:
		if len(l) > 1 {
			return l[:len(l)/2]
		}
	case []any:
		if len(l) > 1 {
			return l[:len(l)/2]
		}
	}
	return nil
}
