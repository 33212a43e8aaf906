package boot_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/internal/redistest"
	"rollcall/internal/secret"
	"rollcall/internal/slapdtest"
	"rollcall/ledger"
	"rollcall/mapping"
	"rollcall/plan"
	port "rollcall/provider"
	"rollcall/reconcile"
	"rollcall/source/ldap"
	"rollcall/status"
)

// firstHop is a directory with its local copy, and the engine between them.
type firstHop struct {
	testing.TB
	ldap   *slapdtest.Server
	src    *ldap.Source
	local  *store.Reader
	follow *ledger.Redis
	engine *reconcile.Engine
	lease  reconcile.Lease
	said   *messages
}

// messages is a journal that keeps what is said.
type messages struct {
	mu    sync.Mutex
	lines []string
	plan  plan.Plan
}

func (m *messages) Read(int, int, int)               {}
func (m *messages) Done(*plan.Change, port.Result)   {}
func (m *messages) Applied(*reconcile.Report, error) {}
func (m *messages) Planned(_ context.Context, apply, _ plan.Plan) error {
	m.plan = apply
	return nil
}

func (m *messages) Say(_ reconcile.Level, event string, _ map[string]any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lines = append(m.lines, event)
}

func newFirstHop(t testing.TB, o slapdtest.Options, settings ...func(*ldap.Config)) *firstHop {
	t.Helper()
	h := &firstHop{TB: t, ldap: slapdtest.Start(t, o), said: &messages{}}
	rdb := redistest.Start(t)
	c := ldap.DefaultConfig()
	c.Slug, c.ServerURI, c.BaseDN = "corp", h.ldap.URL, slapdtest.Suffix
	c.BindCN, c.BindPasswordFile = slapdtest.Reader, secret.File(h.ldap.ReaderPasswordFile)
	c.AdditionalUserDN, c.AdditionalGroupDN = "ou=people", "ou=groups"
	c.UserObjectFilter = "(&(objectClass=inetOrgPerson)(!(employeeType=robot)))"
	for _, set := range settings {
		set(&c)
	}
	src, err := ldap.New(c, []string{"title"}, ldap.Options{})
	if err != nil {
		t.Fatal(err)
	}
	part, links := store.New(store.Config{Redis: rdb, Slug: "corp", Now: time.Now}), ledger.NewRedis(rdb, string(corp))
	h.src, h.local, h.follow = src, store.NewReader(part), ledger.NewRedis(rdb, string(workspace))
	h.lease = status.New(rdb, status.Config{}).Unleased(corp, nil)
	h.engine = reconcile.New(reconcile.Config{
		Source: src, Provider: part, Ledger: links, Container: string(corp), Local: h.local, Pending: links,
		Followers: []reconcile.Follower{{Pending: h.follow}}, Limits: plan.Limits{DayLimits: plan.DayLimits{}},
		Desire: func(s directory.Snapshot, _ plan.State) (mapping.Result, error) {
			return mapping.Result{Desired: store.Desired(s)}, nil
		},
	})
	return h
}

// run carries out one run.
func (h *firstHop) run(s reconcile.Scope) reconcile.Report {
	h.Helper()
	h.said.lines = nil
	report, err := h.engine.Execute(h.Context(), reconcile.Run{ID: fmt.Sprint(time.Now().UnixNano()), Scope: s,
		Lease:   h.lease,
		Journal: h.said})
	if err != nil {
		h.Fatal(err)
	}
	return report
}

// copied returns the local directory, without what a live read does not have.
func (h *firstHop) copied() []directory.Entry {
	h.Helper()
	snap, err := h.local.Read(h.Context(), directory.Query{})
	if err != nil {
		h.Fatal(err)
	}
	return snap.Entries
}

// same compares the local directory with a full read of the source.
func (h *firstHop) same(after string) {
	h.Helper()
	live, err := h.src.Read(h.Context(), directory.Query{})
	if err != nil {
		h.Fatal(err)
	}
	if diff := cmp.Diff(live.Entries, h.copied(), cmpopts.EquateEmpty()); diff != "" {
		h.Fatalf("after %s, the directory (-) and the local copy (+) differ:\n%s\nsaid: %s", after, diff,
			strings.Join(h.said.lines, "\n"))
	}
}

// mutator changes a directory at random.
type mutator struct {
	*firstHop
	r      *rand.Rand
	people []string // DNs
	next   int
	// backlinks is set where people name their groups in seeAlso.
	backlinks bool
}

const away = "ou=services," + slapdtest.Suffix

// step makes one change and says which.
func (m *mutator) step() string {
	i := m.r.IntN(len(m.people))
	dn := m.people[i]
	rdn, parent, _ := strings.Cut(dn, ",")
	group := slapdtest.GroupDN(m.r.IntN(3))
	m.next++
	if m.backlinks && m.r.IntN(3) == 0 {
		values := []string{group, slapdtest.GroupDN(m.r.IntN(3)), "cn=elsewhere," + slapdtest.Groups}[m.r.IntN(3):]
		m.ldap.Set(m, dn, "seeAlso", slices.Compact(values)...)
		return "the groups that " + dn + " names"
	}
	switch m.r.IntN(10) {
	case 0:
		m.ldap.Set(m, dn, "title", fmt.Sprintf("Title %d", m.next))
		return "a title of " + dn
	case 1:
		m.ldap.Set(m, dn, "employeeType", []string{"robot", "human", "human"}[m.r.IntN(3)])
		return "the type of " + dn
	case 2:
		to := fmt.Sprintf("uid=renamed%d", m.next)
		m.ldap.Rename(m, dn, to, "")
		m.people[i] = to + "," + parent
		return "the name of " + dn
	case 3:
		to := []string{away, slapdtest.People, "ou=unit," + slapdtest.People}[m.r.IntN(3)]
		if to != parent {
			m.ldap.Rename(m, dn, rdn, to)
			m.people[i] = rdn + "," + to
		}
		return "a move of " + dn + " to " + to
	case 4:
		if len(m.people) > 30 {
			m.ldap.Delete(m, dn)
			m.people = slices.Delete(m.people, i, i+1)
		}
		return "the deletion of " + dn
	case 5:
		name := fmt.Sprintf("new%d", m.next)
		dn = "uid=" + name + "," + slapdtest.People
		m.ldap.Add(m, dn, "objectClass", "inetOrgPerson", "uid", name, "cn", name, "sn", name, "mail", name+"@example.org")
		m.people = append(m.people, dn)
		return "the arrival of " + dn
	case 6: // Groups also list DNs that do not exist yet, or no longer.
		m.ldap.Set(m, group, "member", dn, m.people[m.r.IntN(len(m.people))]+"x", fmt.Sprintf("uid=new%d,%s", m.next+1,
			slapdtest.People))
		return "the members of " + group
	case 7:
		m.ldap.Set(m, group, "member", dn)
		return "the only member of " + group
	case 8:
		m.ldap.Set(m, group, "description", fmt.Sprint(m.next))
		return "the description of " + group
	}
	m.ldap.Rename(m, "ou=unit,"+slapdtest.People, "ou=unit", slapdtest.People) // The same name: a change of the container.
	return "the container"
}

// Any sequence of changes that is followed by delta runs leaves the same local directory as one full run.
func TestDeltaRunsEndLikeOneFullRun(t *testing.T) {
	t.Parallel()
	deltasEndLikeOneFullRun(t, false)
}

// The same holds where people name their groups, beside groups that list some of their members.
func TestDeltaRunsEndLikeOneFullRunWherePeopleNameTheirGroups(t *testing.T) {
	t.Parallel()
	deltasEndLikeOneFullRun(t, true)
}

func deltasEndLikeOneFullRun(t *testing.T, backlinks bool) {
	t.Helper()
	unit := slapdtest.Entry("ou=unit,"+slapdtest.People, "objectClass", "organizationalUnit", "ou", "unit")
	h := newFirstHop(t, slapdtest.Options{LDIF: slapdtest.Generate(40, 3, 4) + unit, SyncProv: true, SessionLog: 1000},
		func(c *ldap.Config) {
			if backlinks {
				c.UserMembershipField = "seeAlso"
			}
		})
	m := &mutator{firstHop: h, r: rand.New(rand.NewPCG(1, uint64(len(unit)))), backlinks: backlinks}
	for n := range 40 {
		m.people = append(m.people, slapdtest.UserDN(n))
	}
	h.run(reconcile.Full())
	whole := 0
	for n := range 120 {
		var did []string
		for range 1 + m.r.IntN(3) {
			did = append(did, m.step())
		}
		if m.r.IntN(2) == 0 { // The fast lane was ahead.
			h.run(reconcile.Leaving())
		}
		report := h.run(reconcile.Changed())
		text := strings.Join(h.said.lines, "\n")
		if strings.Contains(text, "Everything is read") {
			whole++
		}
		if report.Owing != "" || !report.Held.Empty() {
			t.Fatalf("step %d, after %v: owing %q, held %v", n, did, report.Owing, text)
		}
		h.same(strings.Join(did, ", "))
		if n%10 == 9 {
			if report := h.run(reconcile.Full()); len(report.Apply.Changes) > 0 || report.Drift > 0 {
				t.Fatalf("step %d: the full run plans %d changes, drift %d", n, len(report.Apply.Changes), report.Drift)
			}
		}
	}
	if whole > 20 {
		t.Errorf("%d of 120 delta runs read everything, want few", whole)
	}
	if report := h.run(reconcile.Full()); len(report.Apply.Changes) > 0 || report.Drift > 0 {
		t.Errorf("the full run after it plans %d changes, drift %d", len(report.Apply.Changes), report.Drift)
	}
}

// A leaver who was sent ahead of the delta run leaves its groups with that run. OpenLDAP tells no change of a group
// when a member is deleted.
func TestALeaverSentAheadLeavesItsGroups(t *testing.T) {
	t.Parallel()
	h := newFirstHop(t, slapdtest.Options{LDIF: slapdtest.Generate(10, 1, 4), SyncProv: true, SessionLog: 1000})
	h.ldap.Set(t, slapdtest.GroupDN(0), "member", slapdtest.UserDN(1), slapdtest.UserDN(2))
	h.run(reconcile.Full())
	h.ldap.Delete(t, slapdtest.UserDN(1))
	if report := h.run(reconcile.Leaving()); len(report.Leavers) != 1 {
		t.Fatalf("leavers = %v, want one", report.Leavers)
	}
	report := h.run(reconcile.Changed())
	if n := len(report.Apply.Changes); n != 1 || report.Apply.Changes[0].Op != plan.RemoveMember {
		t.Errorf("the delta run plans %+v, want the removal from the group", report.Apply.Changes)
	}
	if report := h.run(reconcile.Full()); len(report.Apply.Changes) > 0 || report.Drift > 0 {
		t.Errorf("the full run plans %d changes, drift %d", len(report.Apply.Changes), report.Drift)
	}
}
