package boot_test

import (
	"fmt"
	"strings"
	"testing"

	"rollcall/explain"
	"rollcall/internal/slapdtest"
	"rollcall/status"
)

// withoutID removes the unique ids of an LDIF text.
func withoutID(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "entryUUID: ") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// people writes persons of a file, from p00 on.
func people(n int, change func(i int, text string) string) string {
	var out strings.Builder
	for i := range n {
		uid := fmt.Sprintf("p%02d", i)
		out.WriteString(change(i, someone(uid, "Given", uid, uid+"@example.org", i)))
	}
	return out.String()
}

// teamOf writes a group with the first n persons.
func teamOf(n int) string {
	var dns []string
	for i := range n {
		dns = append(dns, fmt.Sprintf("uid=p%02d,%s", i, slapdtest.People))
	}
	return team(1, "team", dns...)
}

// One entry whose id cannot be read is held, wherever it is, with its account and its groups. A leaver leaves in the
// same run. The directory mends, and nothing is left to do.
func TestLaw10AnEntryWithoutAReadableIDHoldsNoLeaver(t *testing.T) {
	t.Parallel()
	moved := strings.NewReplacer("dn: uid=p01,", "dn: uid=p01,ou=away,")
	for name, odd := range map[string]func(string) string{
		"without an id":           withoutID,
		"without an id and moved": func(text string) string { return withoutID(moved.Replace(text)) },
		"without an id and renamed": func(text string) string {
			return withoutID(strings.NewReplacer("p01,", "p01b,", "uid: p01", "uid: p01b").Replace(text))
		},
		"without an id and renamed, with another of its addresses": func(text string) string {
			return withoutID(strings.NewReplacer("p01,", "p01b,", "uid: p01", "uid: p01b", "mail: p01@example.org\n", "").
				Replace(text))
		},
		"with a DN that cannot be read": strings.NewReplacer("dn: uid=p01,", "dn: uid p01,").Replace,
		"with neither": func(text string) string {
			return withoutID(strings.NewReplacer("dn: uid=p01,", "dn: uid p01,").Replace(text))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			twice := func(i int, text string) string { // p01 has two addresses.
				if i == 1 {
					return strings.Replace(text, "mail: ", "mail: q01@example.org\nmail: ", 1)
				}
				return text
			}
			o := newOffice(t, officeOptions{ldif: tree + people(12, twice) + teamOf(12), file: true})
			o.sync(corp, workspace, entra)
			o.replace(tree + people(12, func(i int, text string) string {
				switch i {
				case 0:
					return ""
				case 1:
					return odd(twice(i, text))
				}
				return text
			}) + teamOf(12))
			for uid, leaves := range map[string]bool{"p00": true, "p01": false} {
				if s := source(t, o.explain(explain.ByUserName, uid)); (s.Code == explain.Leaving) != leaves {
					t.Errorf("before the run, %s is explained as %s: %s", uid, s.Code, s.Verdict)
				}
			}
			run := o.begin(corp)
			if run.TaskStatus() != status.TaskWarning {
				t.Errorf("the run of the source is %s, want a warning", run.TaskStatus())
			}
			o.says(run, "p01")
			o.sync(workspace, entra)
			for uid, want := range map[string]bool{"p00": false, "p01": true, "p02": true} {
				if google, entra := o.active(uid); google != want || entra != want {
					t.Errorf("%s is active at Google %t, Entra %t, want %t", uid, google, entra, want)
				}
			}
			for _, g := range o.tenant.Groups() {
				if members := o.tenant.Members(g.ID); len(members) != 11 {
					t.Errorf("%d members at Google, want all but the leaver", len(members))
				}
			}
			o.judge("again", o.tenants(), false)
			o.replace(tree + people(12, func(i int, text string) string {
				if i == 0 {
					return ""
				}
				return twice(i, text)
			}) + teamOf(12))
			o.judge("repaired", o.tenants(), true)
			if run := o.begin(corp); run.TaskStatus() != status.TaskSuccessful || work(run) > 0 {
				t.Errorf("the run of the repaired directory is %s and plans %d changes", run.TaskStatus(), work(run))
			}
		})
	}
}

// The ids of many entries are hidden. No person leaves then, not even those who have really left. When the ids can be
// read again, they leave.
func TestLaw13HiddenIDsHoldAllDepartures(t *testing.T) {
	t.Parallel()
	all := tree + people(30, func(_ int, text string) string { return text }) + teamOf(30)
	leave := func(hidden int) string {
		return tree + people(30, func(i int, text string) string {
			switch {
			case i == 0:
				return ""
			case i <= hidden:
				return withoutID(text)
			}
			return text
		}) + teamOf(30)
	}
	o := newOffice(t, officeOptions{ldif: all, file: true})
	o.sync(corp, workspace, entra)
	before := o.tenants()
	o.replace(leave(8))
	o.judge("hidden", before, false)
	o.says(o.begin(corp), "8 of 30 known users no longer have a readable unique id")
	o.judge("hidden for long", before, false)
	o.replace(leave(0))
	o.sync(corp, workspace, entra)
	if google, entra := o.active("p00"); google || entra {
		t.Errorf("the leaver is active at Google %t, Entra %t", google, entra)
	}
	o.judge("visible again", o.tenants(), true)
}
