// Package secret holds passwords and keys so that they cannot be printed by accident.
//
// A Value shows itself as <redacted> to fmt, encoding/json, YAML and log/slog; only Reveal gives the text. Secrets
// come from a file or the environment, never inline from a configuration file.
package secret

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"regexp"
	"runtime"
	"strings"
)

// Redacted is what a Value shows in place of its text.
const Redacted = "<redacted>"

// File is the path of a file that holds a secret. Where a configuration has one, the file's mode is checked.
type File string

// PublicFile is the path of a file that holds no secret, such as a certificate.
type PublicFile string

// StaysHere reports whether a host is this machine. A secret may be sent there in the clear.
func StaysHere(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// Value is a text that must not be printed.
type Value string

// Reveal returns the text.
func (v Value) Reveal() string { return string(v) }

// String implements fmt.Stringer. An empty Value shows as empty, so that "not set" can be seen.
func (v Value) String() string {
	if v == "" {
		return ""
	}
	return Redacted
}

// GoString implements fmt.GoStringer, for %#v.
func (v Value) GoString() string { return fmt.Sprintf("secret.Value(%q)", v.String()) }

// Format implements fmt.Formatter, so that no verb (%x, %d) shows the text either.
func (v Value) Format(s fmt.State, verb rune) {
	if verb == 'v' && s.Flag('#') {
		fmt.Fprint(s, v.GoString())
		return
	}
	fmt.Fprint(s, v.String())
}

// MarshalText implements encoding.TextMarshaler, which YAML uses.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalJSON implements json.Marshaler.
func (v Value) MarshalJSON() ([]byte, error) { return fmt.Appendf(nil, "%q", v.String()), nil }

// LogValue implements slog.LogValuer.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// FromFile reads a secret from a file and drops one newline at its end. A world-writable file is refused. A
// world-readable file gives a warning, or an error when strict is set.
func FromFile(path string, strict bool) (value Value, warning string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", "", fmt.Errorf("read secret: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", "", fmt.Errorf("read secret: %w", err)
	}
	warning, err = checkMode(path, info.Mode(), strict)
	if err != nil {
		return "", "", err
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(f); err != nil {
		return "", "", fmt.Errorf("read secret %s: %w", path, err)
	}
	text := bytes.TrimSuffix(bytes.TrimSuffix(b.Bytes(), []byte("\n")), []byte("\r"))
	if len(text) == 0 {
		return "", "", fmt.Errorf("read secret: %s is empty", path)
	}
	return Value(text), warning, nil
}

func checkMode(path string, mode fs.FileMode, strict bool) (warning string, err error) {
	const othersWrite, othersRead = 0o002, 0o004
	switch perm := mode.Perm(); {
	case mode.IsDir():
		return "", fmt.Errorf("read secret: %s is a directory", path)
	case perm&othersWrite != 0:
		return "", fmt.Errorf("read secret: %s may be written by every user (mode %04o): run chmod 0600 on it", path,
			perm)
	case perm&othersRead != 0 && strict:
		return "", fmt.Errorf("read secret: %s may be read by every user (mode %04o): run chmod 0600 on it", path, perm)
	case perm&othersRead != 0:
		return fmt.Sprintf("secret file %s may be read by every user (mode %04o): run chmod 0600 on it", path, perm),
			nil
	}
	return "", nil
}

// What names people is removed from texts that go into the log, because a remote side quotes addresses and names of
// entries in its answers. Where a run or an answer keeps the whole text, the log has only the kind of the error.
var (
	// address is a mail address, and what a URL may have before its host.
	address = regexp.MustCompile(`[^\s"'<>()\[\],;:=]+@[\p{L}\p{N}.\-]+`)
	// name is a distinguished name, or the end of one (RFC 4514). Its values may contain blanks, so it ends with a
	// character that cannot be part of a name.
	name = regexp.MustCompile(
		`(?i)\b(?:cn|uid|ou|dc|sn|mail|givenname|samaccountname|userprincipalname)\s*=\s*(?:\\.|[^"<>;()\\\n])+`)
)

// Scrub returns the text without addresses and distinguished names.
func Scrub(text string) string {
	return address.ReplaceAllString(name.ReplaceAllString(text, "<name>"), "<address>")
}

// Panic returns what the log shows of a panic. Errors of the runtime name no value. Of any other value it is the type,
// because the value may contain a secret or name a person.
func Panic(v any) string {
	if err, is := v.(runtime.Error); is {
		return err.Error()
	}
	return fmt.Sprintf("a %T", v)
}
