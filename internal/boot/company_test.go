package boot_test

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"rollcall/container"
	"rollcall/internal/boot"
	"rollcall/internal/config"
	"rollcall/internal/slapdtest"
	"rollcall/jobs"
	"rollcall/plan"
	port "rollcall/provider"
	"rollcall/reconcile"
	google "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
)

// colleague is a person of a company with days.
type colleague struct {
	n               int
	sn, mail, title string
	locked, away    bool
}

// company is a directory whose days pass, with both tenants behind it. Redis is miniredis, whose clock is moved. The
// tenants show the same time.
type company struct {
	*testing.T
	*rand.Rand
	dir    string
	redis  *miniredis.Miniredis
	days   atomic.Int64
	office *office // its tenants and directory
	cfg    *config.Config

	people []*colleague
	teams  [][]int // the members by their number
}

func newCompany(t *testing.T, r *rand.Rand, people int) *company {
	t.Helper()
	c := &company{T: t, Rand: r, dir: t.TempDir(), redis: miniredis.RunT(t)}
	o := &office{TB: t, dir: c.dir, tenant: google.New(google.Config{Key: serviceKey(), Domains: []string{domain}}),
		graph: graph.New(graph.Config{Domains: []string{domain}})}
	c.office = o
	const boss = "boss@" + domain
	if _, err := o.graph.AddUser(graph.User{UserPrincipalName: boss}); err != nil {
		t.Fatal(err)
	}
	if err := o.graph.SetAdmin(boss, graph.GlobalAdministrator); err != nil {
		t.Fatal(err)
	}
	googleServer := httptest.NewServer(c.dated(o.tenant.Handler()))
	t.Cleanup(googleServer.Close)
	graphServer := authority().Start(c.dated(o.graph.Handler()))
	t.Cleanup(graphServer.Close)
	key, err := o.tenant.CredentialsJSON(googleServer.URL)
	if err != nil {
		t.Fatal(err)
	}
	for range people {
		c.join()
	}
	size := min(25, people/4) // There are at least four teams.
	for g := range people / size {
		c.teams = append(c.teams, nil)
		for i := range size {
			c.teams[g] = append(c.teams[g], g*size+i)
		}
	}
	text := fmt.Sprintf(officeConfiguration, "file://"+filepath.Join(c.dir, "people.ldif"), "", googleServer.URL, "",
		o.graph.TenantID(), o.graph.ClientID(), graphServer.URL, "")
	for name, content := range map[string]string{"rollcall.yaml": text, "google.json": string(key),
		"secret": o.graph.ClientSecret(), "ca.pem": string(authority().CA)} {
		write(t, filepath.Join(c.dir, name), content)
	}
	c.save()
	if c.cfg, _, err = config.Load(filepath.Join(c.dir, "rollcall.yaml"), config.Options{}); err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	var ticking sync.WaitGroup
	ticking.Go(func() { c.tick(end) })
	t.Cleanup(func() { close(end); ticking.Wait() })
	return c
}

// dayLong is the time between the syncs of two days. What a day spent of a limit counts until the end of its minute.
const dayLong = 24*time.Hour + 2*time.Minute

// now is the time of Redis and of the tenants.
func (c *company) now() time.Time { return time.Now().Add(time.Duration(c.days.Load()) * dayLong) }

// tick keeps the clock of Redis going.
func (c *company) tick(end <-chan struct{}) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c.redis.SetTime(c.now())
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// dated has a tenant show the time.
func (c *company) dated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", c.now().UTC().Format(http.TimeFormat))
		next.ServeHTTP(w, r)
	})
}

func (c *company) join() {
	n := len(c.people)
	uid := fmt.Sprintf("p%05d", n)
	c.people = append(c.people, &colleague{n: n, sn: "Last" + uid, mail: uid + "@" + domain, title: "Engineer"})
}

func (p *colleague) active() bool { return !p.locked && !p.away }

func (p *colleague) dn() string { return fmt.Sprintf("uid=p%05d,%s", p.n, slapdtest.People) }

// save writes the directory. A team has those of its members who are there.
func (c *company) save() {
	c.Helper()
	var b strings.Builder
	b.WriteString(tree)
	for _, p := range c.people {
		if p.away {
			continue
		}
		uid := fmt.Sprintf("p%05d", p.n)
		pairs := []string{"objectClass", "inetOrgPerson", "entryUUID", slapdtest.UUID(p.n), "uid", uid, "cn", "Pat " + p.sn,
			"givenName", "Pat", "sn", p.sn, "mail", p.mail, "title", p.title}
		if p.locked {
			pairs = append(pairs, "nsAccountLock", "TRUE")
		}
		b.WriteString(slapdtest.Entry(p.dn(), pairs...))
	}
	for g, members := range c.teams {
		pairs := []string{"objectClass", "groupOfNames", "entryUUID", slapdtest.UUID(slapdtest.GroupUUIDs + g), "cn",
			fmt.Sprintf("team%03d", g)}
		for _, n := range members {
			if p := c.people[n]; !p.away {
				pairs = append(pairs, "member", p.dn())
			}
		}
		b.WriteString(slapdtest.Entry(slapdtest.GroupDN(g), pairs...))
	}
	c.office.replace(b.String())
}

// pick returns a person who works here.
func (c *company) pick() *colleague {
	for {
		if p := c.people[c.IntN(len(c.people))]; p.active() {
			return p
		}
	}
}

// live lets an ordinary day pass: of a company of 1,000, 2 % of the people come or go in a month. Some marry, move to
// another team or come back.
func (c *company) live(day int) {
	for _, p := range c.people { // Returns, of the locked and of those who were removed.
		if !p.active() && c.IntN(30) == 0 {
			p.locked, p.away = false, false
		}
	}
	odds := max(3, 600/len(c.people)) // A company of 20 has one of each in a month.
	times := max(1, len(c.people)/1000)
	for range times {
		if c.IntN(odds) == 0 {
			c.join()
			team := c.IntN(len(c.teams))
			c.teams[team] = append(c.teams[team], len(c.people)-1)
		}
		if c.IntN(odds) > 0 {
			continue
		}
		if p := c.pick(); c.IntN(2) == 0 {
			p.locked = true
		} else {
			p.away = true
		}
	}
	for range c.IntN(3) {
		p := c.pick()
		p.sn, p.mail = fmt.Sprintf("Married%d", day), fmt.Sprintf("m%d-p%05d@%s", day, p.n, domain)
	}
	for range c.IntN(3) {
		from, to := c.IntN(len(c.teams)), c.IntN(len(c.teams))
		if len(c.teams[from]) < 2 || from == to {
			continue
		}
		n := c.teams[from][0]
		c.teams[from] = slices.Clone(c.teams[from][1:])
		if !slices.Contains(c.teams[to], n) {
			c.teams[to] = append(c.teams[to], n)
		}
		c.people[n].title = fmt.Sprintf("Engineer %d", day)
	}
}

// sync lets the given number of days pass and syncs everything. It returns the reports by container. approved are the
// fingerprints of approved changes.
func (c *company) sync(days int, approved map[string]plan.Verdict) map[container.ID]reconcile.Report {
	c.Helper()
	c.save()
	c.days.Add(int64(days))
	c.redis.SetTime(c.now())
	c.redis.FastForward(time.Duration(days) * dayLong)
	// The process is a new one every day.
	app, err := boot.With(c.Context(), config.Process{RedisURL: boot.Embedded + c.redis.Addr()}, c.cfg, os.Getenv,
		slog.New(slog.DiscardHandler))
	if err != nil {
		c.Fatal(err)
	}
	defer app.Close()
	all, err := app.Containers()
	if err != nil {
		c.Fatal(err)
	}
	out := map[container.ID]reconcile.Report{}
	for i := range all {
		name := all[i].Name
		run := reconcile.Run{ID: fmt.Sprintf("run-%d", c.days.Load()), Scope: reconcile.Full(), Lease: freeLease{},
			Memory: approving{jobs.NewMemory(app.Decisions, name), approved}, Journal: journal{c.T, name}}
		report, err := all[i].Engine().Execute(c.Context(), run)
		if err != nil || report.Failed > 0 {
			c.Fatalf("day %d: the run of %s: %d failed, %v", c.days.Load(), name, report.Failed, err)
		}
		out[name] = report
	}
	return out
}

// holdsNothing fails the test if anything waits, or if a tenant has another state than the directory.
func (c *company) holdsNothing(reports map[container.ID]reconcile.Report) {
	c.Helper()
	for name, r := range reports {
		for _, held := range r.Held.Changes {
			c.Errorf("day %d: %s holds %s of %s: %s", c.days.Load(), name, held.Op, held.Label, held.Held)
		}
		for _, held := range r.Apply.Held {
			c.Errorf("day %d: %s has a conflict: %s: %s", c.days.Load(), name, held.Label, held.Detail)
		}
	}
	want := map[string]bool{}
	for _, p := range c.people {
		if p.active() {
			want[p.mail] = true
		}
	}
	googles, graphs := map[string]bool{}, map[string]bool{}
	for _, u := range c.office.tenant.Users() {
		if !u.Suspended && !u.IsAdmin {
			googles[u.PrimaryEmail] = true
		}
	}
	for _, u := range c.office.graph.Users() {
		if !u.Disabled && !strings.HasPrefix(u.UserPrincipalName, "boss@") {
			graphs[u.UserPrincipalName] = true
		}
	}
	if !maps.Equal(googles, want) || !maps.Equal(graphs, want) {
		c.Errorf("day %d: %d people are active, %d at Google and %d at Entra", c.days.Load(), len(want), len(googles),
			len(graphs))
	}
	if c.Failed() {
		c.FailNow()
	}
}

// freeLease is the lease of a process that is alone.
type freeLease struct{}

func (freeLease) Check(ctx context.Context) error { return ctx.Err() }
func (freeLease) Lock(ctx context.Context, _ string) (func(), bool, error) {
	return func() {}, true, ctx.Err()
}
func (freeLease) Draining() <-chan struct{} { return nil }

// approving is a memory in which a person has approved changes.
type approving struct {
	reconcile.Memory
	verdicts map[string]plan.Verdict
}

func (a approving) Load(ctx context.Context) (reconcile.Remembered, error) {
	r, err := a.Memory.Load(ctx)
	r.Verdicts = a.verdicts
	return r, err
}

// journal discards what a run says.
type journal struct {
	*testing.T
	name container.ID
}

func (journal) Read(int, int, int)                                  {}
func (journal) Planned(context.Context, plan.Plan, plan.Plan) error { return nil }
func (journal) Applied(*reconcile.Report, error)                    {}
func (journal) Say(reconcile.Level, string, map[string]any)         {}
func (j journal) Done(c *plan.Change, r port.Result) {
	if r.Err != nil {
		j.Errorf("%s: %s of %s: %v", j.name, c.Op, c.Label, r.Err)
	}
}
