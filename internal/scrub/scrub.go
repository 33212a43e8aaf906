// Package scrub removes what names people from texts that go into the log, because a remote side quotes addresses and
// names of entries in its answers. Where a run or an answer keeps the whole text, the log has only the kind of the
// error.
package scrub

import (
	"fmt"
	"regexp"
	"runtime"
)

var (
	// address is a mail address, and what a URL may have before its host.
	address = regexp.MustCompile(`[^\s"'<>()\[\],;:=]+@[\p{L}\p{N}.\-]+`)
	// name is a distinguished name, or the end of one (RFC 4514). Its values may contain blanks, so it ends with a
	// character that cannot be part of a name.
	name = regexp.MustCompile(
		`(?i)\b(?:cn|uid|ou|dc|sn|mail|givenname|samaccountname|userprincipalname)\s*=\s*(?:\\.|[^"<>;()\\\n])+`)
)

// Text returns the text without addresses and distinguished names.
func Text(text string) string {
	return address.ReplaceAllString(name.ReplaceAllString(text, "<name>"), "<address>")
}

// Error returns the text of an error so.
func Error(err error) string { return Text(err.Error()) }

// Panic returns what the log shows of a panic. Errors of the runtime name no value. Of any other value it is the type,
// because the value may contain a secret or name a person.
func Panic(v any) string {
	if err, is := v.(runtime.Error); is {
		return err.Error()
	}
	return fmt.Sprintf("a %T", v)
}
