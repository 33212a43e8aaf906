package ledger

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

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
	f.Add("group/", []byte("{\"members\":-1}\n"))
	f.Add("x", []byte("{\"packed\":9223372036854775807,\"members\":2}\na\nb"))
	f.Add("group/g", []byte("{\"members\":2}\na\nb"))
	f.Fuzz(func(t *testing.T, field string, value []byte) {
		links := map[directory.Ref]plan.Link{}
		if addLink(links, field, string(value)) == nil {
			for _, l := range links {
				if _, err := json.Marshal(l); err != nil {
					t.Errorf("the link %+v of %q cannot be stored: %v", l, value, err)
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
