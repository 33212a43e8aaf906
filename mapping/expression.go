package mapping

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"rollcall/directory"
	"rollcall/internal/problem"
	"rollcall/plan"
)

// The bounds of one expression are its size and the number of elements that it may make while it runs.
const (
	maxNodes     = 1000
	memoryBudget = 100_000
)

// ErrNoDomain says that an expression reads domain where there is none.
var ErrNoDomain = errors.New("it uses domain, and default_group_email_domain is not set")

// Variable describes a variable that expressions see.
type Variable struct {
	Name, Doc string
	// zero is a value of the variable's type.
	zero any
	get  func(e *directory.Entry) any
}

func attribute(name, doc string) Variable {
	return Variable{name, doc, "", func(e *directory.Entry) any { return e.Attributes.Get(name) }}
}

// The variables that are more than a name.
const (
	ldapName    = "ldap"
	ldapAllName = "ldap_all"
	domainName  = "domain"
)

// Variables lists what expressions see of an entry.
func Variables() []Variable {
	return []Variable{
		{"id", "the entry's unique id at its source", "", func(e *directory.Entry) any { return string(e.ID) }},
		{"dn", "where the entry was read", "", func(e *directory.Entry) any { return e.DN }},
		{"source", "the slug of its source", "", func(e *directory.Entry) any { return e.Source }},
		attribute(directory.UserName, "a user's login name (uid, sAMAccountName)"),
		attribute(directory.DisplayName, "a user's displayName, a group's cn"),
		attribute(directory.GivenName, "givenName"),
		attribute(directory.FamilyName, "sn"),
		attribute(directory.CommonName, "cn"),
		attribute(directory.Mail, "the first mail address"),
		{"mails", "all mail addresses, a list", []string(nil),
			func(e *directory.Entry) any { return e.Attributes.Values(directory.Mail) }},
		attribute(directory.EmployeeNumber, "employeeNumber"),
		attribute(directory.Description, "description"),
		{"active", "false for a user who is disabled at the source", true, func(e *directory.Entry) any { return e.Active }},
		{domainName, "the provider's default_group_email_domain", "", nil},
		{ldapName, "any attribute by its own name, `ldap.telephoneNumber` or `ldap[\"x-room\"]`: its first value, empty " +
			"where there is none; case does not count", map[string]string(nil), nil},
		{ldapAllName, "the same as a list of all values, `ldap_all.telephoneNumber`", map[string][]string(nil), nil},
	}
}

// expression is one compiled expression.
type expression struct {
	// key is the field's key in the configuration, path the key with the table that it stands in.
	key, path string
	source    string
	program   *vm.Program
	// variables and attributes are what the expression reads.
	variables, attributes []string
}

// result says what an expression may give.
type result uint8

const (
	textResult  result = iota // text, or a truth that is rendered
	listResult                // that, or a list of texts
	truthResult               // true or false
	flagResult                // that, or a text of the directory that says so
)

// compiler compiles the expressions of one mapping; it is set up once, as the set-up is what costs.
type compiler struct {
	options []expr.Option
	names   []string
	domain  string
}

func newCompiler(domain string) *compiler {
	env := map[string]any{}
	c := &compiler{domain: domain}
	for _, v := range Variables() {
		env[v.Name] = v.zero
		c.names = append(c.names, v.Name)
	}
	env[addressOfName] = (func(string) string)(nil)
	// Not optimised, as that would unroll ranges beyond the reach of the memory budget.
	c.options = append(functionOptions(), expr.Env(env), expr.MaxNodes(maxNodes), expr.Optimize(false))
	return c
}

// compile returns the expression, or everything that is wrong with it as problems of path.
func (c *compiler) compile(key, path, source string, want result) (expression, error) {
	e := expression{key: key, path: path, source: source}
	if strings.TrimSpace(source) == "" {
		return e, problem.Field(path, "the expression is empty: leave the key out, or write '\"\"' for an empty value")
	}
	program, err := expr.Compile(source, c.options...)
	if err != nil {
		return e, problem.Field(path, "%s", c.explain(err))
	}
	// The tree is read afterwards. As a visitor of the compilation (expr.Patch) the reader would make the checker
	// skip the arguments of calls.
	seen, node := &reader{}, program.Node()
	ast.Walk(&node, seen)
	seen.finish()
	e.program, e.variables, e.attributes = program, seen.variables, seen.attributes
	problems := seen.problems
	if c.domain == "" && slices.Contains(e.variables, domainName) {
		problems = append(problems, ErrNoDomain)
	}
	if own := []string{plan.AddressField, ActiveField, UserFilterKey, GroupFilterKey, RekeyKey}; e.refers() &&
		slices.Contains(own, key) {
		problems = append(problems, errAddressOf)
	}
	if err := checkType(program.Node().Type(), want); err != nil {
		problems = append(problems, err)
	}
	for i, err := range problems {
		problems[i] = &problem.Error{Field: path, Err: err}
	}
	return e, errors.Join(problems...)
}

// explain puts a compiler's message on one line, with the column, and says what would have been known.
func (c *compiler) explain(err error) string {
	at, ok := errors.AsType[*file.Error](err)
	if !ok {
		return squeeze(err.Error())
	}
	msg := squeeze(at.Message)
	if name, ok := strings.CutPrefix(msg, "unknown name "); ok {
		if slices.Contains(unsteady, name) {
			msg = name + " is not available: it does not give the same for the same entry"
		} else {
			msg = c.unknown(name)
		}
	}
	return position(at) + ": " + msg
}

func (c *compiler) unknown(name string) string {
	if near := problem.Nearest(name, c.names); near != "" {
		return fmt.Sprintf("unknown name %s: did you mean %s? Any other attribute is ldap.<name>", name, near)
	}
	return fmt.Sprintf("unknown name %s: known are %s; any other attribute is ldap.%s", name, strings.Join(c.names, ", "),
		name)
}

// position says where in the expression an error is, counted from one.
func position(at *file.Error) string {
	if at.Line > 1 {
		return fmt.Sprintf("line %d, column %d", at.Line, at.Column+1)
	}
	return fmt.Sprintf("column %d", at.Column+1)
}

// checkType refuses a result type that can never be what is wanted; what is known only when the expression runs is
// checked then.
func checkType(t reflect.Type, want result) error {
	switch {
	case t == nil || t.Kind() == reflect.Interface:
		return nil
	case want == truthResult || want == flagResult:
		if t.Kind() == reflect.Bool || (want == flagResult && t.Kind() == reflect.String) {
			return nil
		}
		return fmt.Errorf("it gives %s, want true or false", typeName(t))
	case t.Kind() == reflect.String, t.Kind() == reflect.Bool:
		return nil
	case t.Kind() == reflect.Slice && want == listResult:
		if el := t.Elem().Kind(); el == reflect.String || el == reflect.Interface {
			return nil
		}
		return fmt.Errorf("it gives %s, want a text or a list of texts", typeName(t))
	case t.Kind() == reflect.Slice:
		return errors.New("it gives a list, want a text: take first(…) or join(…, \", \")")
	}
	return fmt.Errorf("it gives %s, want a text: write string(…)", typeName(t))
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list"
	case reflect.Map, reflect.Struct:
		return "an object"
	case reflect.Func:
		return "a function"
	default:
		if t.ConvertibleTo(reflect.TypeFor[float64]()) {
			return "a number"
		}
		return t.String()
	}
}

// reader is an ast.Visitor that notes what an expression reads. It sees children before their parents.
type reader struct {
	variables, attributes []string
	problems              []error
	// open are uses of ldap and ldap_all that no member access has claimed so far.
	open []*ast.IdentifierNode
}

// Visit implements ast.Visitor.
func (r *reader) Visit(node *ast.Node) {
	switch n := (*node).(type) {
	case *ast.IdentifierNode:
		switch n.Value {
		case ldapName, ldapAllName:
			r.open = append(r.open, n)
		case "$env":
			r.problems = append(r.problems, errors.New("$env is not available: write the variable's name"))
		}
		r.variables = append(r.variables, n.Value)
	case *ast.MemberNode:
		of, ok := n.Node.(*ast.IdentifierNode)
		if !ok || (of.Value != ldapName && of.Value != ldapAllName) {
			return
		}
		r.open = slices.DeleteFunc(r.open, func(o *ast.IdentifierNode) bool { return o == of })
		name, ok := n.Property.(*ast.StringNode)
		switch {
		case !ok:
			r.problems = append(r.problems, fmt.Errorf(
				"%s[…] needs a name in quotes: sources must know which attributes to ask for", of.Value))
		case strings.TrimSpace(name.Value) == "":
			r.problems = append(r.problems, fmt.Errorf("%s[\"\"] names no attribute", of.Value))
		default:
			r.attributes = append(r.attributes, name.Value)
		}
	}
}

func (r *reader) finish() {
	for _, n := range r.open {
		r.problems = append(r.problems, fmt.Errorf(
			"%s is used as a whole: write %s.<attribute>, sources must know which attributes to ask for", n.Value, n.Value))
	}
	slices.Sort(r.variables)
	r.variables = slices.Compact(r.variables)
	slices.Sort(r.attributes)
	r.attributes = slices.Compact(r.attributes)
	for _, name := range r.attributes {
		if reason := directory.Unmappable(name); reason != "" {
			r.problems = append(r.problems, fmt.Errorf("it reads the attribute %s: %s", name, reason))
		}
	}
}

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
// the address, the rekey fact, then the fields by name. It decides nothing; Desire does. Fields that depend on other
// entries are those of d, which may be nil.
func (m *Mapping) Evaluate(e *directory.Entry, d *plan.Desired) []Value {
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
		if s.fields[i].refers() {
			values, err = referred(d, s.fields[i].Name)
		}
		add(&s.fields[i].expression, values, err)
	}
	return out
}
