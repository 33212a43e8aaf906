package mapping_test

import (
	"testing"

	"rollcall/mapping"
	"rollcall/plan"
)

func TestDigestMovesWithEverySetting(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for i, opts := range []mapping.Options{
		{},
		{Domain: "example.org"},
		{FilterGroup: "staff"},
		{Exclude: []string{"a*"}},
		{Nested: mapping.Keep},
		{UserFilter: "active"},
		{GroupFilter: "active"},
		{RekeyBy: "userName"},
		{NoAddress: plan.AddresslessLeaveOut},
		{NoAddressOf: map[string]plan.Addressless{"corp": plan.AddresslessLeaveOut}},
		{User: map[string]string{"title": "cn"}},
		{User: map[string]string{"title": "mail"}},
		{User: map[string]string{"active": "true"}},
		{Group: map[string]string{"address": "mail"}},
	} {
		d := compile(t, opts).Digest()
		if first, twice := seen[d]; twice {
			t.Errorf("options %d and %d have the same digest", first, i)
		}
		seen[d] = i
		if again := compile(t, opts).Digest(); again != d {
			t.Errorf("options %d: %s, then %s", i, d, again)
		}
	}
}
