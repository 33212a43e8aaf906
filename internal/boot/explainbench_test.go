package boot_test

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/explain"
	"rollcall/internal/slapdtest"
)

// BenchmarkExplain explains one person of a large directory to two providers. It reports how often the whole local
// directory could have been read in the same processor time, because other processes may be busy too.
func BenchmarkExplain(b *testing.B) {
	const people, groups, each = 20_000, 400, 100
	var ldif strings.Builder
	for n := range people {
		uid := fmt.Sprintf("u%d", n)
		ldif.WriteString(person(n, uid, "mail", mail(uid), "title", "Engineer"))
	}
	for n := range groups {
		pairs := []string{"objectClass", "groupOfNames", "entryUUID", slapdtest.UUID(slapdtest.GroupUUIDs + n), "cn",
			fmt.Sprintf("g%d", n)}
		for k := range each {
			pairs = append(pairs, "member", dn(fmt.Sprintf("u%d", (n*50+k)%people)))
		}
		ldif.WriteString(slapdtest.Entry(fmt.Sprintf("cn=g%d,%s", n, slapdtest.Groups), pairs...))
	}
	o := newOffice(b, officeOptions{ldif: ldif.String(), file: true})
	o.sync(corp)
	reader := store.NewReader(store.New(store.Config{Redis: o.app.Redis, Slug: "corp"}))
	began, reads := worked(b), 0
	for ; reads < 3; reads++ {
		if s, err := reader.Read(b.Context(), directory.Query{}); err != nil || len(s.Entries) != people+groups {
			b.Fatal(len(s.Entries), err)
		}
	}
	once := (worked(b) - began) / time.Duration(reads)
	b.ReportAllocs()
	began = worked(b)
	for b.Loop() {
		if d := o.explain(explain.ByUserName, "u777"); d.Found != explain.Known || len(d.Providers) != 2 {
			b.Fatal(d.Verdict)
		}
	}
	b.ReportMetric(float64(worked(b)-began)/float64(b.N)/float64(once), "reads/op")
	b.ReportMetric(float64(once.Milliseconds()), "ms/read")
}

// worked is how long the processor worked for this process.
func worked(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
