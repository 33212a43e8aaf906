package ldap_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/source"
	"rollcall/source/ldap"
)

// guid is the objectGUID of a fake's user n, as the server stores it and as an ID.
func guid(n int) (raw string, id directory.ID) {
	return strings.Repeat(string(rune('a'+n)), 16),
		directory.ID(fmt.Sprintf("%[1]s%[1]s%[1]s%[1]s-%[1]s%[1]s-%[1]s%[1]s-%[1]s%[1]s-%[1]s%[1]s%[1]s%[1]s%[1]s%[1]s",
			fmt.Sprintf("%02x", 'a'+n)))
}

// told is one round of DirSync: a cookie and the numbers of the users that changed.
type told struct {
	cookie string
	more   bool
	users  []int
	code   uint16
	bare   bool // without its control
}

// dirSyncFake is a controller with ten users that answers DirSync by the cookie of the request.
func dirSyncFake(usn string, rounds map[string]told) *fake {
	f := controller(usn, 10)
	f.announces = append(f.announces, goldap.ControlTypeDirSync)
	position := f.answer
	f.answer = func(q query) []message {
		if q.dirSync == nil {
			if strings.Contains(q.base, "CN=NTDS") || slices.Contains(q.attrs, "replUpToDateVector") {
				return position(q)
			}
			return append(fakeUsers(q), page(""))
		}
		r := rounds[string(q.dirSync.Cookie)]
		if r.code != 0 {
			return []message{done(r.code, "no")}
		}
		var out []message
		for _, n := range r.users {
			raw, _ := guid(n)
			out = append(out, entry(fmt.Sprintf("CN=u%d,dc=example,dc=org", n), "objectGUID", raw))
		}
		flags := int64(0)
		if r.more {
			flags = 1
		}
		if r.bare {
			return append(out, done(0, ""))
		}
		return append(out, done(0, "", goldap.NewRequestControlDirSync(flags, 0, []byte(r.cookie))))
	}
	return f
}

// fakeUsers answers a search by id.
func fakeUsers(q query) (out []message) {
	for n := range 10 {
		raw, id := guid(n)
		if escaped := fmt.Sprintf(`\%02x`, raw[0]); strings.Contains(q.filter, raw) || strings.Contains(q.filter, escaped) {
			out = append(out, entryOf(fmt.Sprintf("CN=u%d,dc=example,dc=org", n), attr{"objectGUID", []string{raw}},
				attr{"objectClass", []string{"user"}}, attr{"sAMAccountName", []string{string(id)}}))
		}
	}
	return out
}

func TestDirSyncOnTheWire(t *testing.T) {
	t.Parallel()
	at := source.Cursor{}
	changes := func(t *testing.T, f *fake, since source.Cursor) source.Changes {
		t.Helper()
		c := f.start(t)
		c.ObjectUniquenessField = "objectGUID"
		return follow(t, open(t, c), since)
	}
	at = changes(t, dirSyncFake("100", map[string]told{"": {cookie: "one"}}), at).Next
	if string(at.Cookie) != "one" {
		t.Fatalf("first cookie = %q, want %q", at.Cookie, "one")
	}
	users := func(numbers ...int) (refs []directory.Ref) {
		for _, n := range numbers {
			_, id := guid(n)
			refs = append(refs, directory.Ref{Kind: directory.User, ID: id})
		}
		return refs
	}
	another := at
	another.Position.Server = "another"
	many := make([]int, 0, source.MostChanges+1)
	for n := range source.MostChanges + 1 {
		many = append(many, n%10)
	}
	for _, tc := range []struct {
		name   string
		rounds map[string]told
		since  source.Cursor
		want   []directory.Ref
		cookie string
		whole  string
	}{
		{"several rounds", map[string]told{"one": {cookie: "two", more: true, users: []int{1}},
			"two": {cookie: "three", users: []int{2}}}, at, users(1, 2), "three", ""},
		{"an empty round before the last", map[string]told{"one": {cookie: "two", more: true},
			"two": {cookie: "three", users: []int{2}}}, at, users(2), "three", ""},
		{"one entry many times", map[string]told{"one": {cookie: "two", users: many}}, at,
			users(0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
			"two", ""},
		{"another controller", map[string]told{"": {cookie: "two"}}, another, nil, "two", "another server"},
		{"a refused cookie", map[string]told{"one": {code: goldap.LDAPResultUnavailableCriticalExtension},
			"": {cookie: "two"}}, at, nil, "two", "refused the cookie"},
		{"a refused round", map[string]told{"one": {cookie: "two", more: true, users: []int{1}},
			"two": {code: goldap.LDAPResultBusy}, "": {cookie: "three"}}, at, nil, "three", "DirSync was refused"},
		{"no right", map[string]told{"one": {code: goldap.LDAPResultInsufficientAccessRights},
			"": {code: goldap.LDAPResultInsufficientAccessRights}}, at, nil, "", "DirSync was refused"},
		{"an end without a cookie", map[string]told{"one": {bare: true, users: []int{1}}, "": {cookie: "two"}}, at, nil,
			"two",
			"without a cookie"},
	} {
		got := changes(t, dirSyncFake("200", tc.rounds), tc.since)
		if !slices.Equal(got.Refs, tc.want) || string(got.Next.Cookie) != tc.cookie || tc.whole == "" != (got.Whole == "") ||
			!strings.Contains(got.Whole, tc.whole) || len(got.Gone) > 0 {
			t.Errorf("%s: Changes() = %+v, want refs %v, cookie %q, reason %q", tc.name, got, tc.want, tc.cookie, tc.whole)
		}
	}
	if got := changes(t, dirSyncFake("99", map[string]told{"": {cookie: "two"}}), at); !strings.Contains(got.Whole,
		"older") {
		t.Errorf("Changes() of a restored snapshot = %+v, want a full read", got)
	}
}

var _ source.Delta = (*ldap.Source)(nil)
