// Package scrub takes what names people out of texts that go into the log: a remote side quotes addresses and names of
// entries in what it answers. Where a run or an answer keeps the whole text, the log has the kind of the error alone.
package scrub

import "regexp"

var (
	// address is a mail address, and what a URL may have before its host.
	address = regexp.MustCompile(`[^\s"'<>()\[\],;:=]+@[\p{L}\p{N}.\-]+`)
	// name is a distinguished name, or the end of one (RFC 4514). Its values may have blanks: it ends with what cannot be in one.
	name = regexp.MustCompile(`(?i)\b(?:cn|uid|ou|dc|sn|mail|givenname|samaccountname|userprincipalname)\s*=\s*(?:\\.|[^"<>;()\\\n])+`)
)

// Text returns the text without addresses and distinguished names.
func Text(text string) string {
	return address.ReplaceAllString(name.ReplaceAllString(text, "<name>"), "<address>")
}

// Error returns the text of an error so.
func Error(err error) string { return Text(err.Error()) }
