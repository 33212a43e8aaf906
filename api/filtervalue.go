package api

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.einride.tech/aip/filtering"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"
)

// present is the value that matches every existing field, as in closedAt:*.
const present = "*"

// filterValue reads a value: a quoted text, a bare word, or timestamp("…").
func filterValue(f *filterField, e *expr.Expr) (value string, quoted bool, err error) {
	if call := e.GetCallExpr(); call.GetFunction() == filtering.FunctionTimestamp && f.time != nil &&
		len(call.GetArgs()) == 1 {
		e = call.GetArgs()[0]
	}
	if word := e.GetIdentExpr().GetName(); word != "" {
		return word, false, nil
	}
	if text, ok := e.GetConstExpr().GetConstantKind().(*expr.Constant_StringValue); ok {
		return text.StringValue, true, nil
	}
	return "", false, fmt.Errorf("the value of %s must be a word or a quoted text", f.name)
}

// compareText compares an enum or a text. An enum has one of its values. In a text, * matches any characters, and the
// operator : searches for a part.
func compareText(f *filterField, op, value string) (sessionFilter, error) {
	if f.values != nil && value != present && !slices.Contains(f.values, value) {
		return nil, fmt.Errorf("%s has no value %q: want one of %s", f.name, value, strings.Join(f.values, ", "))
	}
	pattern := value
	if f.values == nil && op == filtering.FunctionHas && value != present {
		pattern = "*" + value + "*"
	}
	passes := func(s *session) bool { return glob(pattern, f.text(s)) }
	if value == present {
		passes = func(s *session) bool { return f.text(s) != "" }
	}
	switch op {
	case filtering.FunctionEquals, filtering.FunctionHas:
		return passes, nil
	case filtering.FunctionNotEquals:
		return func(s *session) bool { return !passes(s) }, nil
	}
	return nil, fmt.Errorf("%s cannot be compared by %s: want :, = or !=", f.name, op)
}

// glob reports whether text matches pattern. Each * in pattern matches any characters.
func glob(pattern, text string) bool {
	parts := strings.Split(pattern, "*")
	if len(parts) == 1 {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, parts[0])
	if !ok {
		return false
	}
	last := parts[len(parts)-1]
	for _, part := range parts[1 : len(parts)-1] {
		_, rest, found := strings.Cut(text, part)
		if !found {
			return false
		}
		text = rest
	}
	return strings.HasSuffix(text, last)
}

// compareTime compares a time. A missing time matches no comparison, not even !=.
func compareTime(f *filterField, op, value string, quoted bool) (sessionFilter, error) {
	if op == filtering.FunctionHas || value == present {
		if value != present || op != filtering.FunctionHas && op != filtering.FunctionEquals {
			return nil, fmt.Errorf("%s is compared with a time, or %s:* asks whether there is one", f.name, f.name)
		}
		return func(s *session) bool { return !f.time(s).IsZero() }, nil
	}
	at, err := time.Parse(time.RFC3339Nano, value)
	if err != nil || !quoted {
		return nil, fmt.Errorf("%s is compared with a quoted RFC 3339 time, as in \"2026-03-01T09:30:00Z\"", f.name)
	}
	passes := map[string]func(order int) bool{
		filtering.FunctionEquals:        func(o int) bool { return o == 0 },
		filtering.FunctionNotEquals:     func(o int) bool { return o != 0 },
		filtering.FunctionLessThan:      func(o int) bool { return o < 0 },
		filtering.FunctionLessEquals:    func(o int) bool { return o <= 0 },
		filtering.FunctionGreaterThan:   func(o int) bool { return o > 0 },
		filtering.FunctionGreaterEquals: func(o int) bool { return o >= 0 },
	}[op]
	return func(s *session) bool {
		t := f.time(s)
		return !t.IsZero() && passes(t.Compare(at))
	}, nil
}
