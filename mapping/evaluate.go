package mapping

import (
	"rollcall/directory"
	"rollcall/plan"
)

// Value is what one expression made of one entry, for explanations.
type Value struct {
	// Field is the field, or "address", "active", "rekey_by" or the filter's key.
	Field      string   `json:"field"`
	Expression string   `json:"expression"`
	Values     []string `json:"values,omitempty"`
	// Problem says what went wrong; empty where nothing did.
	Problem string `json:"problem,omitempty"`
}

// Evaluate returns the value of every expression for one entry, in a fixed order. The order is the filter, active,
// the address, the rekey fact, then the fields by name. It decides nothing; Desire does.
func (m *Mapping) Evaluate(e *directory.Entry) []Value {
	s := m.side(e.Kind)
	v := evaluation{machine: newMachine(m.domain), Mapping: m}
	v.load(s, e)
	var out []Value
	add := func(e *expression, values []string, err error) {
		value := Value{Field: e.key, Expression: e.source, Values: values}
		if err != nil {
			value.Problem = err.Error()
		}
		out = append(out, value)
	}
	for _, e := range []*expression{s.filter, s.active} {
		if e != nil {
			truth, err := v.truth(e)
			add(e, []string{map[bool]string{true: "true", false: "false"}[truth]}, err)
		}
	}
	if s.address.program != nil {
		h := holder{Desired: &plan.Desired{}}
		v.address(s, &h)
		h.finish()
		for _, w := range h.Withheld {
			h.Detail = w.Detail
		}
		value := Value{Field: s.address.key, Expression: s.address.source, Problem: h.Detail}
		if h.Address != "" {
			value.Values = []string{h.Address}
		}
		out = append(out, value)
	}
	rekey, err := v.values(&s.rekey, false)
	add(&s.rekey, rekey, err)
	for i := range s.fields {
		values, err := v.field(&s.fields[i])
		add(&s.fields[i].expression, values, err)
	}
	return out
}
