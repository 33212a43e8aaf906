package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/directory/store"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/plan"
	"rollcall/provider"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// at is so many minutes after noon.
func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

func userRef(id string) directory.Ref {
	return directory.Ref{Kind: directory.User, ID: directory.ID(id)}
}

func groupRef(id string) directory.Ref {
	return directory.Ref{Kind: directory.Group, ID: directory.ID(id)}
}

// user returns a user of source corp; attributes are pairs of name and value.
func user(id string, attributes ...string) directory.Entry {
	e := directory.Entry{Kind: directory.User, ID: directory.ID(id), Source: "corp", DN: "uid=" + id + ",dc=corp",
		Active: true}
	e.Attributes = e.Attributes.Set(directory.UserName, id).Set(directory.Mail, id+"@corp.example")
	for i := 0; i+1 < len(attributes); i += 2 {
		e.Attributes = e.Attributes.Set(attributes[i], attributes[i+1])
	}
	return e
}

// group returns a group of source corp.
func group(id string, members ...directory.Ref) directory.Entry {
	e := directory.Entry{Kind: directory.Group, ID: directory.ID(id), Source: "corp", DN: "cn=" + id + ",dc=corp",
		Active: true, Members: members}
	e.Attributes = e.Attributes.Set(directory.DisplayName, "The "+id)
	slices.SortFunc(e.Members, directory.Ref.Compare)
	return e
}

// of returns the entries as those of another source.
func of(source string, entries ...directory.Entry) []directory.Entry {
	for i := range entries {
		entries[i].Source = source
	}
	return entries
}

func snapshot(entries ...directory.Entry) directory.Snapshot {
	slices.SortFunc(entries, func(a, b directory.Entry) int { return a.Ref().Compare(b.Ref()) })
	return directory.Snapshot{Entries: entries}
}

// dir is a local directory under test.
type dir struct {
	*testing.T
	rdb redis.UniversalClient
	now time.Time
}

func (d *dir) part(slug string) *store.Part {
	return store.New(store.Config{Redis: d.rdb, Slug: slug, Now: func() time.Time { return d.now }})
}

func (d *dir) reader() *store.Reader { return store.NewReader(d.part("corp")) }

// each runs a test on redis-server and on miniredis.
func each(t *testing.T, run func(d *dir)) {
	t.Helper()
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) { run(&dir{t, rdb, noon}) })
}

// plans reads the part's state and returns what it takes to make it the snapshot.
func (d *dir) plans(p *store.Part, s directory.Snapshot) []plan.Change {
	d.Helper()
	desired := store.Desired(s)
	versions := map[directory.Ref]string{}
	for _, e := range desired {
		versions[e.Ref] = e.Version
	}
	state, err := p.Read(d.Context(), provider.Query{Versions: versions, Now: d.now})
	if err != nil {
		d.Fatalf("Read() = %v", err)
	}
	pl := plan.Compute(plan.Input{Desired: desired, State: state, Capabilities: p.Capabilities(), Now: d.now})
	return pl.Changes
}

// apply carries changes out in batches, and fails the test where one fails.
func (d *dir) apply(p *store.Part, changes []plan.Change, size int) {
	d.Helper()
	for batch := range slices.Chunk(changes, size) {
		for i, r := range p.Apply(d.Context(), batch) {
			if r.Err != nil {
				d.Fatalf("Apply(%s %s) = %v", batch[i].Op, batch[i].Ref, r.Err)
			}
			if want := batch[i].Ref.String(); r.RemoteID != want {
				d.Fatalf("Apply(%s %s): RemoteID = %q, want %q", batch[i].Op, batch[i].Ref, r.RemoteID, want)
			}
		}
	}
}

// sync is a whole run of a source. It returns how many changes it made and whether Commit saw any.
func (d *dir) sync(slug, run string, readAt time.Time, s directory.Snapshot) (int, bool) {
	d.Helper()
	p := d.part(slug)
	changes := d.plans(p, s)
	d.must(p.Begin(d.Context(), run, readAt))
	d.apply(p, changes, 3)
	changed, err := p.Commit(d.Context(), run)
	d.must(err)
	if again := d.plans(d.part(slug), s); len(again) != 0 {
		d.Fatalf("the plan right after its apply has %d changes, want none: %+v", len(again), again)
	}
	return len(changes), changed
}

// read reads the local directory, which must succeed.
func (d *dir) read(r *store.Reader, refs ...directory.Ref) directory.Snapshot {
	d.Helper()
	s, err := r.Read(d.Context(), directory.Query{Refs: refs})
	d.must(err)
	return s
}

// kind fails the test unless the error is of a kind.
func (d *dir) kind(what string, err error, want fault.Kind) {
	d.Helper()
	if err == nil || fault.KindOf(err) != want {
		d.Errorf("%s: %v, want an error of kind %v", what, err, want)
	}
}

func (d *dir) must(err error) {
	d.Helper()
	if err != nil {
		d.Fatal(err)
	}
}

func (d *dir) equal(what string, got, want any) {
	d.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		d.Errorf("%s (-want +got):\n%.3000s", what, diff)
	}
}

func versionsOf(s directory.Snapshot) map[directory.Ref]string {
	v := map[directory.Ref]string{}
	for i := range s.Entries {
		v[s.Entries[i].Ref()] = s.Entries[i].Digest()
	}
	return v
}

func many(n int) directory.Snapshot {
	var s directory.Snapshot
	for i := range n {
		e := user(fmt.Sprintf("%08x-7c1f-4d52-9a43-5f0d6c1b2a3e", i),
			directory.DisplayName, fmt.Sprint("Person ", i), directory.GivenName, "Person", directory.FamilyName, fmt.Sprint(i),
			directory.EmployeeNumber, fmt.Sprint("E", i), "title", "Engineer", "departmentNumber", fmt.Sprint(i%50))
		s.Entries = append(s.Entries, e)
	}
	for g := range n / 20 {
		var members []directory.Ref
		for m := range min(n, 100) {
			members = append(members, s.Entries[(g*37+m)%n].Ref())
		}
		e := group(fmt.Sprintf("%08x-0000-4d52-9a43-5f0d6c1b2a3e", g), members...)
		s.Entries = append(s.Entries, e)
	}
	return s
}
