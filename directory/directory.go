// Package directory has the vocabulary of Rollcall, which is entries, their unique identifiers, and the snapshots
// that carry them. It does not depend on LDAP, Redis or any cloud.
//
// The model follows SCIM 2.0 (RFC 7643). A source stores the facts about a user under SCIM's names (userName,
// displayName, givenName, familyName, mail, …). Any other attribute that a mapping asks for keeps the name that the
// mapping gave it.
package directory

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"
)

// Kind distinguishes users from groups.
type Kind uint8

// The kinds of entry.
const (
	User  Kind = 1
	Group Kind = 2
)

// Kinds lists both kinds. Users come first, which is the order of reading, planning and writing.
var Kinds = [...]Kind{User, Group}

// String returns "user" or "group".
func (k Kind) String() string {
	switch k {
	case User:
		return "user"
	case Group:
		return "group"
	}
	return "kind?"
}

// MarshalText implements encoding.TextMarshaler.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (k *Kind) UnmarshalText(text []byte) error {
	switch string(text) {
	case "user":
		*k = User
	case "group":
		*k = Group
	default:
		return fmt.Errorf("unknown kind %q: want user or group", text)
	}
	return nil
}

// ID is the unique, immutable identifier that the source gives an entry (entryUUID, objectGUID in its canonical text,
// ipaUniqueID, nsUniqueId, …). It survives renames and moves, and it is the value of our anchor on remote objects.
type ID string

// Ref names one entry.
type Ref struct {
	Kind Kind `json:"kind"`
	ID   ID   `json:"id"`
}

// String returns "user/<id>" or "group/<id>".
func (r Ref) String() string { return r.Kind.String() + "/" + string(r.ID) }

// Compare orders users before groups, then by ID.
func (r Ref) Compare(o Ref) int {
	if c := cmp.Compare(r.Kind, o.Kind); c != 0 {
		return c
	}
	return cmp.Compare(r.ID, o.ID)
}

// The attribute names that every source fills in if its directory has the value.
const (
	UserName       = "userName"       // a user's login name (uid, sAMAccountName)
	DisplayName    = "displayName"    // a user's displayName, a group's cn
	GivenName      = "givenName"      //
	FamilyName     = "familyName"     // sn
	CommonName     = "cn"             //
	Mail           = "mail"           // every value
	EmployeeNumber = "employeeNumber" //
	Description    = "description"    //
)

// Entry is one user or group as its source knows it.
type Entry struct {
	Kind Kind `json:"kind"`
	ID   ID   `json:"id"`
	// Source is the slug of the source that the entry was read from.
	Source string `json:"source"`
	// DN is where the entry was read. It is only for display and is never a key.
	DN string `json:"dn,omitempty"`
	// Active is false for a user who is disabled in the source. Groups are always active.
	Active bool `json:"active"`
	// Attributes is sorted by name.
	Attributes Attributes `json:"attributes,omitempty"`
	// Members are the direct members of a group that are in scope, sorted and unique.
	Members []Ref `json:"members,omitempty"`
}

// Ref returns the entry's kind and ID.
func (e *Entry) Ref() Ref { return Ref{e.Kind, e.ID} }

// Label returns the display name of the entry. It is a user's userName or mail, or a group's displayName, or else the
// ID.
func (e *Entry) Label() string {
	for _, name := range []string{UserName, DisplayName, CommonName, Mail} {
		if e.Kind == Group && name == UserName {
			continue
		}
		if v := e.Attributes.Get(name); v != "" {
			return v
		}
	}
	return string(e.ID)
}

// Names returns the texts under which a Neighbourhood finds the entry. They are the mail addresses, login name and
// employee numbers of a user, and the mail addresses and names of a group.
func (e *Entry) Names() []string {
	mails := e.Attributes.Values(Mail)
	out := append(make([]string, 0, len(mails)+2), mails...)
	if e.Kind == Group {
		return append(out, e.Attributes.Get(CommonName), e.Attributes.Get(DisplayName))
	}
	return append(append(out, e.Attributes.Get(UserName)), e.Attributes.Values(EmployeeNumber)...)
}

// LogValue implements slog.LogValuer, so that names and addresses never reach a log line.
func (e *Entry) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", e.Kind.String()), slog.String("id", string(e.ID)))
}

// Query selects what to read. The zero Query selects everything in scope.
type Query struct {
	// Refs limits the read to these entries. Missing ones are reported in Snapshot.Absent.
	Refs []Ref
	// Known lists the entries that the caller knows. A source calls it if its IDs have more than one spelling. An ID
	// may differ from a known one only in what its attribute's matching rule ignores (Ben and ben, for uid). It becomes
	// the known one, so that its anchor is found again. Nil means that no entries are known.
	Known func(context.Context) ([]Ref, error)
}

// All reports whether the query is for everything in scope.
func (q Query) All() bool { return len(q.Refs) == 0 }

// Neighbourhood names a few entries of the local directory. What is needed to decide about them is read with them.
type Neighbourhood struct {
	// Refs are the entries. The groups above them are read without their other members, and groups with all members
	// below them. Missing entries are reported in Snapshot.Absent.
	Refs []Ref
	// Also are entries that are read alone.
	Also []Ref
	// Names are login names, mail addresses and employee numbers, in any letter case. The entries that have one of them
	// are read like Also.
	Names []string
	// Within names the group that limits the scope, by its ID, DN or name. The group is read, and the groups above
	// every entry.
	Within string
}

// Departure is an entry that left its source.
type Departure struct {
	Ref
	Source string `json:"source"`
	// Left is when a run first concluded that the entry is gone.
	Left time.Time `json:"left"`
	// Label is the last known label of the entry.
	Label string `json:"label,omitempty"`
}

// Finding is an entry that was seen but cannot be used. It is reported and held, and it never counts as absent.
type Finding struct {
	// Ref has an empty ID if the ID is what is missing.
	Ref
	DN string `json:"dn,omitempty"`
	// Label is the label of the entry, if it could be read.
	Label   string `json:"label,omitempty"`
	Problem string `json:"problem"`
	// Attributes are those of an entry without an ID. They tell which known entry it may be.
	Attributes Attributes `json:"-"`
}

// Coverage counts the entries of a kind that have one attribute that the source reads. A sudden fall is more likely a
// withdrawn permission than a change of every entry.
type Coverage struct {
	Kind Kind `json:"kind"`
	// Name is the attribute in the source's own spelling, for messages, such as "userAccountControl".
	Name string `json:"name"`
	// Entries is the number of entries with a value. It is zero for an attribute that the source asked for and no
	// entry has.
	Entries int `json:"entries"`
	// Attributes are the names under which entries carry its values (FamilyName for sn). It is empty if entries do
	// not carry them.
	Attributes []string `json:"attributes,omitempty"`
	// Activity is set if the attribute decides whether an entry is active.
	Activity bool `json:"activity,omitempty"`
	// Members is set if the attribute decides who is a member of a group.
	Members bool `json:"members,omitempty"`
	// Lists is set if the values of the attribute are the members of a group, or the groups of a user.
	Lists bool `json:"lists,omitempty"`
	// Of are the entries with a value of an attribute that Lists, if there are at most MostListed.
	Of []ID `json:"of,omitempty"`
}

// MostListed bounds the entries that a Coverage names.
const MostListed = 19

// Snapshot is one complete result of reading a source.
type Snapshot struct {
	// Entries is sorted by Ref, with users before groups.
	Entries []Entry
	// Absent lists the requested refs that do not exist.
	Absent []Ref
	// Belongs has the groups of the requested users, where users name their groups and groups do not list all members.
	Belongs map[Ref][]Ref
	// Departed lists the entries that left, sorted by Ref. Only the local directory fills it.
	Departed []Departure
	// Findings lists entries that were seen but cannot be used.
	Findings []Finding
	// Referrals are the search result references that the server gave, sorted and unique (RFC 4511, section 4.5.3).
	Referrals []string
	// Notes are informational messages for the run, such as the number of members outside the scope. They change
	// nothing.
	Notes []string
	// Doubts are reasons not to trust absences in this snapshot. Any doubt holds the destructive lane.
	Doubts []string
	// Coverage is sorted by kind and name. A source fills it in when it reads everything.
	Coverage []Coverage
	// Position is the position of the server that was read. It is zero if the source does not report one.
	Position Position
	// Partial is set where only the neighbourhood of some entries was read.
	Partial bool
	// Versions maps each entry to the version of the data that it was computed from; see Digest. Only the local
	// directory fills it.
	Versions map[Ref]string
}

// Count returns how many entries of kind k the snapshot has.
func (s *Snapshot) Count(k Kind) int {
	n := 0
	for i := range s.Entries {
		if s.Entries[i].Kind == k {
			n++
		}
	}
	return n
}

// Position says how far a server had come when it was read. It names the server and the number of the server's last
// change. It is noted before the read begins, so the data that was read is at least as new. The zero Position belongs
// to a source that does not report one.
type Position struct {
	// Server identifies the server that was read, such as the invocationId of a domain controller. Two positions with
	// the same Server are compared by its own number alone, if it has one. It is empty in directories where servers
	// have numbers only.
	Server string `json:"server,omitempty"`
	// Name is the display name of the server, for messages. It consists of its URI and family.
	Name string `json:"name,omitempty"`
	// Seen maps each origin of changes (a domain controller, a server ID) to the number of its last change that the
	// server had. The numbers of one origin only grow. They are either decimal or texts of one length.
	Seen map[string]string `json:"seen,omitempty"`
	// Changed is the time of the last of these changes. It is zero if the numbers do not contain a time.
	Changed time.Time `json:"changed,omitzero"`
}

// Order is the result of comparing two positions.
type Order int8

// The orders. Incomparable positions have no origin of changes in common. Diverged positions have one, but each has
// changes that the other lacks.
const (
	Incomparable Order = iota
	Older
	Same
	Newer
	Diverged
)

// String returns the order in words.
func (o Order) String() string {
	return [...]string{"incomparable", "older", "the same", "newer", "diverged"}[o]
}

// IsZero reports whether the position is unknown.
func (p Position) IsZero() bool { return len(p.Seen) == 0 }

// Compare says how p compares with o. It returns Newer if p has every change that o has, and more. An origin that a
// position does not have counts as number zero, because changes are only added.
func (p Position) Compare(o Position) Order {
	if p.IsZero() || o.IsZero() {
		return Incomparable
	}
	if p.Server != "" && p.Server == o.Server && p.Seen[p.Server] != "" && o.Seen[p.Server] != "" {
		return order(compareNumbers(p.Seen[p.Server], o.Seen[p.Server]))
	}
	more, less, common := false, false, false
	for origin, n := range p.Seen {
		c := compareNumbers(n, o.Seen[origin])
		more, less = more || c > 0, less || c < 0
		common = common || o.Seen[origin] != ""
	}
	for origin := range o.Seen {
		less = less || p.Seen[origin] == ""
	}
	switch {
	case !common:
		return Incomparable
	case more && less:
		return Diverged
	case more:
		return Newer
	case less:
		return Older
	}
	return Same
}

func order(c int) Order { return Same + Order(c) } //nolint:gosec // -1, 0 or 1

// compareNumbers compares two numbers of one origin. An empty number is less than any other.
func compareNumbers(a, b string) int {
	if decimal(a) && decimal(b) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if c := cmp.Compare(len(a), len(b)); c != 0 {
			return c
		}
	}
	return strings.Compare(a, b)
}

func decimal(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// String names the server and its numbers, with the server's own number first.
func (p Position) String() string {
	if p.IsZero() {
		return strings.TrimSpace(p.Name + " (position unknown)")
	}
	origins := slices.SortedFunc(maps.Keys(p.Seen), func(a, b string) int {
		switch p.Server {
		case a:
			return -1
		case b:
			return 1
		}
		return strings.Compare(a, b)
	})
	const most = 4
	var parts []string
	for i, origin := range origins {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(origins)-most))
			break
		}
		parts = append(parts, origin+" at "+p.Seen[origin])
	}
	text := p.Name + " (" + strings.Join(parts, ", ")
	if !p.Changed.IsZero() {
		text += ", last change " + p.Changed.UTC().Format(time.RFC3339)
	}
	return text + ")"
}
