package api

import (
	"strings"
	"unicode/utf8"

	"rollcall/explain"
)

// explain explains the state of one entry at every source and provider.
func (a *API) explain(r *request) (answer, error) {
	if len(r.caller.Only) > 0 { // an explanation names every source and provider
		return answer{}, errForbidden
	}
	if a.cfg.Explainer == nil {
		return notFound(), nil
	}
	q, err := explainQuery(r)
	if err != nil {
		return answer{}, err
	}
	doc, err := a.Explain(r.Context(), q, a.Sharers(r.Request, r.caller.Name)...)
	if err != nil {
		return answer{}, err
	}
	return ok(doc), nil
}

// explainQuery reads the parameter that names the entry. The error lists every wrong parameter.
func explainQuery(r *request) (explain.Query, error) {
	ways := []explain.By{explain.ByID, explain.ByEmail, explain.ByUserName}
	wrong, given := invalid{}, []explain.Query{}
	values := r.URL.Query()
	for _, by := range ways {
		list, there := values[string(by)]
		delete(values, string(by))
		if !there {
			continue
		}
		text := strings.TrimSpace(list[0])
		switch {
		case len(list) > 1:
			wrong.add(string(by), "Give this parameter once.")
		case text == "":
			wrong.add(string(by), "This field may not be blank.")
		case strings.ContainsRune(text, 0) || !utf8.ValidString(text):
			wrong.add(string(by), "Null characters are not allowed.")
		case utf8.RuneCountInString(text) > maxObjectID:
			wrong.add(string(by), "Ensure this field has no more than %d characters.", maxObjectID)
		}
		given = append(given, explain.Query{By: by, Value: text})
	}
	for name := range values {
		wrong.add(name, "Unknown parameter.")
	}
	switch {
	case len(wrong) > 0:
	case len(given) == 0:
		for _, by := range ways {
			wrong.add(string(by), "Exactly one of id, email and username is required.")
		}
	case len(given) > 1:
		for _, q := range given {
			wrong.add(string(q.By), "Give only one of id, email and username.")
		}
	default:
		return given[0], nil
	}
	return explain.Query{}, wrong
}
