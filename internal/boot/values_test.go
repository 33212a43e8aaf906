package boot_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/explain"
)

// oddStaff are people with odd values. Each value is encoded in base64, so that any byte is possible.
func oddStaff(people map[int]map[string]string) string {
	var b strings.Builder
	for _, i := range slices.Sorted(maps.Keys(people)) {
		p := people[i]
		fmt.Fprintf(&b, "dn: uid=p%d,ou=people,dc=example,dc=org\nobjectClass: inetOrgPerson\nentryUUID: %s\ncn: Person "+
			"%[1]d\n",
			i, id(100+i))
		whole := map[string]string{"uid": fmt.Sprintf("p%d", i), "givenName": "Given", "sn": "Family",
			"mail": fmt.Sprintf("p%d@example.org", i)}
		for name, value := range p {
			if name == "userid" {
				delete(whole, "uid")
			}
			whole[name] = value
		}
		for name, value := range whole {
			fmt.Fprintf(&b, "%s:: %s\n", name, base64.StdEncoding.EncodeToString([]byte(value)))
		}
		b.WriteString("\n")
	}
	return b.String()
}

// TestLaw8OddValuesThroughBothHops writes nothing that the directory does not say, and nothing that hides its meaning.
// Every other person is provisioned, each held value is named, and the second sync has nothing to do.
func TestLaw8OddValuesThroughBothHops(t *testing.T) {
	t.Parallel()
	for _, file := range []bool{true, false} {
		t.Run(fmt.Sprintf("file %t", file), func(t *testing.T) {
			t.Parallel()
			oddValues(t, file)
		})
	}
}

const decomposed = "Ge\u0301rard"

func oddValues(t *testing.T, file bool) {
	t.Helper()
	people := map[int]map[string]string{
		0: {},
		3: {"sn": decomposed},                 // kept so
		4: {"sn": "Safe\u202eexe.ylimaF"},     // a bidi override
		5: {"sn": "Bell\x07"},                 // a control character
		6: {"userid": "p6"},                   // another name of uid
		8: {"mail": "kim@example.org"},        // the real one
		9: {"mail": "Upper.Case@EXAMPLE.org"}, // folded
	}
	text, unreadable, named := oddStaff(people), []string(nil), []string{"p4", "p5"}
	if file { // A server with the standard schema refuses such values.
		people[1] = map[string]string{"sn": "M\xfcller"}              // ISO 8859-1
		people[2] = map[string]string{"sn": "Cut \xc3"}               // a cut character
		people[7] = map[string]string{"mail": "\u212aim@example.org"} // the Kelvin sign, which is not k
		text, unreadable, named = tree+oddStaff(people), []string{"p1", "p2"}, append(named, "p1", "p2", "p7")
	}
	o := newOffice(t, officeOptions{ldif: text, file: file})
	o.sync(corp, workspace, entra)
	got := map[string]string{}
	for _, u := range o.tenant.Users() {
		got[u.PrimaryEmail] = u.FamilyName
	}
	delete(got, "admin@example.org")
	want := map[string]string{
		"p0@example.org": "Family", "p3@example.org": decomposed, "p6@example.org": "Family", "kim@example.org": "Family",
		"upper.case@example.org": "Family",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("family names at Google (-want +got):\n%s", diff)
	}
	for _, u := range o.graph.Users() {
		local, _, _ := strings.Cut(u.UserPrincipalName, "@")
		if slices.Contains([]string{"p1", "p2", "p7"}, local) || strings.Contains(local, "\u212a") {
			t.Errorf("Entra has an account %s", u.UserPrincipalName)
		}
	}
	for _, name := range named {
		if d := o.explain(explain.ByUserName, name); d.Entry == nil || d.Entry.Kind != directory.User {
			t.Errorf("explain %s: %+v", name, d.Verdict)
		}
	}
	writes := func() (n int) {
		for _, plan := range []string{"google_workspace/1", "microsoft_entra/1"} {
			var doc struct {
				Summary struct {
					Changes map[string]any `json:"changes"`
				} `json:"summary"`
			}
			o.call("GET", "/providers/"+plan+"/sync/plan/", "", 200, &doc)
			n += len(doc.Summary.Changes)
		}
		return n
	}
	if writes() == 0 {
		t.Error("the first plans have no changes")
	}
	o.sync(corp, workspace, entra)
	if n := writes(); n != 0 {
		t.Errorf("the second plans have %d kinds of changes, want none", n)
	}
	for _, text := range unreadable {
		var held struct {
			Conflicts []struct{ ID, Reason, Detail string } `json:"conflicts"`
		}
		o.call("GET", "/sources/ldap/corp/sync/held/", "", 200, &held)
		if !slices.ContainsFunc(held.Conflicts, func(c struct{ ID, Reason, Detail string }) bool {
			return strings.Contains(c.Detail, "uid="+text+",") && strings.Contains(c.Detail, "sn is not UTF-8")
		}) {
			t.Errorf("the source names no sn of %s: %+v", text, held.Conflicts)
		}
	}
	for _, text := range []string{"Safe", "Bell"} {
		var held struct {
			Conflicts []struct{ Label, Detail string } `json:"conflicts"`
		}
		o.call("GET", "/providers/google_workspace/1/sync/held/", "", 200, &held)
		if !slices.ContainsFunc(held.Conflicts, func(c struct{ Label, Detail string }) bool {
			return strings.Contains(c.Detail, "name.familyName") && strings.Contains(c.Detail, text)
		}) {
			t.Errorf("Google's held entries name no family name with %s: %+v", text, held.Conflicts)
		}
	}
}
