package store_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/internal/redistest"
	"rollcall/plan"
	"rollcall/provider"
)

// bench is a part that holds many(n).
func bench(b *testing.B, n int) (*store.Part, directory.Snapshot) {
	s := many(n)
	p := store.New(store.Config{Redis: redistest.Start(b), Slug: "corp"})
	first(b, p, s)
	return p, s
}

// first is a first run; it returns how long the writing took.
func first(b *testing.B, p *store.Part, s directory.Snapshot) time.Duration {
	caps := p.Capabilities()
	changes := plan.Compute(plan.Input{Desired: store.Desired(s), Capabilities: caps}).Changes
	begin := time.Now()
	if err := p.Begin(b.Context(), "run", begin); err != nil {
		b.Fatal(err)
	}
	for len(changes) > 0 {
		n := min(caps.BatchSize, len(changes))
		for _, r := range p.Apply(b.Context(), changes[:n]) {
			if r.Err != nil {
				b.Fatal(r.Err)
			}
		}
		changes = changes[n:]
	}
	if _, err := p.Commit(b.Context(), "run"); err != nil {
		b.Fatal(err)
	}
	return time.Since(begin)
}

// sizes are numbers of users; there is a group of 100 for every twenty.
var sizes = []int{1000, 10_000, 100_000}

// BenchmarkReadUnchanged reads the state of a part in which nothing changed.
func BenchmarkReadUnchanged(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, s := bench(b, n)
			versions := versionsOf(s)
			b.ReportAllocs()
			for b.Loop() {
				state, err := p.Read(b.Context(), provider.Query{Versions: versions})
				if err != nil || len(state.Objects) != len(s.Entries) || state.Objects[0].Fields != nil {
					b.Fatal(len(state.Objects), err)
				}
			}
		})
	}
}

// BenchmarkReader reads the whole local directory, and says what of it stays in memory.
func BenchmarkReader(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p, s := bench(b, n)
			want := len(s.Entries)
			s = directory.Snapshot{}
			r := store.NewReader(p)
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			var got directory.Snapshot
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if got, err = r.Read(b.Context(), directory.Query{}); err != nil || len(got.Entries) != want {
					b.Fatal(len(got.Entries), err)
				}
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(want), "kept-B/entry")
			runtime.KeepAlive(got)
		})
	}
}

// BenchmarkFirstRun writes a part that was empty.
func BenchmarkFirstRun(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s := many(n)
			rdb := redistest.Start(b)
			var took time.Duration
			for b.Loop() {
				if err := rdb.FlushDB(b.Context()).Err(); err != nil {
					b.Fatal(err)
				}
				took += first(b, store.New(store.Config{Redis: rdb, Slug: "corp"}), s)
			}
			b.ReportMetric(took.Seconds()/float64(b.N), "write-s/op")
		})
	}
}

// BenchmarkLargeGroup fills one group.
func BenchmarkLargeGroup(b *testing.B) {
	for _, n := range []int{5000, 50_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var members []directory.Ref
			for i := range n {
				members = append(members, userRef(fmt.Sprintf("%08x-7c1f-4d52-9a43-5f0d6c1b2a3e", i)))
			}
			s := snapshot(group("all", members...))
			rdb := redistest.Start(b)
			for b.Loop() {
				if err := rdb.FlushDB(b.Context()).Err(); err != nil {
					b.Fatal(err)
				}
				first(b, store.New(store.Config{Redis: rdb, Slug: "corp"}), s)
			}
		})
	}
}
