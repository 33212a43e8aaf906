package plan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ValueType is the type of a field's values in a tenant. The zero value takes any text.
type ValueType string

// The types of values besides text.
const (
	TruthValue  ValueType = "true or false"
	WholeValue  ValueType = "a whole number"
	NumberValue ValueType = "a number"
	DateValue   ValueType = "a date, such as 2026-05-31"
)

// Form is the form of a field that only the tenant knows, such as a field that its administrators defined.
type Form struct {
	Field string
	// Missing says why no value of the field can be written, and what to do. Such a field is left alone.
	Missing string
	Type    ValueType
	// Many says that the field has several values.
	Many bool
}

// Values returns the values as the tenant keeps them, or why it would refuse them.
func (f *Form) Values(values []string) ([]string, error) {
	if f.Missing != "" && len(values) > 0 {
		return nil, fmt.Errorf("%s", f.Missing)
	}
	if len(values) > 1 && !f.Many {
		return nil, fmt.Errorf("the field has one value in the tenant, and the mapping gives %d: map one of them",
			len(values))
	}
	out := make([]string, 0, len(values))
	for _, v := range values {
		kept, ok := f.Type.canonical(strings.TrimSpace(v))
		if !ok {
			return nil, fmt.Errorf("the field takes %s in the tenant, and %q is none: correct the mapping or the entry",
				f.Type, v)
		}
		out = append(out, kept)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// canonical returns a value in the only form in which values of the type are compared and written.
func (t ValueType) canonical(v string) (string, bool) {
	switch t {
	case TruthValue:
		v = strings.ToLower(v)
		return v, v == "true" || v == "false"
	case WholeValue:
		n, err := strconv.ParseInt(v, 10, 64)
		return strconv.FormatInt(n, 10), err == nil
	case NumberValue:
		n, err := strconv.ParseFloat(v, 64)
		text := strconv.FormatFloat(n, 'f', -1, 64)
		return text, err == nil && !strings.ContainsAny(text, "IN") // No infinity, and no NaN.
	case DateValue:
		_, err := time.Parse(time.DateOnly, v)
		return v, err == nil
	}
	return v, true
}

// form returns the form of a field, or nil where the provider's own list of fields says everything.
func (c *computer) form(field string) *Form {
	for i := range c.in.State.Forms {
		if f := &c.in.State.Forms[i]; f.Field == field {
			return f
		}
	}
	return nil
}

// asKept returns the values of a field in the tenant's form. Values that the tenant would refuse are as they were.
func (c *computer) asKept(field string, values []string) []string {
	if f := c.form(field); f != nil {
		if kept, err := f.Values(values); err == nil {
			return kept
		}
	}
	return values
}

// writable returns the fields of a new account without those that the tenant does not have, and names these. They keep
// no account from being created.
func (c *computer) writable(d *Desired, fields []FieldChange) []FieldChange {
	if len(c.in.State.Forms) == 0 {
		return fields
	}
	return slices.DeleteFunc(fields, func(f FieldChange) bool {
		form := c.form(f.Name)
		return form != nil && form.Missing != "" && c.rejects(d, f.Name, f.After)
	})
}
