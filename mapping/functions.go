package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/expr-lang/expr"
	"github.com/gosimple/slug"
)

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
	if len(below) > 0 {
		if n := len(parts) - len(below); n < 0 || !sameDN(parts[n:], below) {
			return "", fmt.Errorf("ou: %q is not below %q", dn, base)
		}
		parts = parts[:len(parts)-len(below)]
	}
	var path strings.Builder
	for _, part := range slices.Backward(parts) {
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
