package ldap_test

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/internal/slapdtest"
)

func TestPositionOfOpenLDAP(t *testing.T) {
	t.Parallel()
	server := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(2, 1, 1), SyncProv: true})
	s := open(t, config(server))
	first := read(t, s).Position
	again := read(t, s, user(0)).Position
	server.Set(t, slapdtest.UserDN(0), "title", "Chief")
	later := read(t, s).Position
	if first.IsZero() || again.Compare(first) != directory.Same || later.Compare(first) != directory.Newer ||
		first.Compare(later) != directory.Older {
		t.Errorf("positions = %v, %v, %v, want two that are the same and a newer one", first, again, later)
	}
	if !strings.Contains(later.Name, server.URL+", OpenLDAP") || time.Since(later.Changed) > time.Minute {
		t.Errorf("position = %v, want the server's name and the time of the change", later)
	}
	if notes := read(t, s).Notes; len(notes) == 0 || !strings.Contains(notes[0], "read from "+server.URL) {
		t.Errorf("notes = %q, want the server and its position", notes)
	}
	plain := slapdtest.Start(t, slapdtest.Options{LDIF: slapdtest.Generate(1, 0, 0)})
	if p := read(t, open(t, config(plain))).Position; !p.IsZero() {
		t.Errorf("position of a server that keeps none = %v", p)
	}
}

// An export with the operational attributes of its naming context has the position of the server that wrote it.
func TestPositionOfAnExport(t *testing.T) {
	t.Parallel()
	export := func(csn string) string {
		return slapdtest.Entry(slapdtest.Suffix, "objectClass", "domain", "dc", "example", "contextCSN", csn,
			"contextCSN", "20260101000000.000000Z#000000#002#000000") + ada
	}
	older := read(t, open(t, fileConfig(t, export("20261129181743.123456Z#000000#001#000000")))).Position
	newer := read(t, open(t, fileConfig(t, export("20261129181744.000001Z#000000#001#000000")))).Position
	if newer.Compare(older) != directory.Newer || older.Compare(newer) != directory.Older ||
		newer.Changed.Format(time.DateTime) != "2026-11-29 18:17:44" || !strings.Contains(newer.Name, "people.ldif") {
		t.Errorf("positions = %v and %v, want the file's name and time, and the first one older", older, newer)
	}
	if p := read(t, open(t, fileConfig(t, ada))).Position; !p.IsZero() {
		t.Errorf("position of an export without operational attributes = %v", p)
	}
}

// controller is a domain controller that shows its position: invocation A, a highestCommittedUSN, and a vector with
// what it has of controller B.
func controller(usn string, seenOfB uint64) *fake {
	settings := "CN=NTDS Settings,CN=DC1,CN=Servers,CN=Sites,CN=Configuration,dc=example,dc=org"
	vector := binary.LittleEndian.AppendUint32(nil, 2)
	vector = binary.LittleEndian.AppendUint32(vector, 0)
	vector = binary.LittleEndian.AppendUint32(vector, 1)
	vector = binary.LittleEndian.AppendUint32(vector, 0)
	vector = append(vector, strings.Repeat("B", 16)...)
	vector = binary.LittleEndian.AppendUint64(vector, seenOfB)
	vector = binary.LittleEndian.AppendUint64(vector, 13_000_000_000)
	return &fake{
		announces: paging,
		family: append(activeDirectory, attr{"dsServiceName", []string{settings}}, attr{"highestCommittedUSN", []string{usn}},
			attr{"namingContexts", []string{"dc=example,dc=org", "CN=Configuration,dc=example,dc=org"}}),
		answer: func(q query) []message {
			switch {
			case q.base == settings:
				return []message{entry(q.base, "invocationId", strings.Repeat("A", 16)), done(0, "")}
			case len(q.attrs) == 1 && q.attrs[0] == "replUpToDateVector":
				return []message{entry(q.base, "replUpToDateVector", string(vector)), done(0, "")}
			}
			return []message{page("")}
		},
	}
}

func TestPositionOfActiveDirectory(t *testing.T) {
	t.Parallel()
	position := func(f *fake) directory.Position { return read(t, open(t, f.start(t))).Position }
	good, restored := position(controller("4857", 10)), position(controller("4854", 10))
	if restored.Compare(good) != directory.Older || good.Compare(restored) != directory.Newer {
		t.Errorf("%v and %v: want the restored one to be older", good, restored)
	}
	const a, b = "41414141-4141-4141-4141-414141414141", "42424242-4242-4242-4242-424242424242"
	if good.Server != a || good.Seen[a] != "4857" || good.Seen[b] != "10" ||
		!strings.Contains(good.Name, "Active Directory DC1") {
		t.Errorf("position = %+v, want invocation, USN, vector and name", good)
	}
}

func TestPositionOf389(t *testing.T) {
	t.Parallel()
	position := func(generation, csn string) directory.Position {
		f := &fake{announces: paging, family: []attr{{"vendorVersion", []string{"389-Directory/2.3.1"}},
			{"namingContexts", []string{"dc=example,dc=org"}}},
			answer: func(q query) []message {
				if !strings.Contains(q.filter, "nsDS5Replica") {
					return []message{page("")}
				}
				return []message{entry(q.base, "nsds50ruv", "{replicageneration} "+generation,
					"{replica 1 ldap://a:389} 5f000000000000010000 "+csn, "{replica 2 ldap://b:389}"), done(0, "")}
			}}
		return read(t, open(t, f.start(t))).Position
	}
	old, recent, other := position("5e", "69200000000000010000"), position("5e", "69200001000000010000"),
		position("5f", "69200001000000010000")
	if old.Compare(recent) != directory.Older || other.Compare(recent) != directory.Incomparable ||
		recent.Changed.Year() < 2025 {
		t.Errorf("%v, %v, %v: want an older one, and one of another database", old, recent, other)
	}
}
