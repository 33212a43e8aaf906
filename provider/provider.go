// Package provider is the port through which the engine reads and writes a tenant. The types of package all are
// providers of the second hop; the local directory is the provider of the first.
package provider

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// Provider reads and writes one tenant.
//
// Read returns the complete state that the query asks for, or an error. A partial state is not allowed, because the
// planner creates every account that the state lacks. Apply carries out each change and returns one result for each,
// in the same order. Apply is idempotent. A change that an earlier run carried out before it died succeeds again.
// Right before a change takes something away, Apply checks that the object still carries the anchor, and refuses the
// change otherwise.
//
// Adapters translate and classify (package fault). They neither retry, log nor decide. Both methods are safe for
// concurrent use.
type Provider interface {
	Capabilities() plan.Capabilities
	Read(ctx context.Context, q Query) (plan.State, error)
	Apply(ctx context.Context, batch []plan.Change) []Result
}

// Restorer is a Provider that can restore deleted accounts and leaves the choice to the planner. The engine asks it
// once a run, before accounts are created.
type Restorer interface {
	// Deleted returns the deleted accounts that carry an anchor of ours and can still be restored.
	Deleted(ctx context.Context) ([]plan.Deleted, error)
}

// ErrSuperseded is wrapped by the error of a change that was planned for an older version of its entry. The
// change is not a failure. It is planned again from a new read.
var ErrSuperseded = errors.New("a newer version of the entry was written")

// Result is the outcome of one change.
type Result struct {
	// RemoteID is the object's immutable remote id, where it is known now.
	RemoteID string
	// RequestID is the vendor's id of the last request, for its support.
	RequestID string
	// Foreign is set when another party had made the change already, such as a suspension that is not ours to lift.
	Foreign bool
	// Outlived is set when the tenant kept a deleted account, suspended and with our anchor.
	Outlived bool
	// SessionsEnded is set when the sessions of a suspended account ended, too.
	SessionsEnded bool
	// Note is information for the operator about a change that succeeded.
	Note string
	// Err is nil for a change that is in force now.
	Err error
}

// Query selects what Read returns. The zero Query selects everything.
type Query struct {
	// Lookups limits the read to these entries and to the objects that conflict with them. The tenant is not listed.
	Lookups []Lookup
	// ByID reads the objects of the lookups by their remote ids alone, without any list. It needs no right but the one
	// to read single objects. An object that is not found is left out.
	ByID bool
	// Known has the links of the ledger. An object that has a link and is missing from a listing is looked up by its
	// remote id before it counts as gone.
	Known map[directory.Ref]plan.Link
	// Groups has the members that the ledger last confirmed, by the group's ID.
	Groups map[directory.ID]plan.Confirmed
	// Versions has the versions of the desired entries. An object with the same version needs no fields. Only the
	// local directory uses it.
	Versions map[directory.Ref]string
	// Now is the time of the run.
	Now time.Time
}

// Refs returns the entries of the lookups.
func (q *Query) Refs() []directory.Ref {
	refs := make([]directory.Ref, len(q.Lookups))
	for i := range q.Lookups {
		refs[i] = q.Lookups[i].Ref
	}
	return refs
}

// Lookup names one entry to read. The entry is found by its remote id where the ledger knows it, else by its anchor
// where the provider can search for anchors, and by its address.
type Lookup struct {
	directory.Ref
	RemoteID string
	Address  string
	// Members also asks for the memberships of the entry. For a group these are its members; for a user, its
	// membership in each of Groups.
	Groups []GroupRef
}

// GroupRef is a group by ID and remote id.
type GroupRef struct {
	ID       directory.ID
	RemoteID string
}

// Recent remembers the objects that this process created in the last minutes, which may still be answered with 404.
// It is safe for concurrent use.
type Recent struct {
	// Now is the clock.
	Now func() time.Time

	mu       sync.Mutex
	rotated  time.Time
	new, old map[string]struct{}
}

// Settle is how long a created object may stay invisible.
const Settle = 15 * time.Minute

// Add records an object.
func (r *Recent) Add(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate()
	r.new[id] = struct{}{}
}

// Has reports whether the object was created moments ago.
func (r *Recent) Has(id string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rotate()
	_, fresh := r.new[id]
	_, older := r.old[id]
	return fresh || older
}

// Drop removes an object that was seen and is about to be deleted, so that a later 404 means that it is gone.
func (r *Recent) Drop(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.new, id)
	delete(r.old, id)
}

// rotate keeps two generations, each for the time that an object may take to settle.
func (r *Recent) rotate() {
	switch age := r.Now().Sub(r.rotated); {
	case r.new != nil && age < Settle:
		return
	case age < 2*Settle:
		r.old = r.new
	default:
		r.old = nil
	}
	r.new, r.rotated = map[string]struct{}{}, r.Now()
}

// RetryAfter parses a Retry-After header. The value is a number of seconds, also with a fraction, or a date (RFC
// 9110, section 10.2.3). The result is zero for any other text.
func RetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if seconds, err := strconv.ParseFloat(header, 64); err == nil && seconds > 0 && seconds < 1e6 {
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(header); err == nil && at.After(now) {
		return at.Sub(now)
	}
	return 0
}

// Settling marks the error of a write that the tenant refuses while an earlier write of the same object settles. Such
// an answer is Unavailable and not a silence of the tenant.
func Settling(err error) error { return settling{err} }

// IsSettling reports whether an error is marked by Settling.
func IsSettling(err error) bool {
	_, ok := errors.AsType[settling](err)
	return ok
}

type settling struct{ error }

func (s settling) Unwrap() error { return s.error }

type patientKey struct{}

// Patient returns a context for writes that are repeated as long as the caller allows while an object settles. The
// engine tries all other writes again at the end of the run, so that one object does not hold up the others.
func Patient(ctx context.Context) context.Context { return context.WithValue(ctx, patientKey{}, true) }

// IsPatient reports whether Patient made the context.
func IsPatient(ctx context.Context) bool { return ctx.Value(patientKey{}) != nil }

// Roomer is a Tenant that can say how many more objects it takes.
type Roomer interface {
	// Room asks the tenant. A zero Room means that the tenant does not show it.
	Room(ctx context.Context) (Room, error)
}

// Room is how many objects a tenant has, and how many it may have.
type Room struct{ Used, Total int }

// Free is how many more objects the tenant takes.
func (r Room) Free() int { return max(0, r.Total-r.Used) }

// String says how much is used. It begins with a warning from nine tenths on.
func (r Room) String() string {
	if r.Total == 0 {
		return "the quota of objects is not visible"
	}
	text := fmt.Sprintf("%d of %d objects are in use, so there is room for %d more", r.Used, r.Total, r.Free())
	if r.Used*10 >= r.Total*9 {
		text = "warning: " + text + ". Raise the quota, or delete objects for good"
	}
	return text
}

// Fits compares the room with what a plan creates.
func (r Room) Fits(p *plan.Plan) string {
	users, groups := 0, 0
	for i := range p.Changes {
		switch c := &p.Changes[i]; {
		case c.Op != plan.Create:
		case c.Kind == directory.User:
			users++
		default:
			groups++
		}
	}
	switch n := users + groups; {
	case n == 0 || r.Total == 0:
		return ""
	case n > r.Free():
		return fmt.Sprintf("The tenant has no room for this plan: it creates %d users and %d groups, and %d of %d objects "+
			"are in use, which leaves %d. Raise the quota first, or the last %d creations fail", users, groups, r.Used, r.Total,
			r.Free(), n-r.Free())
	default:
		return fmt.Sprintf("The plan creates %d users and %d groups, and the tenant has room for %d objects", users, groups,
			r.Free())
	}
}
