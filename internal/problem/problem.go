// Package problem carries mistakes in a configuration from the code that finds them to the person who made them.
//
// The code that checks a value has the field's name and no file; the code that reads the file has the line of each
// field. An Error holds the field's path in between. Adapters and mappings return Errors, and internal/config adds
// the line. All mistakes are reported at once, so errors are joined and All takes them apart again.
package problem

import (
	"errors"
	"fmt"
	"strings"
)

// Error is one mistake in one field.
type Error struct {
	// Field is the path of the field from where the checking code stands: "base_dn",
	// "user_property_mappings.name.givenName". A key that has a dot in its name is written as it is.
	Field string
	// Err says what is wrong, without the field's name.
	Err error
}

// Field returns a mistake in the field, with a formatted text; %w wraps.
func Field(field, format string, args ...any) error {
	return &Error{Field: field, Err: fmt.Errorf(format, args...)}
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field == "" {
		return e.Err.Error()
	}
	return e.Field + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// All takes a tree of joined errors apart and returns its leaves in order. An Error is a leaf; any other leaf comes
// as an Error without a field.
func All(err error) []*Error {
	switch e := err.(type) { //nolint:errorlint // the tree is taken apart node by node
	case nil:
		return nil
	case *Error:
		return []*Error{e}
	case interface{ Unwrap() []error }:
		var out []*Error
		for _, err := range e.Unwrap() {
			out = append(out, All(err)...)
		}
		return out
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return []*Error{e}
	}
	return []*Error{{Err: err}}
}

// Nearest returns the known word that word was probably meant to be, or "". One mistake is forgiven, and one more for
// every four letters.
func Nearest(word string, known []string) string {
	best, least := "", len(word)/4+2
	if word == "" {
		return ""
	}
	for _, k := range known {
		if d := distance(word, k); d < least && d < len(k) {
			best, least = k, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with their neighbour to get from a to b.
func distance(a, b string) int {
	s, t := []rune(strings.ToLower(a)), []rune(strings.ToLower(b))
	before, last, row := make([]int, len(t)+1), make([]int, len(t)+1), make([]int, len(t)+1)
	for j := range last {
		last[j] = j
	}
	for i := 1; i <= len(s); i++ {
		row[0] = i
		for j := 1; j <= len(t); j++ {
			differ := 1
			if s[i-1] == t[j-1] {
				differ = 0
			}
			row[j] = min(last[j]+1, row[j-1]+1, last[j-1]+differ)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(t)]
}
