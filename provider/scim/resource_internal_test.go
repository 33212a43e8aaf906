package scim

import (
	"encoding/json"
	"testing"
)

// A PUT sends back the numbers of others with all their digits, and an id may be a number.
func TestNumbersStayAsTheyAre(t *testing.T) {
	t.Parallel()
	const text = `{"id":12345678901234567891,"rate":1.50}`
	r, err := decode([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.copied()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := json.Marshal(again); string(got) != text || err != nil || r.id() != "12345678901234567891" {
		t.Errorf("a copy of %s is %s, %v", text, got, err)
	}
}

// Some servers name a manager only by its address.
func TestAReferenceNamesAnID(t *testing.T) {
	t.Parallel()
	manager := slots["enterprise.manager"]
	for text, want := range map[string]string{
		`{"value": "a"}`: "a", `{"$ref": "../Users/a%2Fb/"}`: "a/b",
		`{"value": "a", "$ref": "https://example.com/Users/b?x=1"}`: "a", `{"$ref": "https://example.com/Users/b?x=1"}`: "b",
		`{"displayName": "Ann"}`: "", `{"$ref": "%zz"}`: "",
	} {
		var v any
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		r := resource{EnterpriseSchema: map[string]any{"manager": v}}
		if got := r.get(manager, false); got != want {
			t.Errorf("the manager of %s is %q, want %q", text, got, want)
		}
	}
}

// TestTheOnlyAddressIsPrimary covers servers with one value in each attribute, of which AWS wants a primary one.
func TestTheOnlyAddressIsPrimary(t *testing.T) {
	t.Parallel()
	for single, want := range map[bool]any{true: true, false: nil} {
		list, _ := changed(nil, slots["emails.home"], "ann@example.com", single).([]any)
		if len(list) != 1 || list[0].(map[string]any)["primary"] != want {
			t.Errorf("single_values: %v: %v, want primary: %v", single, list, want)
		}
	}
}
