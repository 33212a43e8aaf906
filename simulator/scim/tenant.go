package scim

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/simulator/fault"
)

// Tenant is one tenant of the service. It is safe for concurrent use.
type Tenant struct {
	cfg Config

	mu            sync.RWMutex
	users, groups *kind
	seq           uint64
	byID          map[string]*record
	lists         map[*kind][]*record            // in the order of creation
	userNames     map[string]int                 // how many users have a name in lower case
	memberOf      map[string]map[string]struct{} // member id to group ids

	auth   tokenStore
	quota  quotaState
	faults fault.Set
	calls  callLog
}

// record is a resource.
type record struct {
	kind    *kind
	id      string
	seq     uint64
	attrs   map[string]any // by canonical names, extensions under their URNs
	members map[string]memberRef
	version uint64
	// foreign is set for resources that an administrator created.
	foreign           bool
	created, modified time.Time
}

// memberRef is a member of a group.
type memberRef struct {
	seq  uint64
	kind string
	// again counts further additions, where the tenant shows them.
	again int
}

// New returns an empty tenant.
func New(cfg Config) *Tenant {
	cfg.setDefaults()
	t := &Tenant{cfg: cfg, byID: map[string]*record{}, lists: map[*kind][]*record{}, userNames: map[string]int{},
		memberOf: map[string]map[string]struct{}{}}
	t.users, t.groups = newKinds(cfg.Extensions)
	t.quota.set(cfg.Quota)
	t.faults.Seed, t.faults.SignIn = cfg.Seed, TokenMethod
	t.faults.Inject(cfg.Faults...)
	t.calls.keep = cfg.CallLog
	return t
}

// Behave changes the deviations of the tenant.
func (t *Tenant) Behave(b Behaviours) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cfg.Behaviours = b
}

// Inject adds faults. Each begins to count matching calls now.
func (t *Tenant) Inject(faults ...Fault) { t.faults.Inject(faults...) }

// ClearFaults removes all faults.
func (t *Tenant) ClearFaults() { t.faults.Clear() }

func (t *Tenant) next() uint64 {
	t.seq++
	return t.seq
}

// newID returns an id that looks random and repeats with the seed.
func (t *Tenant) newID(seq uint64) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%d", t.cfg.Seed, seq))
	s := hex.EncodeToString(sum[:16])
	if t.cfg.Behaviours.OddIDs {
		return "größe/" + s[:8]
	}
	return strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
}

// add stores a new resource.
func (t *Tenant) add(k *kind, attrs map[string]any, foreign bool) *record {
	seq, now := t.next(), t.cfg.Now()
	r := &record{kind: k, id: t.newID(seq), seq: seq, attrs: attrs, version: 1, foreign: foreign, created: now,
		modified: now}
	if k == t.groups {
		r.members = map[string]memberRef{}
	}
	t.byID[r.id] = r
	t.lists[k] = append(t.lists[k], r)
	t.count(r, 1)
	return r
}

// count keeps the index of names.
func (t *Tenant) count(r *record, n int) {
	if name, ok := r.attrs["userName"].(string); ok && r.kind == t.users {
		t.userNames[strings.ToLower(name)] += n
	}
}

// remove deletes a resource and its memberships.
func (t *Tenant) remove(r *record) {
	delete(t.byID, r.id)
	list := t.lists[r.kind]
	if i := slices.Index(list, r); i >= 0 {
		t.lists[r.kind] = slices.Delete(list, i, i+1)
	}
	t.count(r, -1)
	for group := range t.memberOf[r.id] {
		if g := t.byID[group]; g != nil {
			delete(g.members, r.id)
			t.touch(g, false)
		}
	}
	delete(t.memberOf, r.id)
	for member := range r.members {
		delete(t.memberOf[member], r.id)
	}
}

// touch gives a resource a new version. attributes reports whether more than members changed.
func (t *Tenant) touch(r *record, attributes bool) {
	if !attributes && t.cfg.Behaviours.FrozenVersion {
		return
	}
	r.version++
	r.modified = t.cfg.Now()
}

// set replaces the attributes of a resource.
func (t *Tenant) set(r *record, attrs map[string]any) {
	t.count(r, -1)
	r.attrs = attrs
	t.count(r, 1)
}

// join makes a resource a member of a group, and reports whether that changed something.
func (t *Tenant) join(g *record, id string) bool {
	if m, is := g.members[id]; is {
		if t.cfg.Behaviours.RepeatMembers {
			m.again++
			g.members[id] = m
		}
		return t.cfg.Behaviours.RepeatMembers
	}
	m := memberRef{seq: t.next(), kind: "User"}
	if o := t.byID[id]; o != nil {
		m.kind = o.kind.name
	}
	g.members[id] = m
	if t.memberOf[id] == nil {
		t.memberOf[id] = map[string]struct{}{}
	}
	t.memberOf[id][g.id] = struct{}{}
	return true
}

// leave ends a membership, and reports whether there was one.
func (t *Tenant) leave(g *record, id string) bool {
	if _, is := g.members[id]; !is {
		return false
	}
	delete(g.members, id)
	delete(t.memberOf[id], g.id)
	return true
}

// memberIDs returns the members of a group in the order in which they joined, each as often as it is shown.
func (r *record) memberIDs() []string {
	ids := make([]string, 0, len(r.members))
	for id, m := range r.members {
		ids = append(ids, slices.Repeat([]string{id}, 1+m.again)...)
	}
	slices.SortFunc(ids, func(a, b string) int { return int(r.members[a].seq) - int(r.members[b].seq) })
	return ids
}

// quotaError is the refusal of a call beyond the quota, in the form of the tenant.
func (t *Tenant) quotaError(after time.Duration) *apiError {
	b := t.cfg.Behaviours
	e := refusal(429, "", "Too many requests.")
	e.retryAfter = after
	switch {
	case b.ForbiddenQuota:
		e.status, e.detail, e.retryAfter = 403, "API rate limit exceeded.", 0
		e.header = map[string][]string{
			"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(t.cfg.Now().Add(after).Unix() + 1)},
		}
	case b.UnavailableQuota:
		e.status = 503
	}
	return e
}
