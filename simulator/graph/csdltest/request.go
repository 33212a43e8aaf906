package csdltest

import (
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// CheckRequest implements wiretest.Exchange.
func (e *exchange) CheckRequest() {
	e.t.Helper()
	if e.op == nil {
		if e.verb == http.MethodDelete && find(e.verb, e.path+"/$ref") != nil {
			e.report("without /$ref it deletes the member itself")
			return
		}
		e.report("no such method is documented")
		return
	}
	e.checkQuery()
	e.checkBody()
	for _, id := range sorted(e.items) {
		e.items[id].CheckRequest()
	}
}

func (e *exchange) checkQuery() {
	e.t.Helper()
	for _, name := range sorted(e.query) {
		if strings.HasPrefix(name, "$") && !slices.Contains(e.op.options, name) {
			e.report("query option %s is not supported", name)
		}
		if len(e.query[name]) > 1 {
			e.report("query option %s is given %d times", name, len(e.query[name]))
		}
	}
	if top := e.query.Get("$top"); top != "" {
		if n, err := strconv.Atoi(top); err != nil || n < 1 || n > 999 {
			e.report("$top is %s, want 1 to 999", top)
		}
	}
	if e.op.typ == "directoryObject" || e.op.typ == "" {
		return // properties of the derived types are allowed
	}
	typ := e.doc[e.op.typ]
	for _, name := range e.chosen {
		known := slices.ContainsFunc(sorted(typ.properties),
			func(s string) bool { return strings.EqualFold(s, name) }) // as Graph has it
		if _, related := typ.navigation[name]; !known && (!related || e.op.response != delta) {
			e.report("$select: %s has no property %q", typ.Name, name)
		}
	}
}

func (e *exchange) checkBody() {
	e.t.Helper()
	if e.op.request == "" {
		if len(e.body) > 0 {
			e.report("the request has a body, and the method takes none")
		}
		return
	}
	if e.op.request == "restore" && len(e.body) == 0 {
		return
	}
	if kind, _, _ := mime.ParseMediaType(e.header.Get("Content-Type")); kind != "application/json" {
		e.report("the request's Content-Type is %q, want application/json", e.header.Get("Content-Type"))
	}
	body, ok := e.decode("the request", e.body)
	if !ok {
		return
	}
	for _, name := range e.op.required {
		if body[name] == nil {
			e.report("the request lacks %s", name)
		}
	}
	switch e.op.request {
	case "user", "group":
		e.writes(body)
	case "batch":
		e.only("", body, "requests")
		if e.steps < 1 || e.steps > 20 {
			e.report("%d requests, want 1 to 20", e.steps)
		}
		if e.steps != len(e.items) {
			e.report("%d requests have %d different ids", e.steps, len(e.items))
		}
	case "reference":
		e.only("", body, "@odata.id")
		e.reference(body["@odata.id"])
	case "restore":
		e.only("", body, "autoReconcileProxyConflict", "newUserPrincipalName")
	case "getByIds":
		e.only("", body, "ids", "types")
		if ids, _ := body["ids"].([]any); len(ids) > 1000 {
			e.report("getByIds with %d ids, want at most 1000", len(ids))
		}
	}
}

// writes checks the properties of an object that is created or changed.
func (e *exchange) writes(body map[string]any) {
	e.t.Helper()
	bound := 0
	for _, name := range sorted(body) {
		relation, binds := strings.CutSuffix(name, "@odata.bind")
		switch {
		case binds:
			if _, known := e.doc[e.op.request].navigation[relation]; !known {
				e.report("%s has no relationship %q", e.op.request, relation)
			}
			refs, _ := body[name].([]any)
			bound += len(refs)
			for _, ref := range refs {
				e.reference(ref)
			}
		case strings.HasPrefix(name, "@"):
		default:
			if slices.Contains(assigned, name) {
				e.report("property %s is read-only", name)
			}
			e.property(e.op.request, "", name, body[name])
		}
	}
	if bound > 20 {
		e.report("%d references, want at most 20", bound)
	}
}

// assigned are properties that the service gives, and the reference pages call read-only.
var assigned = []string{
	"id", "createdDateTime", "deletedDateTime", "onPremisesSyncEnabled", "onPremisesLastSyncDateTime",
	"onPremisesDistinguishedName",
	"onPremisesDomainName", "onPremisesSamAccountName", "onPremisesSecurityIdentifier", "onPremisesUserPrincipalName",
	"proxyAddresses", "uniqueName", "securityIdentifier", "renewedDateTime", "expirationDateTime",
}

func (e *exchange) reference(value any) {
	e.t.Helper()
	ref, _ := value.(string)
	u, err := url.Parse(ref)
	if err != nil || u.Scheme != "https" || u.Host == "" || len(strings.Split(u.Path, "/")) != 4 {
		e.report("%q is no reference to an object", ref)
	}
}

// readItems makes an exchange of each request in a batch.
func (e *exchange) readItems() {
	var body struct {
		Requests []struct {
			ID, Method, URL string
			Headers         map[string]string
			Body            json.RawMessage
			DependsOn       []string
		}
	}
	e.items = map[string]*exchange{}
	if json.Unmarshal(e.body, &body) != nil {
		return
	}
	for _, r := range body.Requests {
		path, rawQuery, _ := strings.Cut(r.URL, "?")
		query, _ := url.ParseQuery(rawQuery)
		header := http.Header{}
		for name, value := range r.Headers {
			header.Set(name, value)
		}
		item := e.newExchange(strings.ToUpper(r.Method), strings.TrimPrefix(path, "/"), query, header, r.Body)
		item.item = true
		e.items[strings.ToLower(r.ID)] = item
	}
	e.steps = len(body.Requests)
}

// only reports the fields of an object that are not among the known ones.
func (e *exchange) only(prefix string, o map[string]any, known ...string) {
	e.t.Helper()
	for _, name := range sorted(o) {
		if !slices.Contains(known, name) {
			e.report("unknown field %s%s", prefix, name)
		}
	}
}
