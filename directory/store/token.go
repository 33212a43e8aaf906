package store

import (
	"strconv"
	"strings"

	"rollcall/fault"
)

// token is the summary of an entry that is enough to plan an unchanged entry, and to compare and swap a changed one.
// Its text is "<digest> <0|1> <read at, in microseconds> <sequence number>".
type token struct {
	digest string
	active bool
	readAt int64
	seq    int64
}

func parseToken(text string) (token, bool) {
	digest, rest, _ := strings.Cut(text, " ")
	active, rest, _ := strings.Cut(rest, " ")
	readAt, seq, ok := strings.Cut(rest, " ")
	t := token{digest: digest, active: active == "1"}
	var err1, err2 error
	t.readAt, err1 = strconv.ParseInt(readAt, 10, 64)
	t.seq, err2 = strconv.ParseInt(seq, 10, 64)
	return t, ok && err1 == nil && err2 == nil && digest != ""
}

// head is the text of the token up to the sequence number, which the script adds.
func (t token) head() string {
	active := " 0 "
	if t.active {
		active = " 1 "
	}
	return t.digest + active + strconv.FormatInt(t.readAt, 10)
}

// unreadable reports a token that we did not write.
func (p *Part) unreadable(text, name string) error {
	return fault.Errorf(fault.Internal, "local directory: token %q of %s of source %s cannot be read", text, name, p.slug)
}
