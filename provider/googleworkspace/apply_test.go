package googleworkspace_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

func kind(err error) fault.Kind { return fault.KindOf(err) }

func TestCreatedUserIsReadBack(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	id := w.must(newUser("u1", "liz@example.com"))
	got := w.object(id)
	want := plan.Object{
		Ref: user("u1"), RemoteID: id, Address: "liz@example.com", Aliases: []string{"liz@example.com.test-google-a.com"},
		Active: true,
		Fields: directory.Attributes{{Name: "name.familyName", Values: []string{"Smith"}},
			{Name: "name.givenName", Values: []string{"Liz"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read back (-want +got):\n%s", diff)
	}
}

func TestCreateAgainFindsTheAccount(t *testing.T) {
	t.Parallel()
	w := open(t, setup{})
	for _, c := range []plan.Change{newUser("u1", "liz@example.com"), newGroup("g1", "sales@example.com")} {
		first := w.must(c)
		if again := w.must(c); again != first {
			t.Errorf("second create of %s gave %s, want %s", c.Ref, again, first)
		}
	}
	if n := len(w.read(provider.Query{}).Objects); n != 3 {
		t.Errorf("%d objects, want the administrator, the user and the group", n)
	}
}
