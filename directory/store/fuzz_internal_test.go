package store

import (
	"reflect"
	"testing"

	"rollcall/directory"
)

// FuzzRecord reads the values of another program as entries and tombstones. An entry that is read can be stored, and is
// then read alike.
func FuzzRecord(f *testing.F) {
	for _, seed := range []string{
		`{"digest":"d","read_at":1,"dn":"cn=a","active":true,"attributes":[["mail","a@x","b@x"]],` +
			`"users":["u"],"groups":["g"]}`,
		`{"attributes":[null,[],["cn"],["cn","x"],["cn","y"]],"users":[""]}`, `{"read_at":1e3}`, `null`, `[]`,
		`{"left":"2026-03-01T12:00:00Z","read_at":-1,"label":"a","names":["b",""]}`, `{"left":"9999-12-31T23:59:59-23:59"}`,
		"\x01\x01\x01\x045e45\x02\x04cn=a\x02\x06\x02\x03a@x\x03b@x\x00\x03own\x01\x01v\x01\x03u\x00",
	} {
		f.Add(seed, "u")
	}
	f.Fuzz(func(t *testing.T, text, id string) {
		p := &Part{slug: "corp"}
		_, _ = p.tombstone(id, text)
		for _, kind := range []directory.Kind{directory.User, directory.Group} {
			d := p.decoder()
			s, err := d.decode(kind, id, text)
			if err != nil {
				continue
			}
			again := encode(&s.Entry, s.digest, s.readAt)
			if got, err := d.decode(kind, id, string(again)); err != nil || !reflect.DeepEqual(got, s) {
				t.Errorf("stored again, %q is %+v, %v; want %+v", text, got, err, s)
			}
			_ = s.Digest() + s.Label()
		}
	})
}
