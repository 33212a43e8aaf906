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

// withoutSecrets removes the values of attributes that are secret by their name.
func withoutSecrets(in directory.Attributes) directory.Attributes {
	out := make(directory.Attributes, len(in))
	for i, a := range in {
		if out[i] = a; plan.Secret(a.Name) {
			out[i].Values = []string{secret.Redacted}
		}
	}
	return out
}

// values returns the mapped values without secrets, and the names of the hidden fields. A value is secret by the name
// of its field or of an attribute in its expression.
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

// censored removes the error text of a mapping that failed on a secret value, because the text may quote the value.
// The problems of the other fields take its place.
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

// rows returns the rows of a plan without the values of hidden fields.
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
