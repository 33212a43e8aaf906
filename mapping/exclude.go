package mapping

import (
	"errors"
	"path"
	"strings"

	"rollcall/directory"
	"rollcall/internal/problem"
)

// excluder leaves entries out by ID, or by patterns of userName, cn (of groups), mail or DN; case does not count.
type excluder []string

func newExcluder(patterns []string) (excluder, error) {
	var out excluder
	var errs []error
	for _, p := range patterns {
		folded := fold(p)
		if strings.Contains(folded, "=") {
			// A DN: a backslash is the DN's own, and not there to quote the pattern.
			folded = strings.ReplaceAll(folded, `\`, `\\`)
		}
		if _, err := path.Match(folded, ""); err != nil || strings.TrimSpace(p) == "" {
			errs = append(errs, problem.Field(ExcludeKey, "%q is no pattern", p))
			continue
		}
		out = append(out, folded)
	}
	return out, errors.Join(errs...)
}

// fold makes case not count, and lets * match a slash as it does anything else.
func fold(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x00") }

// unfold makes a pattern readable again.
func unfold(p string) string {
	return strings.ReplaceAll(strings.ReplaceAll(p, "\x00", "/"), `\\`, `\`)
}

// match returns the pattern that takes the entry out, in lower case, and whether there is one.
func (x excluder) match(e *directory.Entry) (string, bool) {
	if len(x) == 0 {
		return "", false
	}
	name := directory.UserName
	if e.Kind == directory.Group {
		name = directory.CommonName
	}
	texts := append([]string{string(e.ID), e.DN, e.Attributes.Get(name)}, e.Attributes.Values(directory.Mail)...)
	for _, text := range texts {
		text = fold(text)
		for _, p := range x {
			if ok, err := path.Match(p, text); text != "" && ok && err == nil {
				return unfold(p), true
			}
		}
	}
	return "", false
}
