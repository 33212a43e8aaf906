package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// owned is an account of a person as it was when a request was made.
type owned struct {
	soul    int
	id      directory.ID
	address string
	// numbered is set where the ledger has the employee number that the account was made for.
	numbered bool
}

// account is a user or a group of the tenant.
type account struct {
	plan.Object
	// refused is set where the tenant refuses every write to the object.
	refused       bool
	born, deleted time.Time
	members       map[string]bool
}

// request is one write that the tenant was asked for.
type request struct {
	at     time.Time
	worker string
	task   string // the asynq task: run and epoch, or job
	full   bool   // of a full run
	change plan.Change
	made   bool          // it changed something
	ended  time.Time     // when it was carried out
	late   bool          // it had been given up by then
	gave   directory.Ref // the user whose account it made active
	// took is the fact that the change ended; see company.facts. It is empty for one that ended none.
	took string
	// of is the account that lost it.
	of owned
	// copied is when the copy of the directory that the change was planned from had been read at the earliest.
	copied time.Time
}

func (r *request) String() string {
	c := &r.change
	what := c.Op.String() + " " + c.Ref.String()
	if c.Member != nil {
		what += " " + c.Member.String()
	}
	flags := ""
	if c.Approved {
		flags += " approved"
	}
	if c.Undoes {
		flags += " undoes"
	}
	return fmt.Sprintf("%s %s %s: %s %s made=%v%s", r.at.Format("02 15:04:05.000"), r.worker, r.task, what, c.Address,
		r.made, flags)
}

// tenant is a tenant that obeys the contract of its port, with a strict trace of the writes.
type tenant struct {
	mu       sync.Mutex
	past     *past
	accounts map[string]*account
	next     int
	// marks is set where a suspension carries our mark (Google); else only the ledger knows (Entra).
	marks bool
	// forgot is when Redis last lost something.
	forgot time.Time
	trace  []request
	wrong  []string // what a correct engine never asks for
}

// foreign adds an account that is not ours.
func (t *tenant) foreign(name string, protected bool) {
	t.next++
	a := &account{Object: plan.Object{Ref: directory.Ref{Kind: directory.User}, RemoteID: fmt.Sprintf("f%02d", t.next),
		Address: name + "@" + domain, Active: true}}
	if protected {
		a.Protected = "an administrator"
	}
	t.accounts[a.RemoteID] = a
}

// read returns the accounts that a query asks for.
func (t *tenant) read(wanted func(*account) bool, known map[directory.ID]plan.Confirmed, now time.Time) (s plan.State) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s.Domains = []string{domain}
	for _, id := range slices.Sorted(maps.Keys(t.accounts)) {
		a := t.accounts[id]
		if !a.deleted.IsZero() || !wanted(a) {
			continue
		}
		o := a.Object
		o.Fields = a.Fields.Clone()
		if o.Kind == directory.Group && o.Anchored() {
			o.Witness = strconv.Itoa(len(a.members))
			if c := known[o.ID]; c.Holds(o.Witness, now) {
				o.Members = slices.Clone(c.Members)
			} else {
				o.Members, o.Listed = slices.Sorted(maps.Keys(a.members)), true
			}
		}
		s.Objects = append(s.Objects, o)
	}
	return s
}

// undeletable returns the deleted accounts that can come back.
func (t *tenant) undeletable() (out []plan.Deleted) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, id := range slices.Sorted(maps.Keys(t.accounts)) {
		a := t.accounts[id]
		if a.Kind == directory.User && a.Anchored() && !a.deleted.IsZero() && time.Since(a.deleted) < undeleteWithin {
			out = append(out, plan.Deleted{Ref: a.Ref, RemoteID: id, Address: a.Address, At: a.deleted})
		}
	}
	return out
}

const undeleteWithin = 20 * 24 * time.Hour

// each calls do for the live accounts with an anchor.
func (t *tenant) each(id directory.ID, do func(*account)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, a := range t.accounts {
		if a.ID == id && a.Kind == directory.User && a.deleted.IsZero() {
			do(a)
		}
	}
}

// write carries out one change. The result is that of the port; made says whether anything changed.
func (t *tenant) write(r request) (remote string, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &r.change
	defer func() {
		r.ended = time.Now()
		t.trace = append(t.trace, r)
	}()
	if c.Op == plan.Create {
		return t.create(&r)
	}
	a := t.accounts[c.RemoteID]
	gone := a == nil || !a.deleted.IsZero()
	switch {
	case c.Op == plan.Undelete && a != nil && gone:
		return t.undelete(&r, a)
	case gone && (c.Op == plan.Delete || c.Op == plan.RemoveMember):
		return "", nil
	case gone:
		return "", fault.Errorf(fault.NotFound, "no object %q", c.RemoteID)
	case a.refused:
		return "", fault.Errorf(fault.Refused, "%s: the value is invalid", a.Address)
	}
	if (c.Op == plan.Suspend || c.Op == plan.Delete || c.Op == plan.RemoveMember) && a.Ref != c.Ref {
		return "", fault.Errorf(fault.Conflict, "%s does not carry the anchor %s", a.RemoteID, c.ID)
	}
	t.judge(&r, a)
	return a.RemoteID, t.effect(&r, a)
}

// judge notes a write that a correct engine never asks for.
func (t *tenant) judge(r *request, a *account) {
	c := &r.change
	ours := a.Ref == c.Ref || c.From != "" && a.ID == c.From
	if c.Op != plan.Adopt && !ours {
		t.wrong = append(t.wrong, fmt.Sprintf("foreign write: %s, but the object has %s", r, a.Ref))
	}
	if a.Protected != "" && (c.Op == plan.Suspend || c.Op == plan.Delete || c.Op == plan.Adopt) {
		t.wrong = append(t.wrong, fmt.Sprintf("protected: %s", r))
	}
	if c.Op == plan.Restore && a.Suspender == plan.Else {
		t.wrong = append(t.wrong, fmt.Sprintf("a suspension of another party is lifted: %s", r))
	}
	if c.Op == plan.RemoveMember {
		if m := t.accounts[c.MemberRemoteID]; m != nil && !m.Anchored() && m.deleted.IsZero() {
			t.wrong = append(t.wrong, fmt.Sprintf("a foreign member is removed: %s", r))
		}
	}
}

// taken reports whether another live object has the address.
func (t *tenant) taken(address, except string) bool {
	for id, a := range t.accounts {
		if id != except && a.deleted.IsZero() && a.Address == address {
			return true
		}
	}
	return false
}

func (t *tenant) create(r *request) (string, error) {
	c := &r.change
	for id, a := range t.accounts {
		if a.deleted.IsZero() && a.Ref == c.Ref && a.Address == c.Address {
			return id, nil
		}
	}
	if t.taken(c.Address, "") {
		return "", fault.Errorf(fault.Conflict, "%s is taken", c.Address)
	}
	if strings.HasPrefix(c.Address, refusedName) {
		return "", fault.Errorf(fault.Refused, "%s: the value is invalid", c.Address)
	}
	t.next++
	a := &account{Object: plan.Object{Ref: c.Ref, RemoteID: fmt.Sprintf("r%03d", t.next), Active: true},
		born: time.Now()}
	if c.Kind == directory.Group {
		a.members = map[string]bool{}
	}
	t.twin(r, a)
	t.accounts[a.RemoteID] = a
	return a.RemoteID, t.effect(r, a)
}

// twin notes a second account of one person.
func (t *tenant) twin(r *request, fresh *account) {
	soul, known := t.past.soul(fresh.Ref)
	for _, a := range t.accounts {
		if a == fresh || !a.Anchored() || a.Kind != fresh.Kind {
			continue
		}
		other, _ := t.past.soul(a.Ref)
		same := a.ID == fresh.ID || known && a.Kind == directory.User && soul == other &&
			t.past.told(t.owned(a), r.copied)
		restorable := !a.deleted.IsZero() && time.Since(a.deleted) < undeleteWithin-time.Hour &&
			a.Kind == directory.User
		if same && (a.deleted.IsZero() || restorable && a.ID == fresh.ID) {
			t.wrong = append(t.wrong, fmt.Sprintf("twin: %s beside %s (%s)", r, a.RemoteID, a.Ref))
		}
	}
}

// owned describes the account of a person.
func (t *tenant) owned(a *account) *owned {
	soul, _ := t.past.soul(a.Ref)
	return &owned{soul: soul, id: a.ID, address: a.Address, numbered: a.born.After(t.forgot)}
}

func (t *tenant) undelete(r *request, a *account) (string, error) {
	if time.Since(a.deleted) > undeleteWithin || t.taken(a.Address, a.RemoteID) {
		return "", fault.Errorf(fault.Conflict, "%s cannot be brought back", a.Address)
	}
	a.deleted, a.Active, a.Suspender = time.Time{}, true, plan.Nobody
	if r.change.Inactive {
		a.Active, a.Suspender = false, plan.Us
		if !t.marks {
			a.Suspender = plan.Unknown
		}
	}
	t.twin(r, a)
	return a.RemoteID, t.effect(r, a)
}

// effect changes the object.
func (t *tenant) effect(r *request, a *account) error {
	c, before := &r.change, t.picture(a)
	was := t.activeAs(a)
	if c.Op == plan.Create || c.Op == plan.Undelete {
		was = directory.Ref{}
	}
	if c.Address != "" && a.Kind == c.Kind && !c.Op.Membership() && c.Op != plan.Suspend && c.Op != plan.Delete {
		if t.taken(c.Address, a.RemoteID) {
			return fault.Errorf(fault.Conflict, "%s is taken", c.Address)
		}
		a.Address = c.Address
	}
	soul, person := t.past.soul(a.Ref)
	switch c.Op {
	case plan.AddMember:
		a.members[c.MemberRemoteID] = true
	case plan.RemoveMember:
		if m := t.accounts[c.MemberRemoteID]; m != nil && a.members[c.MemberRemoteID] {
			if soul, ok := t.past.soul(m.Ref); ok {
				r.took, r.of = fmt.Sprint("member ", a.ID, " ", soul), *t.owned(m)
			}
		}
		delete(a.members, c.MemberRemoteID)
	case plan.Suspend:
		if person && a.Active {
			r.took, r.of = fmt.Sprint("active ", soul), *t.owned(a)
		}
		if a.Active {
			a.Active, a.Suspender = false, plan.Us
			if !t.marks {
				a.Suspender = plan.Unknown
			}
		}
	case plan.Restore:
		a.Active, a.Suspender = true, plan.Nobody
	case plan.Delete:
		if person {
			r.took, r.of = fmt.Sprint("active ", soul), *t.owned(a)
		}
		a.deleted = time.Now()
		for _, g := range t.accounts {
			delete(g.members, a.RemoteID)
		}
	case plan.Adopt, plan.Reanchor:
		a.Ref = c.Ref
	case plan.Create, plan.Update, plan.Undelete:
	}
	for _, f := range c.Fields {
		if f.Name != plan.AddressField {
			a.Fields = a.Fields.Set(f.Name, f.After...)
		}
	}
	r.made = t.picture(a) != before
	if now := t.activeAs(a); now != was {
		r.gave = now
	}
	return nil
}

// activeAs returns the user of an active account.
func (t *tenant) activeAs(a *account) (ref directory.Ref) {
	if a.Active && a.Anchored() && a.Kind == directory.User {
		return a.Ref
	}
	return ref
}

func (t *tenant) picture(a *account) string {
	return fmt.Sprintf("%s %s active=%v by=%d %v %v %v", a.Ref, a.Address, a.Active, a.Suspender, a.Fields,
		slices.Sorted(maps.Keys(a.members)), a.deleted)
}
