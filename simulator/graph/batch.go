package graph

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"rollcall/simulator/fault"
)

const maxSteps = 20

// step is a request within a batch.
type step struct {
	ID        string            `json:"id"`
	Method    string            `json:"method"`
	URL       string            `json:"url"`
	Headers   map[string]string `json:"headers"`
	Body      json.RawMessage   `json:"body"`
	DependsOn []string          `json:"dependsOn"`
}

// outcome is the response to a step.
type outcome struct {
	ID      string            `json:"id"`
	Status  int               `json:"status"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

// batch carries out up to twenty requests. Independent requests run in any order, and the responses come in another
// order, because the documentation promises neither.
func (t *Tenant) batch(c *call) (*answer, *apiError) {
	steps, err := readSteps(c.raw)
	if err != nil {
		return nil, err
	}
	outcomes := map[string]outcome{}
	var order []string
	for len(outcomes) < len(steps) {
		progress := false
		for _, i := range t.shuffle(len(steps)) {
			s := &steps[i]
			if _, done := outcomes[s.key()]; done || !s.ready(outcomes) {
				continue
			}
			outcomes[s.key()] = t.step(c, s, outcomes)
			order = append(order, s.key())
			progress = true
		}
		if !progress {
			return nil, malformed("Invalid batch payload format: dependsOn is circular.")
		}
	}
	list := make([]outcome, 0, len(order))
	for _, i := range t.shuffle(len(order)) {
		list = append(list, outcomes[order[i]])
	}
	return newAnswer(http.StatusOK, marshal(map[string]any{"responses": list})), nil
}

// key returns the id in the form for comparison, which ignores case.
func (s *step) key() string { return strings.ToLower(s.ID) }

func (s *step) ready(outcomes map[string]outcome) bool {
	return !slices.ContainsFunc(s.DependsOn,
		func(id string) bool { _, done := outcomes[strings.ToLower(id)]; return !done })
}

// readSteps reads a batch, and refuses a malformed one as a whole.
func readSteps(raw []byte) ([]step, *apiError) {
	var body struct {
		Requests []step `json:"requests"`
	}
	if err := json.Unmarshal(raw, &body); err != nil || len(body.Requests) == 0 {
		return nil, malformed("Invalid batch payload format.")
	}
	if len(body.Requests) > maxSteps {
		return nil, malformed("Number of batch request steps exceeds the maximum value of %d.", maxSteps)
	}
	seen := map[string]bool{}
	for i := range body.Requests {
		s := &body.Requests[i]
		switch {
		case s.ID == "" || s.Method == "" || s.URL == "":
			return nil, malformed("Invalid batch payload format: id, method and url are required.")
		case seen[s.key()]:
			return nil, malformed("Request Id has to be unique in a batch.")
		case len(s.Body) > 0 && header(s.Headers).Get("Content-Type") == "":
			return nil, malformed("Invalid batch payload format: a request with a body needs a Content-Type header.")
		}
		seen[s.key()] = true
	}
	for _, s := range body.Requests {
		for _, id := range s.DependsOn {
			if !seen[strings.ToLower(id)] {
				return nil, malformed("Invalid batch payload format: dependsOn refers to the unknown id '%s'.", id)
			}
		}
	}
	return body.Requests, nil
}

func header(values map[string]string) http.Header {
	h := http.Header{}
	for name, value := range values {
		h.Set(name, value)
	}
	return h
}

// step carries out one request of a batch, unless a request that it depends on has failed.
func (t *Tenant) step(c *call, s *step, outcomes map[string]outcome) outcome {
	item := &call{
		ctx: c.ctx, method: strings.ToUpper(s.Method), header: header(s.Headers), raw: s.Body, base: c.base,
		token: c.token, ids: c.ids,
		now: t.cfg.Now(), item: true,
	}
	path, rawQuery, _ := strings.Cut(s.URL, "?")
	item.path = strings.TrimPrefix(path, "/")
	var a *answer
	query, err := url.ParseQuery(rawQuery)
	switch {
	case slices.ContainsFunc(s.DependsOn,
		func(id string) bool { return outcomes[strings.ToLower(id)].Status >= http.StatusBadRequest }):
		a = refuse(item, refusal(http.StatusFailedDependency, "FailedDependency",
			"A request that this one depends on has failed."))
	case err != nil || strings.Contains(path, "://") || strings.EqualFold(item.path, "$batch"):
		a = refuse(item, malformed("Invalid batch request URL '%s'.", s.URL))
	default:
		item.query = query
		a, _ = t.answer(item)
	}
	return newOutcome(s.ID, a)
}

func newOutcome(id string, a *answer) outcome {
	o := outcome{ID: id, Status: a.status, Headers: map[string]string{"Cache-Control": "no-cache"}}
	for name := range a.header {
		o.Headers[spell(name)] = a.header.Get(name)
	}
	if len(a.body) > 0 {
		o.Body = a.body
	}
	return o
}

// spell returns a header's name in Graph's spelling within a batch.
func spell(name string) string {
	switch {
	case strings.HasPrefix(name, "X-Ms-"):
		return strings.ToLower(name)
	case name == "Odata-Version":
		return "OData-Version"
	case name == "Www-Authenticate":
		return "WWW-Authenticate"
	}
	return name
}

// shuffle returns 0 to n-1 in an order that depends on the seed and the request.
func (t *Tenant) shuffle(n int) []int {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	seed := t.requests.Add(1)
	slices.SortFunc(order, func(a, b int) int {
		if fault.Draw(t.cfg.Seed, seed, uint64(a)) < fault.Draw(t.cfg.Seed, seed, uint64(b)) {
			return -1
		}
		return 1
	})
	return order
}
