package ldap_test

import (
	"io"
	"os/exec"
	"runtime"
	"testing"
	"time"

	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/internal/slapdtest"
)

// BenchmarkRead10k reads 10,000 users and 1,000 groups of 20 members. Beside the time it reports how many times as long
// as ldapsearch it takes ("x-ldapsearch"), as long as go-ldap alone ("x-go-ldap"), and the live heap of the snapshot.
func BenchmarkRead10k(b *testing.B) {
	server := slapdtest.Start(b, slapdtest.Options{LDIF: slapdtest.Generate(10_000, 1_000, 20)})
	s := open(b, config(server))
	attrs := []string{"uid", "cn", "sn", "givenName", "displayName", "mail", "employeeNumber", "entryUUID"}
	groupAttrs := []string{"cn", "description", "mail", "member", "entryUUID"}
	var ours, theirs, bare time.Duration
	var live uint64
	for b.Loop() {
		start := time.Now()
		snap := read(b, s)
		ours += time.Since(start)
		if len(snap.Entries) != 11_000 {
			b.Fatalf("%d entries, want 11000", len(snap.Entries))
		}
		b.StopTimer()
		live = heap()
		runtime.KeepAlive(snap)
		theirs += ldapsearch(b, server, slapdtest.People, attrs) + ldapsearch(b, server, slapdtest.Groups, groupAttrs)
		bare += goLDAP(b, server, slapdtest.People, attrs) + goLDAP(b, server, slapdtest.Groups, groupAttrs)
		b.StartTimer()
	}
	b.ReportMetric(float64(ours)/float64(theirs), "x-ldapsearch")
	b.ReportMetric(float64(ours)/float64(bare), "x-go-ldap")
	b.ReportMetric(float64(live)/(1<<20), "MB-live")
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// ldapsearch times the reference client on the same search.
func ldapsearch(b *testing.B, s *slapdtest.Server, base string, attrs []string) time.Duration {
	b.Helper()
	args := append([]string{"-LLL", "-x", "-H", s.URL, "-D", slapdtest.Reader, "-y", "/dev/stdin", "-b", base, "-E",
		"pr=1000/noprompt", "(|(objectClass=person)(objectClass=groupOfNames))"}, attrs...)
	cmd := exec.CommandContext(b.Context(), "ldapsearch", args...)
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		b.Fatalf("install ldap-utils: %v", err)
	}
	_, _ = io.WriteString(in, slapdtest.ReaderPassword)
	in.Close()
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

// goLDAP times what the library needs for the same pages when nothing is done with the entries.
func goLDAP(b *testing.B, s *slapdtest.Server, base string, attrs []string) time.Duration {
	b.Helper()
	start := time.Now()
	conn, err := goldap.DialURL(s.URL)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Bind(slapdtest.Reader, slapdtest.ReaderPassword); err != nil {
		b.Fatal(err)
	}
	paging := goldap.NewControlPaging(1000)
	for {
		req := goldap.NewSearchRequest(base, goldap.ScopeWholeSubtree, 0, 0, 0, false,
			"(|(objectClass=person)(objectClass=groupOfNames))", attrs, []goldap.Control{paging})
		res := conn.SearchAsync(b.Context(), req, 64)
		for res.Next() {
		}
		if res.Err() != nil {
			b.Fatal(res.Err())
		}
		c, ok := goldap.FindControl(res.Controls(), goldap.ControlTypePaging).(*goldap.ControlPaging)
		if !ok || len(c.Cookie) == 0 {
			return time.Since(start)
		}
		paging.SetCookie(c.Cookie)
	}
}

// BenchmarkReadByRef reads one user: what an object job does.
func BenchmarkReadByRef(b *testing.B) {
	server := slapdtest.Start(b, slapdtest.Options{LDIF: slapdtest.Generate(10_000, 1_000, 20)})
	s := open(b, config(server))
	for name, refs := range map[string][]directory.Ref{"user": {user(77)}, "group of 20": {group(7)}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				read(b, s, refs...)
			}
		})
	}
}

// BenchmarkFile10k reads the same directory from an export.
func BenchmarkFile10k(b *testing.B) {
	s := open(b, fileConfig(b, slapdtest.Generate(10_000, 1_000, 20)))
	for b.Loop() {
		read(b, s)
	}
}
