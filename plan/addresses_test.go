package plan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
)

func aliased(o plan.Object, aliases ...string) plan.Object {
	o.Aliases = aliases
	return o
}

// details returns the details of the held entries, by the entry.
func details(p plan.Plan) map[string]string {
	out := map[string]string{}
	for _, h := range p.Held {
		out[h.Ref.String()] = h.Detail
	}
	return out
}

// A ring of addresses is held, and the message to each entry names the whole ring. A chain with a
// free end goes on.
func TestARingOfAddressesIsNamed(t *testing.T) {
	t.Parallel()
	for _, keeps := range []bool{false, true} {
		p := plan.Compute(plan.Input{
			Now: now, Policy: suspend, Capabilities: plan.Capabilities{RenameKeepsAddress: keeps},
			Desired: []plan.Desired{want("a", "b@x"), want("b", "c@x"), want("c", "a@x"), want("d", "a2@x"),
				want("e", "d@x")},
			State: plan.State{Objects: []plan.Object{have("a", "1", "a@x"), have("b", "2", "b@x"), have("c", "3", "c@x"),
				have("d", "4", "d@x"), have("e", "5", "e@x")}},
		})
		if diff := cmp.Diff([]string{"update user/d address:d@x>a2@x", "update user/e address:e@x>d@x"},
			lines(plan.Plan{Changes: p.Changes})); diff != "" {
			t.Errorf("renames keep addresses: %v: changes (-want +got):\n%s", keeps, diff)
		}
		for entry, text := range details(p) {
			for _, part := range []string{`user "a" (a@x to b@x)`, `user "b" (b@x to c@x)`, `user "c" (c@x to a@x)`,
				"Give the account of one of them a free address by hand"} {
				if !strings.Contains(text, part) {
					t.Errorf("%s: %q does not name %q", entry, text, part)
				}
			}
			if keeps != strings.Contains(text, "from its aliases") {
				t.Errorf("%s: %q; want advice about aliases: %v", entry, text, keeps)
			}
		}
		if len(p.Held) != 3 {
			t.Errorf("held %v, want the three of the ring", details(p))
		}
	}
}

// What keeps an address is named with its entry and with what helps.
func TestAKeptAddressNamesItsEntry(t *testing.T) {
	t.Parallel()
	p := plan.Compute(plan.Input{
		Now: now, Policy: suspend, Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		Desired: []plan.Desired{want("a", "a@x"), want("b", "old@x"), want("c", "gone@x")},
		State:   plan.State{Objects: []plan.Object{aliased(have("a", "1", "a@x"), "old@x"), have("g", "2", "gone@x")}},
	})
	want := map[string]string{
		"user/b": `old@x, as an alias of user a@x (1) has the address and is the account of user "a" (a): ` +
			"delete the alias, or give the entry another address",
		"user/c": `user gone@x (2) has the address and is the account of user "gone@x" (g), which left: ` +
			"rename or delete that account, or give the entry another address",
	}
	if diff := cmp.Diff(want, details(p)); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
}
