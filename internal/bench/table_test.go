package bench

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/explain"
	"rollcall/internal/slapdtest"
	simulator "rollcall/simulator/googleworkspace"
	"rollcall/status"
)

var (
	people = flag.Int("bench.people", 200, "how many people TestTable measures with")
	out    = flag.String("bench.out", "", "the page with the table to replace; none by default")
)

// trials is how often each figure is measured. The median is shown.
func trials() int {
	if *people < 1000 {
		return 1
	}
	return 5
}

// row is one line of the table.
type row struct{ what, measured, reference, goal string }

// TestTable measures the table of docs/performance.md with a real worker, redis-server and slapd, and simulated
// tenants. The short form only proves that everything can be measured, and checks the figures that no load can change.
func TestTable(t *testing.T) {
	users, groups := *people, *people/20
	l := newLab(t, users, groups, 20, 100_000, simulator.Quota{})
	empty := l.stored()
	rows := l.source()
	rows = append(rows, l.google(users, groups)...)
	memberships := groups * min(20, users)
	perPerson := func() string {
		return fmt.Sprintf("%.0f bytes a person", (l.stored()-empty-100*float64(memberships))/float64(users))
	}
	one := perPerson()
	rows = append(rows, l.single()...)
	rows = append(rows, l.delta(), l.entra(), l.everywhere(), l.idle(), l.apiMemory(),
		row{"Redis, all keys, one tenant", one, "besides 100 bytes a membership", ""},
		row{"Redis, all keys, both tenants", perPerson(), "the same", "1,500 bytes"},
		l.statuses(), l.enqueue(), contended(t), leavers(t))
	for _, workers := range []int{1, 4} {
		rows = append(rows, provisioning(t, "at Google's published limits", 10, workers))
	}
	rows = append(rows, provisioning(t, "at 40 calls a second alone", 1, 1), provisioningEntra(t))
	rows = append(rows, planned(t)...)
	text := table(rows)
	t.Logf("%d people, %d groups, %d memberships\n%s", users, groups, memberships, text)
	if *out != "" {
		l.must(write(*out, users, groups, memberships, text))
	}
}

// median of durations; it sorts them.
func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func times(ours, theirs time.Duration) string {
	return fmt.Sprintf("%.1f x", ours.Seconds()/theirs.Seconds())
}

// seconds is a duration for people.
func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }

// source measures the first import, and runs of the source in which nothing changed.
func (l *lab) source() []row {
	pid, stop := l.worker()
	_, first := l.sync(corp, status.Full)
	imported := resident(pid)
	stop()
	pid, stop = l.worker()
	var ours, theirs []time.Duration
	for range trials() {
		run, took := l.sync(corp, status.Full)
		if run.Read[status.User] != int64(*people) {
			l.Fatalf("the run read %d users, want %d", run.Read[status.User], *people)
		}
		ours, theirs = append(ours, took), append(theirs, l.ldapsearch())
	}
	unchanged := resident(pid)
	stop()
	search := median(theirs)
	return []row{
		{"source, nothing changed", times(median(ours), search), "`ldapsearch`, " + seconds(search), "2 x"},
		{"source, nothing changed: peak memory of the worker", fmt.Sprintf("%.0f MB", unchanged), "", "250 MB"},
		{"first import", times(first, search), "the same", "4 x"},
		{"first import: peak memory of the worker", fmt.Sprintf("%.0f MB", imported), "", "300 MB"},
	}
}

// google measures runs of a tenant without a limit in which nothing changed.
func (l *lab) google(users, groups int) []row {
	pid, stop := l.worker()
	defer stop()
	for range 2 { // The second run lists the groups that the first one filled.
		l.sync(google, status.Full)
	}
	var ours, theirs []time.Duration
	calls := 0
	for range trials() {
		l.tenant.ResetCalls()
		reads := l.watchReads()
		_, took := l.sync(google, status.Full)
		c := l.tenant.Calls()
		if calls = c.Reads; c.Writes > 0 {
			l.Fatalf("%d writes in a run in which nothing changed", c.Writes)
		}
		ours, theirs = append(ours, took), append(theirs, l.bare(reads()))
	}
	pages := (users+1+499)/500 + max(1, (groups+199)/200)
	if calls > pages+5 {
		l.Errorf("%d calls, want at most %d list pages and 5 others", calls, pages)
	}
	bare := median(theirs)
	return []row{
		{"Google, nothing changed: calls", fmt.Sprint(calls), fmt.Sprintf("%d list pages", pages),
			fmt.Sprintf("%d", pages+5)},
		{"Google, nothing changed", times(median(ours), bare), "a loop over the same pages, " + seconds(bare), "2 x"},
		{"Google, nothing changed: peak memory of the worker", fmt.Sprintf("%.0f MB", resident(pid)), "", ""},
	}
}

// latency is that of the tenant when single entries are measured.
const latency = 20 * time.Millisecond

// single measures syncs and explanations of single entries, each beside the sum of its calls.
func (l *lab) single() []row {
	_, stop := l.worker()
	defer stop()
	l.latency.Store(int64(latency))
	defer l.latency.Store(0)
	own := func(do func(i int)) (mid, last time.Duration) {
		var spent []time.Duration
		do(0) // Connections and tokens are made once.
		for i := range 10 * trials() {
			l.tenant.ResetCalls()
			began := time.Now()
			do(i + 1)
			took := time.Since(began)
			c := l.tenant.Calls()
			spent = append(spent, took-time.Duration(c.Reads+c.Writes)*latency)
		}
		return median(spent), spent[len(spent)*99/100]
	}
	object, objectMost := own(func(i int) { l.touch(i, fmt.Sprint("Changed", i)) })
	said, saidMost := own(func(i int) {
		var d explain.Document
		q := explain.Query{By: explain.ByUserName, Value: fmt.Sprintf("u%06d", i)}
		l.must(l.client.Ask(l.Context(), "explain", q, &d))
		if d.Found != explain.Known {
			l.Fatalf("%s: %s", q.Value, d.Verdict)
		}
	})
	ms := func(d time.Duration) string { return fmt.Sprintf("%d ms", max(0, d.Milliseconds())) }
	return []row{
		{"one changed person, through both hops", "+ " + ms(object) + ", p99 + " + ms(objectMost), "its calls",
			"+ 40 ms, p99 + 200 ms"},
		{"`rollcall explain`", "+ " + ms(said) + ", p99 + " + ms(saidMost), "its calls", "+ 60 ms"},
	}
}

// delta measures a delta run after the change of one person.
func (l *lab) delta() row {
	_, stop := l.worker()
	defer stop()
	l.sync(corp, status.Full)
	var own []time.Duration
	read := int64(0)
	for i := range trials() {
		l.slapd.Set(l, slapdtest.UserDN(100+i), "givenName", fmt.Sprint("Again", i))
		run, took := l.sync(corp, status.Delta)
		read = max(read, run.Read[status.User]+run.Read[status.Group])
		own = append(own, took)
	}
	return row{"delta run of the source, one person changed", fmt.Sprintf("%d ms", median(own).Milliseconds()),
		fmt.Sprintf("entries read: %d", read), "150 ms, 10 entries"}
}

// provisioning measures a first provisioning while the tenant enforces Google's published limits. Where there is a
// group for each person, the limit of new users does not count.
func provisioning(t *testing.T, limits string, usersForAGroup, workers int) row {
	users := max(1, min(*people/4, 600)*usersForAGroup/10)
	groups := max(1, users/usersForAGroup)
	l := newLab(t, users, groups, 15, quotaRate, simulator.Quota{QueriesPerSecond: 40, UserInsertsPerSecond: 10})
	defer l.workers(workers)()
	l.sync(corp, status.Full)
	l.tenant.ResetCalls()
	_, took := l.sync(google, status.Full)
	c := l.tenant.Calls()
	calls := c.Reads + c.Writes
	const usersAtOnce, callsAtOnce = 8, 32 // the burst; see pace
	least := max(float64(users-usersAtOnce)/10, float64(calls-callsAtOnce)/40)
	return row{fmt.Sprintf("first provisioning %s, workers: %d", limits, workers),
		fmt.Sprintf("%.0f %% used, %.1f %% refused", 100*least/took.Seconds(), 100*float64(c.Refused)/float64(calls)),
		fmt.Sprintf("%d new users at 10/s, %d calls at 40/s", users, calls), "95 %, 0.5 %"}
}

func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| what | measured | reference | goal |\n|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", r.what, r.measured, r.reference, r.goal)
	}
	return b.String()
}

// The table stands between these lines of the page.
const (
	begin = "<!-- make bench writes what follows -->\n"
	end   = "<!-- make bench wrote what precedes -->\n"
)

// write replaces the table of a page.
func write(page string, users, groups, memberships int, text string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(old), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table: want the lines %q and %q", page, begin, end)
	}
	head := fmt.Sprintf("\n%d people, %d groups, %d memberships. Medians of %d.\n\n", users, groups, memberships,
		trials())
	return os.WriteFile(page, []byte(before+begin+head+text+"\n"+end+after), 0o644)
}

// TestThePageHasTheTable checks that docs/performance.md has the lines that TestTable writes.
func TestThePageHasTheTable(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(page), begin)
	text, _, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 || strings.Count(text, "\n|") < 12 {
		t.Errorf("docs/performance.md has no table between %q and %q: run make bench", begin, end)
	}
}
