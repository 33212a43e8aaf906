package mapping

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"rollcall/plan"
)

// illegal is a value with a character that no name and no address may contain.
type illegal struct {
	value string
	char  rune
}

// Error says what is wrong with the value.
func (e *illegal) Error() string {
	what := "a control character"
	if bidi(e.char) {
		what = "a character that turns the direction of the text around"
	}
	return fmt.Sprintf("%s contains %U, %s", quote(e.value), e.char, what)
}

// bidi reports whether a character overrides or embeds a direction of text. Such a character makes one name look like
// another.
func bidi(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }

// checkText refuses control characters and bidi overrides. A text of several lines may contain CR, LF and TAB.
func checkText(value string, multiLine bool) error {
	if plain(value) {
		return nil
	}
	for _, r := range value {
		if multiLine && (r == '\r' || r == '\n' || r == '\t') {
			continue
		}
		if unicode.IsControl(r) || bidi(r) {
			return &illegal{value, r}
		}
	}
	return nil
}

// withhold keeps a field out of the desired state if its value contains an illegal character. The account keeps the
// value that it has. It reports whether err is about such a character.
func (v *evaluation) withhold(h *holder, name string, e *expression, required bool, err error) bool {
	bad, is := errors.AsType[*illegal](err)
	if !is {
		return false
	}
	from := e.source
	if names := v.carriers(bad.char); names != "" {
		from = "from " + names
	}
	h.Withheld = append(h.Withheld, plan.Withheld{
		Field: name, Detail: fmt.Sprintf("%s (%s): %v: correct it in the directory", e.path, from, bad), Required: required,
	})
	return true
}

// carriers names the attributes of the entry that contain a character.
func (v *evaluation) carriers(r rune) string {
	var names []string
	if v.entry == nil {
		return ""
	}
	for _, a := range v.entry.Attributes {
		if strings.ContainsRune(strings.Join(a.Values, ""), r) {
			names = append(names, a.Name)
		}
	}
	return strings.Join(names, ", ")
}
