package googleworkspace

import (
	"errors"
	"net/http"
	"slices"

	"rollcall/fault"
	"rollcall/provider/remote"
)

// relists is how often a list is begun again after Google refused one of its page tokens.
const relists = 2

// pages reads pages until the last one. A page token that Google no longer accepts begins the list again, so read may
// see an object twice. A repeated page token is an error, because it would mean an endless or incomplete list.
func pages(op string, read func(token string) (next string, err error)) error {
	for began := 1; ; began++ {
		err := pagesOnce(op, read)
		expired, ok := errors.AsType[*expiredToken](err)
		switch {
		case !ok:
			return err
		case began > relists:
			return fault.Errorf(fault.Invalid, "the list cannot be read to its end: %w", expired.refusal)
		}
	}
}

// expiredToken is the refusal of a page token.
type expiredToken struct{ refusal error }

// Error implements error.
func (e *expiredToken) Error() string { return e.refusal.Error() }

func pagesOnce(op string, read func(token string) (next string, err error)) error {
	seen := map[string]bool{}
	for token := ""; ; {
		next, err := read(token)
		if status, _ := code(err); token != "" && (status == http.StatusBadRequest || status == http.StatusGone) {
			return &expiredToken{err}
		}
		if err != nil || next == "" {
			return err
		}
		if seen[next] || len(seen) == remote.MostPages {
			return fault.Errorf(fault.Unavailable, "%s: Google repeated a page token, so the list cannot be read to its end", op)
		}
		seen[next], token = true, next
	}
}

// haveIDs returns an error unless each object of a page has an id.
func haveIDs[T any](op string, page []*T, id func(*T) string) error {
	if slices.ContainsFunc(page, func(o *T) bool { return o == nil || id(o) == "" }) {
		return fault.Errorf(fault.Unavailable, "%s: the answer has an object without an id", op)
	}
	return nil
}
