package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
	"github.com/gosimple/slug"

	"rollcall/directory"
)

// machine evaluates expressions over one entry after the other. It belongs to one goroutine.
type machine struct {
	vm  vm.VM
	env map[string]any
	one map[string]string
	all map[string][]string
	// resolve returns the address of the account to which a DN leads, and whether it is known.
	resolve func(dn string) (address string, known bool)
	// asked are the DNs that address_of was called with. unsure is set where it had no answer.
	asked  []string
	unsure bool
}

func newMachine(domain string) *machine {
	m := &machine{env: map[string]any{}, one: map[string]string{}, all: map[string][]string{}}
	m.vm.MemoryBudget = memoryBudget
	m.env[domainName], m.env[ldapName], m.env[ldapAllName] = domain, m.one, m.all
	m.env[addressOfName] = m.addressOf
	return m
}

// load makes e the entry that expressions of the side see. Only what they read is filled in.
func (m *machine) load(s *side, e *directory.Entry) {
	for i := range s.variables {
		m.env[s.variables[i].Name] = s.variables[i].get(e)
	}
	for _, name := range s.attributes {
		values := e.Attributes.Values(name)
		m.all[name], m.one[name] = values, ""
		if len(values) > 0 {
			m.one[name] = values[0]
		}
	}
}

// run evaluates one expression over the loaded entry. It never panics.
func (m *machine) run(e *expression) (out any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	out, err = m.vm.Run(e.program, m.env)
	if at, ok := errors.AsType[*file.Error](err); ok {
		err = fmt.Errorf("%s: %s", position(at), squeeze(at.Message))
	}
	return out, err
}

// text evaluates an expression that gives one text.
func (m *machine) text(e *expression) (string, error) {
	values, err := m.values(e, false)
	if err != nil || len(values) == 0 {
		return "", err
	}
	return values[0], nil
}

// truth evaluates an expression that gives true or false.
func (m *machine) truth(e *expression) (bool, error) {
	out, err := m.run(e)
	if err != nil {
		return false, err
	}
	switch v := out.(type) {
	case bool:
		return v, nil
	case string:
		switch strings.ToLower(strings.TrimSpace(v)) {
		case "true":
			return true, nil
		case "false", "":
			return false, nil
		}
		return false, fmt.Errorf("it gave %s, want true or false", quote(v))
	case nil:
		return false, nil
	}
	return false, fmt.Errorf("it gave a %T, want true or false", out)
}

// values evaluates an expression that gives a text, or where many is set a list of texts. What is empty is left out.
func (m *machine) values(e *expression, many bool) ([]string, error) {
	out, err := m.run(e)
	if err != nil {
		return nil, err
	}
	switch v := out.(type) {
	case nil:
		return nil, nil
	case string:
		return clean(v), nil
	case bool:
		return []string{fmt.Sprint(v)}, nil
	case []string:
		if many || len(v) == 0 {
			return clean(v...), nil
		}
	case []any:
		if many || len(v) == 0 {
			return cleanAny(v)
		}
	}
	if many {
		return nil, fmt.Errorf("it gave a %T, want a text or a list of texts", out)
	}
	return nil, fmt.Errorf("it gave a %T, want a text", out)
}

func cleanAny(list []any) ([]string, error) {
	texts := make([]string, 0, len(list))
	for _, el := range list {
		switch s := el.(type) {
		case nil:
		case string:
			texts = append(texts, s)
		default:
			return nil, fmt.Errorf("its list has a %T, want texts", el)
		}
	}
	return clean(texts...), nil
}

// clean returns the values as a remote side would keep them, without control characters other than line ends, without
// blanks at the ends, and without empty or repeated values.
func clean(values ...string) []string {
	out := make([]string, 0, len(values))
	for _, v := range values {
		if v = cleanText(v); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

func cleanText(s string) string {
	if plain(s) {
		return s
	}
	return strings.TrimSpace(strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\r\n", "\n"))
}

// plain reports whether s is printable ASCII without blanks at its ends, as nearly every value is.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s == "" || (s[0] != ' ' && s[len(s)-1] != ' ')
}

// quote shows a value in a detail, cut where it is long.
func quote(s string) string {
	if utf8.RuneCountInString(s) > 60 {
		return fmt.Sprintf("%q…", string([]rune(s)[:60]))
	}
	return fmt.Sprintf("%q", s)
}

// unsteady are functions of the expression language that do not give the same for the same entry, such as the clock
// and whatever walks a map. A plan is a function of its input.
var unsteady = []string{"now", "keys", "values", "toPairs"}

func functionOptions() []expr.Option {
	opts := []expr.Option{
		expr.Function("slug", func(args ...any) (any, error) {
			return slug.Make(text(args[0])), nil
		}, new(func(string) string)),
		expr.Function("lower", func(args ...any) (any, error) {
			return lower(text(args[0])), nil
		}, new(func(string) string)),
		expr.Function("coalesce", func(args ...any) (any, error) {
			for _, a := range args {
				if s := text(a); strings.TrimSpace(s) != "" {
					return s, nil
				}
			}
			return "", nil
		}, new(func(...string) string)),
		expr.Function("rdn", func(args ...any) (any, error) {
			n, ok := args[1].(int)
			if !ok {
				return nil, fmt.Errorf("rdn: the number is a %T", args[1])
			}
			return rdnOf(text(args[0]), n)
		}, new(func(string, int) string)),
		expr.Function("ou", func(args ...any) (any, error) {
			base := ""
			if len(args) > 1 {
				base = text(args[1])
			}
			return orgUnit(text(args[0]), base)
		}, new(func(string) string), new(func(string, string) string)),
	}
	for _, name := range unsteady {
		opts = append(opts, expr.DisableBuiltin(name))
	}
	return opts
}

// lower folds to lower case, but no letter of another script to an ASCII letter. The Kelvin sign (U+212A) is not a k.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if l := unicode.ToLower(r); r <= unicode.MaxASCII || l > unicode.MaxASCII {
			return l
		}
		return r
	}, s)
}

// text is an argument that the checker accepted as text or as unknown.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []string:
		if len(v) > 0 {
			return v[0]
		}
		return ""
	case nil:
		return ""
	}
	return fmt.Sprint(v)
}

func rdnOf(dn string, n int) (string, error) {
	parts, err := parseDN(dn)
	if err != nil || n < 0 || n >= len(parts) {
		return "", err
	}
	return parts[n][0].value, nil
}

// orgUnit returns the organisational units of dn, topmost first, as a path.
func orgUnit(dn, base string) (string, error) {
	parts, err := parseDN(dn)
	if err != nil {
		return "", err
	}
	below, err := parseDN(base)
	if err != nil {
		return "", err
	}
	n := len(parts) - len(below)
	if n < 0 || !sameDN(parts[n:], below) {
		return "", fmt.Errorf("ou: %q is not below %q", dn, base)
	}
	var path strings.Builder
	for _, part := range slices.Backward(parts[:n]) {
		for _, a := range part {
			if !strings.EqualFold(a.name, "ou") {
				continue
			}
			if strings.Contains(a.value, "/") {
				return "", errors.New("ou: the unit " + a.value + " has a slash in its name")
			}
			path.WriteString("/" + a.value)
		}
	}
	if path.Len() == 0 {
		return "/", nil
	}
	return path.String(), nil
}
