package explain

import (
	"cmp"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/internal/secret"
	"rollcall/mapping"
	"rollcall/plan"
)

// withoutSecrets returns the attributes without the values of those that are secret by their name.
func withoutSecrets(in directory.Attributes) directory.Attributes {
	out := make(directory.Attributes, len(in))
	for i, a := range in {
		if out[i] = a; plan.Secret(a.Name) {
			out[i].Values = []string{secret.Redacted}
		}
	}
	return out
}

// values returns what the mapping made of the entry without what is secret, by the name of the field or by what the
// expression reads, and the names of those fields.
func values(in []mapping.Value) (out []mapping.Value, hidden map[string]bool) {
	out, hidden = make([]mapping.Value, len(in)), map[string]bool{}
	for i, v := range in {
		if plan.Secret(v.Field) || plan.Secret(v.Expression) {
			hidden[v.Field] = true
			if len(v.Values) > 0 {
				v.Values = []string{secret.Redacted}
			}
			if v.Problem != "" {
				v.Problem = secret.Redacted
			}
		}
		out[i] = v
	}
	return out, hidden
}

// censored returns the input of a provider whose mapping failed over something secret without the words that may quote it, in
// place of which stand the problems that may be shown.
func censored(in *ProviderInput, ref directory.Ref, values []mapping.Value) *ProviderInput {
	var known []string
	for _, v := range values {
		if v.Problem != "" {
			known = append(known, v.Field+": "+v.Problem)
		}
	}
	text := cmp.Or(strings.Join(known, "; "), secret.Redacted)
	out := *in
	if d := in.Hop.Desired; d != nil && d.Detail != "" {
		safe := *d
		safe.Detail = text
		out.Hop.Desired = &safe
	}
	out.Hop.Apply.Held = slices.Clone(in.Hop.Apply.Held)
	for i := range out.Hop.Apply.Held {
		if h := &out.Hop.Apply.Held[i]; h.Ref == ref && h.Reason == plan.BadMapping {
			h.Detail = text
		}
	}
	return &out
}

// rows returns the plan as the rows of a document, without the values of hidden fields.
func rows(apply, held plan.Plan, hidden map[string]bool) []plan.Row {
	out := []plan.Row{}
	for row := range plan.Rows(apply, held) {
		for i, f := range row.Change.Fields {
			if !hidden[f.Name] {
				continue
			}
			fields := append([]plan.FieldChange{}, row.Change.Fields...)
			fields[i] = plan.FieldChange{Name: f.Name, Before: redacted(f.Before), After: redacted(f.After)}
			row.Change.Fields = fields
		}
		out = append(out, row)
	}
	return out
}

func redacted(values []string) []string {
	if len(values) == 0 {
		return nil
	}
	return []string{secret.Redacted}
}
