package entra_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/simulator/graph"
)

// trouble returns the faults of one seed. They are refused requests and items, lost connections, lost answers after
// the work was done, and replicas that lag behind.
func trouble(r *rand.Rand) (faults []graph.Fault, lag graph.Consistency) {
	some := func() float64 { return r.Float64() * 0.12 }
	faults = []graph.Fault{
		{Scope: graph.InBatch, Probability: some(), Effect: graph.Refuse, Status: http.StatusTooManyRequests,
			RetryAfter: 2128 * time.Millisecond},
		{Scope: graph.Alone, Probability: some(), Effect: graph.Refuse, Status: http.StatusTooManyRequests,
			RetryAfter: 3 * time.Second},
		{Probability: some(), Effect: graph.Refuse, Status: []int{500, 502, 503, 504}[r.IntN(4)]},
		{Probability: some(), Effect: graph.Drop},
		{Probability: some(), Effect: graph.LoseAnswer},
		{Probability: some() / 2, Effect: graph.TruncateAnswer},
		{Method: "groups.update", Probability: some(), Effect: graph.Refuse, Status: http.StatusConflict},
		{Method: "*.delta", Probability: some() / 2, Effect: graph.Refuse, Status: http.StatusGone},
	}
	r.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
	if r.IntN(2) == 0 {
		lag = graph.Consistency{Create: time.Duration(r.IntN(20)) * time.Second,
			Read: time.Duration(r.IntN(20)) * time.Second}
	}
	return faults, lag
}

// gateway answers one of fifty requests with a page of its own. Half of these reach Graph all the same.
func gateway(seed uint64) func(http.Handler) http.Handler {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 13))
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			mu.Lock()
			spoilt, passed, status := r.IntN(50) == 0, r.IntN(2) == 0, []int{400, 403, 404, 410}[r.IntN(4)]
			mu.Unlock()
			switch {
			case !spoilt || !strings.HasPrefix(req.URL.Path, "/v1.0/"):
				next.ServeHTTP(w, req)
				return
			case passed:
				next.ServeHTTP(httptest.NewRecorder(), req)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, "<html><body>This page is not available.</body></html>")
		})
	}
}

// TestChaos checks that the end state does not depend on faults. Each person has one account, and every group has its
// members.
func TestChaos(t *testing.T) {
	t.Parallel()
	seeds := 50
	if testing.Short() {
		seeds = 5
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(uint64(seed), 7))
			s := setup{caller: patient(4), unchecked: seed%5 > 0,
				tenant: graph.Config{Seed: uint64(seed), DeltaPage: 20, DeltaMembers: 30, EmptyPages: seed%5 > 2}}
			if seed%2 > 0 {
				s.wrap = gateway(uint64(seed))
			}
			h := openHop(t, s)
			boss, err := h.tenant.AddUser(graph.User{UserPrincipalName: "admin@example.com"})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.tenant.SetAdmin(boss.ID, graph.GlobalAdministrator); err != nil {
				t.Fatal(err)
			}
			if r.IntN(3) > 0 {
				h.tenant.SetQuota(graph.Quota{Writes: 400 + r.IntN(600), ResourceUnits: 3500, Fractional: true})
			}
			faults, lag := trouble(r)
			h.tenant.SetConsistency(lag)
			for phase, change := range life() {
				change(h)
				h.tenant.Inject(faults...)
				h.converge(r, phase)
				h.tenant.ClearFaults()
			}
			if n := h.tenant.Calls().ByMethod["members.destroy"]; n != (graph.Count{}) {
				t.Errorf("%+v requests to DELETE without /$ref, which deletes the member itself", n)
			}
		})
	}
}

// life returns the changes of a company over time.
func life() []func(*hop) {
	staff := company(60, 8, 15)
	away := staff[7:12]
	return []func(*hop){
		func(h *hop) { h.people.set(staff) },
		func(h *hop) { // leavers, disabled people, new names, a new group, and moves
			next := slices.Concat(staff[:7], staff[12:])
			for i := range next {
				e := &next[i]
				switch {
				case e.Kind == directory.User && i%11 == 3:
					e.Active = false
				case e.Kind == directory.User && i%13 == 5:
					e.Attributes = e.Attributes.Clone().Set(directory.Mail, fmt.Sprintf("renamed%d@example.com", i))
				case e.Kind == directory.Group && i%2 == 0:
					e.Members = slices.Concat(e.Members[3:], []directory.Ref{user(id(1)), user(id(2))})
					slices.SortFunc(e.Members, directory.Ref.Compare)
					e.Members = slices.Compact(e.Members)
				}
			}
			h.people.set(append(next, person(70), person(71), crew(20, 1, 2, 3, 70, 71)))
		},
		func(h *hop) { h.clock.Advance(26 * time.Hour) }, // The leavers are deleted.
		func(h *hop) { // Some leavers come back.
			h.people.set(slices.Concat(h.people.entries, away[:3]))
		},
		func(h *hop) { h.people.set(staff) },
	}
}

func (p *people) set(entries []directory.Entry) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.entries = slices.Clone(entries)
	for i := range p.entries { // A missing person is not a member of any group.
		e := &p.entries[i]
		e.Members = slices.DeleteFunc(slices.Clone(e.Members), func(m directory.Ref) bool {
			return !slices.ContainsFunc(p.entries, func(e directory.Entry) bool { return e.Ref() == m })
		})
	}
}

// converge runs until nothing is left to do, with other processes in between, and compares the tenant with the
// directory.
func (h *hop) converge(r *rand.Rand, phase int) {
	h.t.Helper()
	for range 40 {
		if r.IntN(4) == 0 {
			h.restart()
		}
		report, err := h.run()
		h.clock.Advance(time.Duration(20+r.IntN(60)) * time.Second)
		if err == nil && len(report.Apply.Changes) == 0 && h.settled() == "" {
			return
		}
	}
	h.t.Fatalf("phase %d: no end: %s\n%q", phase, h.settled(), h.said.errors[max(0, len(h.said.errors)-5):])
}

// settled compares the tenant with the directory. The result is empty if they agree.
func (h *hop) settled() string {
	h.people.mu.Lock()
	defer h.people.mu.Unlock()
	want, got := map[string]string{"admin@example.com": "active"}, map[string]string{}
	anchors, address := map[string]int{}, map[string]string{}
	for i := range h.people.entries {
		e := &h.people.entries[i]
		if e.Kind == directory.User && e.Active {
			address[string(e.ID)] = e.Attributes.Get(directory.Mail)
			want[address[string(e.ID)]] = state(true)
		}
	}
	for _, u := range h.tenant.Users() {
		got[u.UserPrincipalName] += state(!u.Disabled)
		anchors[u.OnPremisesImmutableID]++
	}
	for _, u := range h.tenant.DeletedUsers() {
		anchors[u.OnPremisesImmutableID]++
	}
	for _, n := range anchors {
		if n > 1 {
			return fmt.Sprintf("somebody has %d accounts", n)
		}
	}
	// The account of a leaver or a disabled entry is suspended until its time has come. It is neither added to groups
	// nor removed.
	for upn, s := range got {
		if _, wanted := want[upn]; !wanted && s == state(false) {
			delete(got, upn)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "users (-want +got):\n" + diff
	}
	return h.groupsSettled(address)
}

func (h *hop) groupsSettled(address map[string]string) string {
	want, got := map[string][]string{}, map[string][]string{}
	for i := range h.people.entries {
		if e := &h.people.entries[i]; e.Kind == directory.Group {
			want[string(e.ID)] = []string{}
			for _, m := range e.Members {
				if who, active := address[string(m.ID)]; active {
					want[string(e.ID)] = append(want[string(e.ID)], who)
				}
			}
			slices.Sort(want[string(e.ID)])
		}
	}
	for _, g := range h.tenant.Groups() {
		id := g.UniqueName[len("rollcall-"):]
		if _, wanted := want[id]; !wanted {
			continue
		}
		if got[id] != nil {
			return "there are two groups " + id
		}
		got[id] = []string{}
		for _, m := range h.tenant.Members(g.ID) {
			if u, _ := h.tenant.User(m); !u.Disabled {
				got[id] = append(got[id], u.UserPrincipalName)
			}
		}
		slices.Sort(got[id])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "members (-want +got):\n" + diff
	}
	return ""
}

func state(active bool) string {
	if active {
		return "active"
	}
	return "suspended"
}
