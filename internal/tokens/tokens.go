// Package tokens reads the tokens file and recognises presented tokens.
//
// The file has one token a line, "name scope[,scope] sha256:<hex>", and "#" comments. A line may end with
// "expires=2030-12-31" and "only=ldap:corp,google_workspace:1". The file contains only hashes, so that reading it gives
// no access. A plain SHA-256 is enough, because a token is 32 random bytes and cannot be guessed like a password. A
// line with "oidc:<value>" in place of the hash gives its rights to people with this value of the OpenID claim. The
// names appear in logs and in the "started by" of runs.
package tokens

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"rollcall/container"
)

// Scope is what a token allows. No scope includes another.
type Scope string

// The scopes.
const (
	Read    Scope = "read"    // look at status, runs, plans and explanations
	Sync    Scope = "sync"    // start and cancel runs, sync single objects
	Approve Scope = "approve" // approve what is held
)

// Scopes returns every scope.
func Scopes() []Scope { return []Scope{Read, Sync, Approve} }

// ParseScope returns the scope of that name.
func ParseScope(s string) (Scope, error) {
	if slices.Contains(Scopes(), Scope(s)) {
		return Scope(s), nil
	}
	return "", fmt.Errorf("unknown scope %q: want read, sync or approve", s)
}

// Identity is who a token belongs to.
type Identity struct {
	Name   string
	Scopes []Scope
	// Expires is the time from which the token is refused. The zero time means never.
	Expires time.Time
	// Only are the containers that the token reaches; empty for all.
	Only []container.ID

	mark string
}

// Reaches reports whether the token is valid for a container. The empty container stands for what belongs to no
// container, or to all of them.
func (i Identity) Reaches(c container.ID) bool { return len(i.Only) == 0 || slices.Contains(i.Only, c) }

// Restricted reports whether the token reaches only some containers.
func (i Identity) Restricted() bool { return len(i.Only) > 0 }

// May reports whether the token allows the scope.
func (i Identity) May(s Scope) bool { return slices.Contains(i.Scopes, s) }

// Mark stands for the token where something begun with it outlives the request: List.Recall knows it for as long as the
// token is in the file. It opens nothing and is not the hash that the file has.
func (i Identity) Mark() string { return i.mark }

type entry struct {
	Identity
	hash [sha256.Size]byte
	// group is the value of the OpenID claim that gives the rights of this line; empty for a token.
	group string
}

// List is a tokens file. The zero List has no tokens.
type List struct{ entries []entry }

// Len returns how many tokens there are.
func (l *List) Len() int { return len(l.entries) }

// Lookup returns the identity of a presented token that has not expired at that time. It compares the token with every
// entry in constant time, so that the duration of the call reveals nothing about the entries.
func (l *List) Lookup(token string, now time.Time) (Identity, bool) {
	hash := sha256.Sum256([]byte(token))
	found := -1
	for i := range l.entries {
		found = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(hash[:], l.entries[i].hash[:]), i, found)
	}
	if found < 0 || token == "" || l.entries[found].group != "" {
		return Identity{}, false
	}
	return l.entries[found].valid(now)
}

// Person returns the rights of a person with these values of the OpenID claim, which are those of the first line that
// has one of them and has not expired.
func (l *List) Person(values []string, now time.Time) (Identity, bool) {
	for i := range l.entries {
		e := &l.entries[i]
		if e.group == "" || !slices.Contains(values, e.group) {
			continue
		}
		if who, ok := e.valid(now); ok {
			return who, true
		}
	}
	return Identity{}, false
}

// Fixed is a list that never changes, for a process without a tokens file.
type Fixed struct{ List *List }

// Lookup returns the identity of a presented token.
func (f Fixed) Lookup(token string) (Identity, bool) { return f.List.Lookup(token, time.Now()) }

// Recall returns the identity of the token with this mark.
func (f Fixed) Recall(mark string) (Identity, bool) { return f.List.Recall(mark, time.Now()) }

// valid returns the identity unless it has expired.
func (e *entry) valid(now time.Time) (Identity, bool) {
	if !e.Expires.IsZero() && !now.Before(e.Expires) {
		return Identity{}, false
	}
	return e.Identity, true
}

// nextExpiry returns the next time at which a line expires, or the zero time.
func (l *List) nextExpiry(now time.Time) (next time.Time) {
	for i := range l.entries {
		if at := l.entries[i].Expires; now.Before(at) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return next
}

// Recall returns the identity of the token with this mark, unless it has expired at that time.
func (l *List) Recall(mark string, now time.Time) (Identity, bool) {
	i := slices.IndexFunc(l.entries, func(e entry) bool { return e.mark == mark })
	if i < 0 || mark == "" {
		return Identity{}, false
	}
	return l.entries[i].valid(now)
}

// nameForm keeps names fit for a log line and for the file.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._@-]{0,63}$`)

var errName = errors.New("the name has to be 1 to 64 letters, digits or . _ @ -")

// hashPrefix is the only kind of hash there is; naming it leaves room for another.
const hashPrefix = "sha256:"

// errCut refuses a group with a name that a comment would cut, because the rights would be those of another group.
var errCut = errors.New("after oidc: it has a #: write %23 if the value has it, or a blank before a comment")

// groupPrefix begins the third part of a line that gives rights to people instead of a token.
const groupPrefix = "oidc:"

// Parse reads a tokens file. The error joins everything that is wrong, one line of the file each, and the list has all
// other lines. A line is never shown, as it may hold what is no hash but the token itself.
func Parse(data []byte) (*List, error) {
	var l List
	var errs []error
	names, hashes := map[string]int{}, map[[sha256.Size]byte]int{}
	in := bufio.NewScanner(bytes.NewReader(data))
	n := 0
	for in.Scan() {
		n++
		text, _, comment := strings.Cut(in.Text(), "#")
		if strings.TrimSpace(text) == "" {
			continue
		}
		e, err := parseLine(text)
		if word := text[strings.LastIndexAny(text, " \t")+1:]; comment && strings.HasPrefix(word, groupPrefix) {
			err = errCut
		}
		if err == nil {
			err = once(names, hashes, e, n)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
			continue
		}
		l.entries = append(l.entries, e)
	}
	if err := in.Err(); err != nil {
		errs = append(errs, fmt.Errorf("line %d: %w", n+1, err))
	}
	return &l, errors.Join(errs...)
}

// once refuses what stands in an earlier line already.
func once(names map[string]int, hashes map[[sha256.Size]byte]int, e entry, line int) error {
	if first, twice := names[e.Name]; twice {
		return fmt.Errorf("the name %s is taken by line %d", e.Name, first)
	}
	if first, twice := hashes[e.hash]; twice {
		return fmt.Errorf("the token is that of line %d", first)
	}
	names[e.Name], hashes[e.hash] = line, line
	return nil
}

func parseLine(text string) (entry, error) {
	parts := strings.Fields(text)
	if len(parts) < 3 {
		return entry{}, fmt.Errorf("it has %d parts, want name scope[,scope] sha256:<hex>", len(parts))
	}
	if !nameForm.MatchString(parts[0]) {
		return entry{}, errName
	}
	e := entry{Identity: Identity{Name: parts[0]}}
	for s := range strings.SplitSeq(parts[1], ",") {
		scope, err := ParseScope(s)
		if err != nil { // It may be the token.
			return entry{}, errors.New("the second part has to be scopes: read, sync or approve, with commas")
		}
		if e.May(scope) {
			return entry{}, fmt.Errorf("the scope %s stands there twice", scope)
		}
		e.Scopes = append(e.Scopes, scope)
	}
	if group, is := strings.CutPrefix(parts[2], groupPrefix); is {
		var err error
		if e.group, err = url.PathUnescape(group); err != nil || e.group == "" {
			return entry{}, errors.New("after oidc: it needs the value of a claim, with %20 for a space")
		}
		e.hash = sha256.Sum256([]byte(parts[2])) // Makes the line unique. Lookup ignores it.
		return e, e.options(parts[3:])
	}
	digits, ok := strings.CutPrefix(parts[2], hashPrefix)
	if !ok {
		return entry{}, errors.New("the third part has to be sha256:<hex>; the token itself does not belong here")
	}
	hash, err := hex.DecodeString(digits)
	if err != nil || len(hash) != sha256.Size {
		return entry{}, fmt.Errorf("the hash has to be %d hexadecimal digits", 2*sha256.Size)
	}
	copy(e.hash[:], hash)
	mark := sha256.Sum256(append([]byte("mark of a token\n"), hash...))
	e.mark = hex.EncodeToString(mark[:])
	return e, e.options(parts[3:])
}

// options reads what follows the hash.
func (e *entry) options(parts []string) error {
	for _, part := range parts {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "expires":
			at, err := parseExpiry(value)
			if err != nil {
				return err
			}
			e.Expires = at
		case "only":
			for text := range strings.SplitSeq(value, ",") {
				id := container.ID(text)
				if id.Validate() != nil {
					return errors.New("only: want ldap:<slug> for a source or <type>:<id> for a provider, with commas")
				}
				e.Only = append(e.Only, id)
			}
		default:
			return errors.New("after the hash it has a part that is neither expires=<date> nor only=<container>[,<container>]")
		}
	}
	return nil
}

// parseExpiry reads a time of RFC 3339, or a date. A date is the last day on which the token is valid, in UTC.
func parseExpiry(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, 1), nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, errors.New("expires: want a date such as 2030-12-31, or a time such as 2030-12-31T18:00:00Z")
	}
	return at, nil
}

// Prefix begins every token that New makes, so that scanners for leaked secrets can tell one.
const Prefix = "rct_"

// New makes a token. The token is told to its owner once; the line goes into the tokens file.
func New(name string, scopes ...Scope) (token, line string, err error) {
	if len(scopes) == 0 {
		return "", "", errors.New("a token without a scope allows nothing: give read, sync or approve")
	}
	if !nameForm.MatchString(name) {
		return "", "", errName
	}
	names := make([]string, len(scopes))
	for i, s := range scopes {
		names[i] = string(s)
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	token = Prefix + base64.RawURLEncoding.EncodeToString(secret)
	hash := sha256.Sum256([]byte(token))
	line = name + " " + strings.Join(names, ",") + " " + hashPrefix + hex.EncodeToString(hash[:])
	if _, err := parseLine(line); err != nil {
		return "", "", err
	}
	return token, line, nil
}
