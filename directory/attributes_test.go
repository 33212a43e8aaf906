package directory_test

import (
	"testing"

	"rollcall/directory"
)

// LDAP values have no order, so a reorder is no new version. The caller's entry stays as it is.
func TestDigestDoesNotDependOnTheOrderOfValues(t *testing.T) {
	t.Parallel()
	with := func(values ...string) directory.Entry {
		return directory.Entry{Kind: directory.User, ID: "u",
			Attributes: directory.Attributes{{Name: "mail", Values: values}}}
	}
	e, reordered, other := with("b@x", "a@x"), with("a@x", "b@x"), with("a@x", "c@x")
	if e.Digest() != reordered.Digest() {
		t.Error("the digest depends on the order of values")
	}
	if e.Digest() == other.Digest() {
		t.Error("entries with other values have one digest")
	}
	if e.Attributes.Get("mail") != "b@x" {
		t.Errorf("Digest() changed the entry: %v", e.Attributes)
	}
}
