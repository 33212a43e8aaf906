package ledger

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// FuzzStored reads the values of another program as links, confirmed members and facts. What is read can be stored
// again and is then read alike.
func FuzzStored(f *testing.F) {
	packed, err := pack(plan.Confirmed{Witness: "etag", Members: strings.Split(strings.Repeat("member\n", 100), "\n")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("user/ann", packed)
	f.Add("user/ann", []byte(`{"remote_id":"1","departed":"2026-03-01T12:00:00Z"}`))
	f.Add("user/ann", packLink(plan.Link{RemoteID: "115514674263130473766", Created: time.Unix(1, 2), Rekey: "8719",
		Suspended: true, Yields: "a@x", Departed: time.Unix(3, 0), Why: plan.Absent, Given: "c2hhcmVkMQ-_"}))
	f.Add("user/ann", []byte(`{"remote_id":"1","outlived":true}`))
	f.Add("group/", []byte("{\"members\":-1}\n"))
	f.Add("x", []byte("{\"packed\":9223372036854775807,\"members\":2}\na\nb"))
	f.Add("group/g", []byte("{\"members\":2}\na\nb"))
	f.Fuzz(func(t *testing.T, field string, value []byte) {
		links := map[directory.Ref]plan.Link{}
		if addLink(links, field, string(value)) == nil {
			for _, l := range links {
				at := func(t *time.Time) { *t = t.UTC() }
				at(&l.Created)
				at(&l.Departed)
				if got, err := unpackLink(string(packLink(l))); err != nil || !reflect.DeepEqual(got, l) {
					t.Errorf("the link %+v of %q is stored as %+v, %v", l, value, got, err)
				}
			}
		}
		var facts Facts
		if json.Unmarshal(value, &facts) == nil {
			if _, err := json.Marshal(facts); err != nil {
				t.Errorf("the facts of %q cannot be stored: %v", value, err)
			}
		}
		groups := map[directory.ID]plan.Confirmed{}
		if addConfirmed(groups, field, string(value)) != nil {
			return
		}
		c := groups[directory.ID(field)]
		again, err := pack(c)
		if err != nil {
			t.Fatalf("the members %+v of %q cannot be stored: %v", c, value, err)
		}
		if got, err := unpack(string(again)); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("unpack(pack(%+v)) = %+v, %v", c, got, err)
		}
	})
}

// The compact form has every field of a link.
func TestEveryFieldOfALinkIsStored(t *testing.T) {
	t.Parallel()
	var l plan.Link
	fields := reflect.ValueOf(&l).Elem()
	for i := range fields.NumField() {
		switch f := fields.Field(i); {
		case f.Kind() == reflect.Bool:
			f.SetBool(true)
		case f.Kind() == reflect.String:
			f.SetString(fields.Type().Field(i).Name)
		case f.Type() == reflect.TypeFor[time.Time]():
			f.Set(reflect.ValueOf(time.Unix(int64(i), 0).UTC()))
		default:
			t.Fatalf("the test cannot set %s", fields.Type().Field(i).Name)
		}
	}
	if got, err := unpackLink(string(packLink(l))); err != nil || !reflect.DeepEqual(got, l) {
		t.Errorf("%+v is stored as %+v, %v", l, got, err)
	}
}
