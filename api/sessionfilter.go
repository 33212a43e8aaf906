package api

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"go.einride.tech/aip/filtering"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"rollcall/status"
)

// sessionFilter reports whether a session matches. A nil filter matches every session.
type sessionFilter func(*session) bool

// filterField is a field that a filter can use. It is an enum, a text or a time.
type filterField struct {
	name   string
	values []string // of an enum
	text   func(*session) string
	time   func(*session) time.Time
}

// filterFields lists all fields.
var filterFields = []filterField{
	{name: "status", text: func(s *session) string { return string(s.Status) }, values: []string{
		"SESSION_STATUS_UNSPECIFIED", string(status.SessionOpened), string(status.SessionPending),
		string(status.SessionCompleted),
		string(status.SessionFailed), string(status.SessionExpired),
	}},
	{name: "syncMode", text: func(s *session) string { return s.SyncMode },
		values: []string{"SYNC_MODE_UNSPECIFIED", "FULL_SYNC", "DELTA"}},
	{name: "sessionType", text: func(s *session) string { return s.SessionType }, values: []string{
		sessionOfProvider, sessionOfSource, "AD_PASSWORD_HASH", "AD_USER_CONTROL",
	}},
	{name: "agentId", text: func(s *session) string { return s.AgentID }},
	{name: "createdAt", time: func(s *session) time.Time { return time.Time(s.CreatedAt) }},
	{name: "closedAt", time: (*session).closedAt},
}

// parseSessionFilter parses a filter of AIP-160. The library implements the grammar. Names and values are resolved
// here, so that an error can list the known ones.
func parseSessionFilter(text string) (sessionFilter, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var p filtering.Parser
	p.Init(text)
	parsed, err := p.Parse()
	if err != nil {
		return nil, syntaxError(err)
	}
	return compileFilter(parsed.GetExpr())
}

// syntaxError returns the innermost error of the parser. Each outer error repeats the filter.
func syntaxError(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = inner
	}
	if errors.Is(err, io.EOF) {
		return errors.New("ends too early")
	}
	if at, ok := err.(interface {
		Message() string
		Position() filtering.Position
	}); ok {
		return fmt.Errorf("%s at column %d", at.Message(), at.Position().Column)
	}
	return err
}

// compileFilter compiles an expression.
func compileFilter(e *expr.Expr) (sessionFilter, error) {
	call := e.GetCallExpr()
	if call == nil {
		return nil, errors.New("a name or a value alone is no condition: write field = value")
	}
	switch fn := call.GetFunction(); fn {
	case filtering.FunctionAnd, filtering.FunctionFuzzyAnd, filtering.FunctionOr, filtering.FunctionNot:
		return combine(call, compileFilter)
	case filtering.FunctionEquals, filtering.FunctionNotEquals, filtering.FunctionHas, filtering.FunctionLessThan,
		filtering.FunctionLessEquals, filtering.FunctionGreaterThan, filtering.FunctionGreaterEquals:
		return compileComparison(call)
	default:
		return nil, fmt.Errorf("unknown function %q", fn)
	}
}

// combine joins the compiled operands of AND, OR and NOT.
func combine(call *expr.Expr_Call, compile func(*expr.Expr) (sessionFilter, error)) (sessionFilter, error) {
	want := 2
	if call.GetFunction() == filtering.FunctionNot {
		want = 1
	}
	if len(call.GetArgs()) != want {
		return nil, fmt.Errorf("%s is not called like a function", call.GetFunction())
	}
	var f [2]sessionFilter
	for i, arg := range call.GetArgs() {
		var err error
		if f[i], err = compile(arg); err != nil {
			return nil, err
		}
	}
	switch call.GetFunction() {
	case filtering.FunctionNot:
		return func(s *session) bool { return !f[0](s) }, nil
	case filtering.FunctionOr:
		return func(s *session) bool { return f[0](s) || f[1](s) }, nil
	}
	return func(s *session) bool { return f[0](s) && f[1](s) }, nil
}

func compileComparison(call *expr.Expr_Call) (sessionFilter, error) {
	name := call.GetArgs()[0].GetIdentExpr().GetName()
	i := slices.IndexFunc(filterFields, func(f filterField) bool { return f.name == name })
	if i < 0 {
		var known []string
		for _, f := range filterFields {
			known = append(known, f.name)
		}
		if name == "" {
			return nil, fmt.Errorf("what stands before %s must be one of the fields %s", call.GetFunction(),
				strings.Join(known, ", "))
		}
		return nil, fmt.Errorf("unknown field %q: want one of %s", name, strings.Join(known, ", "))
	}
	return compileOperand(&filterFields[i], call.GetFunction(), call.GetArgs()[1])
}

// compileOperand compares a field with one value, or with alternatives such as status = (OPENED OR PENDING).
func compileOperand(f *filterField, op string, e *expr.Expr) (sessionFilter, error) {
	switch fn := e.GetCallExpr().GetFunction(); fn {
	case filtering.FunctionAnd, filtering.FunctionFuzzyAnd, filtering.FunctionOr, filtering.FunctionNot:
		if op != filtering.FunctionEquals && op != filtering.FunctionHas {
			return nil, fmt.Errorf("%s compares with one value", op)
		}
		return combine(e.GetCallExpr(), func(e *expr.Expr) (sessionFilter, error) { return compileOperand(f, op, e) })
	}
	value, quoted, err := filterValue(f, e)
	if err != nil {
		return nil, err
	}
	if f.time != nil {
		return compareTime(f, op, value, quoted)
	}
	return compareText(f, op, value)
}

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
