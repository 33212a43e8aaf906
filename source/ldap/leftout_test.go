package ldap_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/internal/slapdtest"
	"rollcall/source"
)

// TestMembersThatAreLeftOut: a value that leads to no usable entry is named with its group and the reason, in the notes
// of a read and where the group is located. Of an entry that moved, both names are given.
func TestMembersThatAreLeftOut(t *testing.T) {
	t.Parallel()
	const moved = "uid=max,ou=renamed,ou=people," + slapdtest.Suffix
	content := someone("ada") + slapdtest.Entry("uid=robot,"+peopleDN, "objectClass", "account", "uid", "robot") +
		slapdtest.Entry(moved, "objectClass", "inetOrgPerson", "entryUUID", uuid("max"), "uid", "max", "cn", "max", "sn",
			"max") +
		team("g", "member", "uid=ada,"+peopleDN, "member", "uid=gone,"+peopleDN, "member", "uid=robot,"+peopleDN,
			"member", "uid=max,ou=staff,"+peopleDN, "member", "cn=x,dc=elsewhere", "member", "nonsense")
	want := map[string]string{
		"uid=gone," + peopleDN:  "no such entry, or the bind account may not see it",
		"uid=robot," + peopleDN: "it exists and is not in scope",
		"uid=max,ou=staff," + peopleDN: "no such entry, or the bind account may not see it; " + moved +
			" has the same name: if that entry was moved, repair the value in the directory",
		"cn=x,dc=elsewhere": "it is outside the searched bases",
		"nonsense":          "it is not a DN",
	}
	s := open(t, fileConfig(t, content))
	notes := strings.Join(read(t, s).Notes, "\n")
	for value, reason := range want {
		if text := value + " of cn=g," + groupsDN + " (" + reason + ")"; !strings.Contains(notes, text) {
			t.Errorf("notes = %q, want %q", notes, text)
		}
	}
	found, err := s.Locate(t.Context(), source.Wanted{ID: directory.ID(uuid("g")), Kind: directory.Group})
	if err != nil || len(found.Sightings) != 1 {
		t.Fatalf("Locate() = %+v, %v, want the group", found, err)
	}
	got := map[string]string{}
	for _, l := range found.Sightings[0].LeftOut {
		got[l.Value] = l.Reason
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("left out of the located group (-want +got):\n%s", diff)
	}
}
