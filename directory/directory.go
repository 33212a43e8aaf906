// Package directory is the vocabulary that the rest of Rollcall speaks: entries, their unique identifiers and
// the snapshots in which they travel. It knows nothing of LDAP, Redis or any cloud.
//
// The model follows SCIM 2.0 (RFC 7643): what a source found out about a person is kept under SCIM's names
// (userName, displayName, givenName, familyName, mail, …); any other attribute that a mapping asks for keeps the
// name that the mapping gave it.
package directory

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"
)

// Kind tells users from groups.
type Kind uint8

// The kinds of entry.
const (
	User  Kind = 1
	Group Kind = 2
)

// Kinds lists both, users first: the order in which everything is read, planned and written.
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

// ID is the unique, immutable identifier that the source gives an entry (entryUUID, objectGUID in its canonical
// text, ipaUniqueID, nsUniqueId, …). It survives renames and moves; it is the value of our anchor on remote objects.
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

// The attribute names that every source fills in where its directory has the fact.
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
	// DN is where the entry was read. It is for people to read: it is never a key.
	DN string `json:"dn,omitempty"`
	// Active is false for a user who is disabled in the source. Groups are always active.
	Active bool `json:"active"`
	// Attributes is sorted by name.
	Attributes Attributes `json:"attributes,omitempty"`
	// Members of a group: its direct members as far as they are in scope, sorted and unique.
	Members []Ref `json:"members,omitempty"`
}

// Ref returns the entry's kind and ID.
func (e *Entry) Ref() Ref { return Ref{e.Kind, e.ID} }

// Label returns what a person calls the entry: a user's userName or mail, a group's displayName, else the ID.
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

// LogValue implements slog.LogValuer: names and addresses never reach a log line.
func (e *Entry) LogValue() slog.Value {
	return slog.GroupValue(slog.String("kind", e.Kind.String()), slog.String("id", string(e.ID)))
}

// Query says what to read. The zero Query means everything in scope.
type Query struct {
	// Refs limits the read to these entries. One that is not there is reported in Snapshot.Absent.
	Refs []Ref
	// Known lists the entries that the caller knows. A source asks for them where IDs have more than one spelling: an entry
	// whose ID differs from a known one only in what the matching rule of its attribute ignores (Ben and ben, for uid)
	// has the known one, so that its anchor is found again. Nil knows none.
	Known func(context.Context) ([]Ref, error)
}

// All reports whether the query is for everything in scope.
func (q Query) All() bool { return len(q.Refs) == 0 }

// Departure is an entry that left its source.
type Departure struct {
	Ref
	Source string `json:"source"`
	// Left is when a run first concluded that the entry is gone.
	Left time.Time `json:"left"`
	// Label is what the entry was called.
	Label string `json:"label,omitempty"`
}

// Finding is an entry that was seen and cannot be used: it is named, held and never taken for absent.
type Finding struct {
	// Ref may have an empty ID where that is what is missing.
	Ref
	DN string `json:"dn,omitempty"`
	// Label is what the entry is called, where that could be read.
	Label   string `json:"label,omitempty"`
	Problem string `json:"problem"`
}

// Coverage says how many entries of a kind have one attribute that the source reads. A sudden fall is more likely a right
// that was taken away than a change of every entry.
type Coverage struct {
	Kind Kind `json:"kind"`
	// Name is the attribute in the source's own spelling, for messages: "userAccountControl".
	Name string `json:"name"`
	// Entries is how many entries have a value. It is zero for an attribute that the source asked for and no entry has.
	Entries int `json:"entries"`
	// Attributes are the names under which entries carry its values (FamilyName for sn); empty where they do not.
	Attributes []string `json:"attributes,omitempty"`
	// Activity is set where the attribute decides whether an entry is active.
	Activity bool `json:"activity,omitempty"`
}

// Snapshot is one complete answer of a source.
type Snapshot struct {
	// Entries is sorted by Ref: users first, then groups.
	Entries []Entry
	// Absent lists what was asked for by Ref and is not there.
	Absent []Ref
	// Departed lists the entries that left, sorted by Ref. Only the local directory knows them.
	Departed []Departure
	// Findings lists entries that were seen and cannot be used.
	Findings []Finding
	// Referrals are the search result references that the server gave, sorted and unique (RFC 4511, section 4.5.3).
	Referrals []string
	// Notes are worth a line in the run's messages and change nothing: how many members are outside the scope, say.
	Notes []string
	// Doubts are reasons not to believe absences in this snapshot. Any doubt holds the destructive lane.
	Doubts []string
	// Coverage is sorted by kind and name. A source fills it in when it reads everything.
	Coverage []Coverage
	// Position is how far the server was that answered; zero where the source does not tell.
	Position Position
	// Versions maps what the snapshot's entries were computed from; see Digest. Only the local directory fills it.
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
