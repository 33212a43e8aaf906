package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/source"
)

// key returns the key of a part of the local directory.
func key(name string) string { return "rollcall:{ldap:corp}:dir:" + name }

// buckets returns the keys of the buckets of the index.
func (d *dir) buckets() []string { return d.rdb.Keys(d.Context(), key("find:*")).Val() }

// index returns the members of the index in all of its keys, sorted, without those that every key has.
func (d *dir) index() (out []string) {
	for _, m := range d.rdb.ZRange(d.Context(), key("find"), 0, -1).Val() {
		if m != "!" {
			out = append(out, fmt.Sprintf("%q", m))
		}
	}
	for _, bucket := range d.buckets() {
		for _, m := range d.rdb.HKeys(d.Context(), bucket).Val() {
			if m != "!" {
				out = append(out, fmt.Sprintf("%s %q", bucket, m))
			}
		}
	}
	slices.Sort(out)
	return out
}

// above returns the groups that contain a user, or contained it once.
func (d *dir) above(id string) (out []string, err error) {
	s, err := d.reader().Around(d.Context(), directory.Neighbourhood{Refs: []directory.Ref{userRef(id)}})
	for _, e := range s.Entries {
		if e.Kind == directory.Group {
			out = append(out, string(e.ID))
		}
	}
	return out, err
}

// finds fails the test unless each text leads to the user alone.
func (d *dir) finds(id string, texts ...string) {
	d.Helper()
	for _, text := range texts {
		found, err := d.reader().Find(d.Context(), directory.User, text)
		d.must(err)
		if len(found) != 1 || found[0].ID != directory.ID(id) {
			d.Errorf("Find(%q) = %v, want %s", text, found, id)
		}
	}
}

// shows fails the test unless searches for the texts find so many entries.
func (d *dir) shows(want int, texts ...string) {
	d.Helper()
	for _, text := range texts {
		found, _, err := d.reader().Search(d.Context(), text, 5)
		d.must(err)
		if len(found) != want {
			d.Errorf("Search(%q) = %v, want %d", text, found, want)
		}
	}
}

// TestTheIndexEqualsOneThatIsBuiltAnew compares the index after random runs with one that is built of the same data,
// as it is after an upgrade from a version without an index.
func TestTheIndexEqualsOneThatIsBuiltAnew(t *testing.T) {
	each(t, func(d *dir) {
		rng := rand.New(rand.NewPCG(3, 4))
		index := func() []string {
			return slices.DeleteFunc(d.index(), func(m string) bool {
				return m[1] == 'V' || m[1] == 'H' // Former memberships are in no entry.
			})
		}
		for i := range 10 {
			d.sync("corp", fmt.Sprint("r", i), at(i), tangled(rng, "corp"))
		}
		maintained, heads := index(), d.rdb.HGetAll(t.Context(), key("head")).Val()
		d.must(d.rdb.Del(t.Context(), append(d.buckets(), key("find"), key("buckets"), key("head"))...).Err())
		d.must(d.rdb.HDel(t.Context(), key("meta"), "find", "find_seq").Err())
		d.must(d.rdb.HSet(t.Context(), key("name"), "user/ada", "ada").Err())
		if _, _, err := d.reader().Search(t.Context(), "u1", 5); err != nil {
			d.Fatalf("Search() of data without an index = %v", err)
		}
		d.equal("the index", index(), maintained)
		d.equal("the heads of groups", d.rdb.HGetAll(t.Context(), key("head")).Val(), heads)
		if d.rdb.Exists(t.Context(), key("name")).Val() != 0 {
			d.Error("the names of the older version are still there")
		}
	})
}

// A login name is searched for in the sorted set only where no mail address begins with it, and found in each case.
func TestALoginNameThatAnAddressBeginsWith(t *testing.T) {
	each(t, func(d *dir) {
		for i, tc := range []struct {
			mail   string
			sorted bool
		}{{"ada@corp.example", false}, {"lovelace@corp.example", true}, {"ada.l@corp.example", false}, {"ad", true}} {
			ada := user("ada", directory.Mail, tc.mail)
			d.sync("corp", fmt.Sprint("r", i), at(i), snapshot(ada))
			d.finds("ada", "ada", tc.mail, ada.DN)
			d.shows(1, "ad", "ada", tc.mail)
			name := &redis.ZRangeBy{Min: "[uada\x00", Max: "(uada\x01"}
			if got := len(d.rdb.ZRangeByLex(t.Context(), key("find"), name).Val()); (got == 1) != tc.sorted {
				d.Errorf("with %s the login name is %d times in the sorted set, want it there: %v", tc.mail, got, tc.sorted)
			}
			maintained := d.index()
			d.must(d.rdb.HDel(t.Context(), key("meta"), "find").Err())
			d.finds("ada", "ada")
			d.equal("the index", d.index(), maintained)
		}
	})
}

// A DN is not found by its beginning, so it does not stand in for a login name with which it begins.
func TestALoginNameThatTheDNBeginsWith(t *testing.T) {
	each(t, func(d *dir) {
		ada := user("c", directory.Mail, "ada@corp.example")
		ada.DN = "cn=c,ou=people,dc=corp"
		d.sync("corp", "r1", at(0), snapshot(ada))
		d.finds("c", "c", ada.DN)
		d.shows(1, "c")
	})
}

// inOneSet replaces the index by that of an earlier version, with these members and as if it were complete.
func (d *dir) inOneSet(members ...string) {
	d.Helper()
	ctx := d.Context()
	d.must(d.rdb.Del(ctx, append(d.buckets(), key("find"), key("buckets"))...).Err())
	d.must(d.rdb.HDel(ctx, key("meta"), "find", "find_seq", "find_at").Err())
	for _, m := range append(members, "!") {
		d.must(d.rdb.ZAdd(ctx, key("index"), redis.Z{Member: m}).Err())
	}
	d.must(d.rdb.HSet(ctx, key("meta"), "index", "1", "index_seq", d.rdb.HGet(ctx, key("meta"), "seq").Val()).Err())
}

// The first operation replaces the index of an earlier version. What only that index tells is taken from it.
func TestTheIndexOfAnEarlierVersionIsReplaced(t *testing.T) {
	each(t, func(d *dir) {
		jo := user("u1", directory.UserName, "jo", directory.DisplayName, "Jörg Müller", directory.FamilyName, "Müller",
			directory.EmployeeNumber, "007")
		gone := user("u2", directory.UserName, "ex", directory.DisplayName, "Köhler, Ute")
		d.sync("corp", "r1", at(0), snapshot(jo, gone, group("g", userRef("u1"), groupRef("h")), group("h")))
		d.sync("corp", "r2", at(1), snapshot(jo, group("g"), group("h", userRef("u1")))) // u1 was a member of g.
		maintained := d.index()
		day := fmt.Sprintf("%04x", d.now.Unix()/86_400)
		d.inOneSet("ujo\x00\x02u1", "sjörg müller\x00\x02u1", "Uu1\x00\x02h", "V\x02u1\x00\x02g"+day,
			"H\x02h\x00\x02g"+day)
		const field = "user/u2" // The names in tombstones had their accents.
		d.must(d.rdb.HSet(t.Context(), key("gone"), field, strings.ReplaceAll(
			d.rdb.HGet(t.Context(), key("gone"), field).Val(), "kohler", "köhler")).Err())
		groups, err := d.above("u1")
		d.must(err)
		d.equal("the groups of u1", groups, []string{"g", "h"})
		d.equal("the index", d.index(), maintained)
		d.finds("u1", "jo", jo.DN, "u1@corp.example")
		d.finds("u2", "ex", gone.DN)
		d.shows(1, "jörg", "jorg", "müller", "muller", "köhler", "kohler", "jo")
		if d.rdb.Exists(t.Context(), key("index")).Val() != 0 {
			d.Error("the index of the earlier version is still there")
		}
	})
}

// TestAnOlderWriterInvalidatesTheIndex checks that a write by an earlier version is noticed, and that such a version
// notices ours. It counts the writes that maintain its index in index_seq.
func TestAnOlderWriterInvalidatesTheIndex(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada")))
		d.inOneSet()
		d.finds("ada", "ada@corp.example")
		meta := func(field string) string { return d.rdb.HGet(t.Context(), key("meta"), field).Val() }
		if meta("find_seq") != meta("seq") || meta("index") != "" {
			d.Errorf("the index is that of write %s, want the last write, and none of an earlier version", meta("find_seq"))
		}
		maintained := d.index()
		d.must(d.rdb.HIncrBy(t.Context(), key("meta"), "seq", 1).Err()) // which every write of any version does
		d.must(d.rdb.Del(t.Context(), d.buckets()[0]).Err())
		d.must(d.rdb.HSet(t.Context(), key("meta"), "index", "1", "index_seq", meta("seq")).Err())
		d.finds("ada", "ada@corp.example", user("ada").DN)
		d.equal("the index", d.index(), maintained)
		d.must(d.rdb.HSet(t.Context(), key("meta"), "index", "1", "index_seq", meta("seq")).Err())
		d.sync("corp", "r2", at(1), snapshot(user("ada"), user("bob")))
		if meta("index_seq") == meta("seq") {
			d.Error("the index of the earlier version counts a write that did not maintain it")
		}
	})
}

// An earlier version that builds its index empties the heads of groups first, so nothing is read before it has ended or
// given up.
func TestAnOlderBuilderKeepsReadersOut(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), group("g", userRef("ada"))))
		d.must(d.rdb.Del(t.Context(), key("head")).Err())
		d.must(d.rdb.HSet(t.Context(), key("meta"), "index", "BUILDER", "index_at", d.now.UnixMicro()).Err())
		if groups, err := d.above("ada"); !errors.Is(err, source.ErrBusy) {
			d.Errorf("Around() = %v, %v, want ErrBusy", groups, err)
		}
		d.now = d.now.Add(2 * time.Minute)
		groups, err := d.above("ada")
		d.must(err)
		d.equal("the groups of ada", groups, []string{"g"})
	})
}

// A bucket that was lost is not taken for one without fields.
func TestALostBucketIsNoticed(t *testing.T) {
	each(t, func(d *dir) {
		d.sync("corp", "r1", at(0), snapshot(user("ada"), group("g", userRef("ada"))))
		for _, lost := range append(d.buckets(), key("buckets")) {
			d.must(d.rdb.Del(t.Context(), lost).Err())
			groups, err := d.above("ada")
			if errors.Is(err, source.ErrBusy) { // It is built anew.
				groups, err = d.above("ada")
			}
			d.must(err)
			d.equal("the groups of ada without "+lost, groups, []string{"g"})
			if _, err := d.reader().Find(t.Context(), directory.User, user("ada").DN); !errors.Is(err, source.ErrBusy) {
				d.must(err)
			}
			d.finds("ada", user("ada").DN)
		}
	})
}

// An entry in more groups than Redis returns at once, and keeps without pointers, is in all of them.
func TestAnEntryInThousandsOfGroups(t *testing.T) {
	t.Parallel()
	d := &dir{t, redistest.Start(t), noon}
	entries := []directory.Entry{user("ada")}
	var want []string
	for i := range 3000 {
		id := fmt.Sprintf("g%04d", i)
		entries, want = append(entries, group(id, userRef("ada"))), append(want, id)
	}
	p := d.part("corp")
	changes := d.plans(p, snapshot(entries...))
	d.must(p.Begin(t.Context(), "r1", at(0)))
	d.apply(p, changes, len(changes))
	_, err := p.Commit(t.Context(), "r1")
	d.must(err)
	groups, err := d.above("ada")
	d.must(err)
	d.equal("the groups of ada", groups, want)
}

// A script that writes a large group sends one command for each bucket of the index, and not one for each member.
func TestALargeGroupIsWrittenBucketByBucket(t *testing.T) {
	t.Parallel()
	addr, _ := redistest.TCP(t)
	rdb := redis.NewClient(&redis.Options{Addr: addr})
	defer rdb.Close()
	d := &dir{t, rdb, noon}
	var members []directory.Ref
	for i := range 20_000 {
		members = append(members, userRef(fmt.Sprintf("u%05d", i)))
	}
	p := d.part("corp")
	changes := d.plans(p, snapshot(group("all", members...)))
	d.must(p.Begin(t.Context(), "r1", at(0)))
	d.apply(p, changes, len(changes))
	stats := rdb.InfoMap(t.Context(), "commandstats").Val()["Commandstats"]["cmdstat_hset"]
	calls := 0
	_, err := fmt.Sscanf(stats, "calls=%d,", &calls)
	d.must(err)
	if want := 2*4096 + 10; calls > want { // The first command of a bucket marks it.
		d.Errorf("a group with %d members cost %d commands, want at most %d", len(members), calls, want)
	}
	_, err = p.Commit(t.Context(), "r1")
	d.must(err)
	groups, err := d.above("u19999")
	d.must(err)
	d.equal("the groups of the last member", groups, []string{"all"})
}

// Redis keeps the buckets of an ordinary directory without pointers.
func TestBucketsAreCompact(t *testing.T) {
	t.Parallel()
	d := &dir{t, redistest.Start(t), noon}
	d.sync("corp", "r1", at(0), many(1000))
	list := d.buckets()
	if len(list) < 1000 {
		d.Errorf("%d buckets, want a good part of 4096", len(list))
	}
	for _, bucket := range list {
		if got := d.rdb.ObjectEncoding(t.Context(), bucket).Val(); got != "listpack" && got != "ziplist" {
			d.Fatalf("%s is a %s", bucket, got)
		}
	}
}
