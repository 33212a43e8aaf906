package plan_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// rejection returns the rejection of the value that the plan gives to a field of the entry.
func rejection(t *testing.T, in plan.Input, ref directory.Ref, field string, at time.Time) plan.Rejection {
	t.Helper()
	for _, c := range plan.Compute(in).Changes {
		if r, ok := c.Reject(field, at); ok && c.Ref == ref {
			return r
		}
	}
	t.Fatalf("the plan gives %s no %s", ref, field)
	return plan.Rejection{}
}

// A value that the tenant refused is not sent for 24 hours. It is named with its field, and all else goes on. A new
// value is sent at once.
func TestARefusedValueIsNotSentForADay(t *testing.T) {
	t.Parallel()
	in := plan.Input{
		Now: now, Policy: suspend,
		Desired: []plan.Desired{want("a", "new@x", "title", "Bad"), want("b", "b@x", "password", "Secret"),
			want("c", "a@x", "title", "Good")},
		State: plan.State{Objects: []plan.Object{have("a", "1", "a@x", "title", "Old")}},
	}
	whole := lines(plan.Compute(in))
	for name, tc := range map[string]struct {
		ref   directory.Ref
		field string
		want  []string
		says  string
	}{
		"a field of an account": {user("a"), "title", []string{"update user/a address:a@x>new@x", "create user/b",
			"create user/c", "held user/a mapping"}, `title: the tenant refused the value "Bad" at 2026-`},
		"a new address": {user("a"), plan.AddressField, []string{"update user/a title:Old>Bad", "create user/b",
			"held user/a mapping", "held user/c address_kept"}, `address: the tenant refused the value "new@x" at 2026-`},
		"a field of a new account": {user("b"), "password", []string{"update user/a address:a@x>new@x title:Old>Bad",
			"create user/c", "held user/b mapping"}, `password: the tenant refused the value "<redacted>" at 2026-`},
		"the address of a new account": {user("b"), plan.AddressField,
			[]string{"update user/a address:a@x>new@x title:Old>Bad", "create user/c", "held user/b mapping"},
			`address: the tenant refused the value "b@x" at 2026-`},
	} {
		later := in
		later.Rejections = []plan.Rejection{rejection(t, in, tc.ref, tc.field, now)}
		later.Now = now.Add(plan.RejectionLife - time.Second)
		p := plan.Compute(later)
		if diff := cmp.Diff(tc.want, lines(p)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := details(p)[tc.ref.String()]; !strings.HasPrefix(got, tc.says) {
			t.Errorf("%s: held %q, want %q", name, got, tc.says)
		}
		later.Now = now.Add(plan.RejectionLife)
		if diff := cmp.Diff(whole, lines(plan.Compute(later))); diff != "" {
			t.Errorf("%s, a day later (-want +got):\n%s", name, diff)
		}
		later.Now, later.Desired = now, []plan.Desired{want("a", "new2@x", "title", "Other"),
			want("b", "b2@x", "password", "Other"), want("c", "a@x", "title", "Good")}
		if p := plan.Compute(later); len(p.Held) > 0 || len(p.Changes) != 3 {
			t.Errorf("%s, other values: %v, want three changes", name, lines(p))
		}
	}
}

// What takes access away is never skipped.
func TestNoRejectionOfADeparture(t *testing.T) {
	t.Parallel()
	for _, c := range []plan.Change{{Op: plan.Suspend, Ref: user("a")}, {Op: plan.Delete, Ref: user("a")},
		{Op: plan.RemoveMember, Ref: user("a"), Member: new(user("b"))}} {
		c.Fields = []plan.FieldChange{{Name: "title", After: []string{"Bad"}}}
		if r, ok := c.Reject("title", now); ok {
			t.Errorf("%s: Reject() = %+v, want none", c.Op, r)
		}
	}
}

// An update that leaves a refused address out keeps the address, and an account that is brought back without it keeps
// its own.
func TestARefusedAddressIsNotThatOfTheAccount(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{want("a", "new@x", "title", "U")},
		State: plan.State{Objects: []plan.Object{have("a", "1", "a@x", "title", "T")}}}
	refused := rejection(t, in, user("a"), plan.AddressField, now)
	if c := plan.Compute(in).Changes[0]; c.Address != "new@x" {
		t.Errorf("a rename: address %s, want new@x", c.Address)
	}
	in.Rejections = []plan.Rejection{refused}
	if c := plan.Compute(in).Changes[0]; c.Address != "a@x" {
		t.Errorf("an update without the rename: address %s, want a@x", c.Address)
	}
	in.State.Objects, in.Capabilities.UndeleteWithin = nil, time.Hour
	in.State.Deleted = []plan.Deleted{{Ref: user("a"), RemoteID: "1", Address: "a@x", At: now}}
	if c := plan.Compute(in).Changes[0]; c.Op != plan.Undelete || c.Address != "a@x" {
		t.Errorf("an undelete without the rename: %s %s, want a@x", c.Op, c.Address)
	}
	in.Rejections = nil
	if c := plan.Compute(in).Changes[0]; c.Op != plan.Undelete || c.Address != "new@x" {
		t.Errorf("an undelete: %s %s, want new@x", c.Op, c.Address)
	}
	in.State.Deleted[0].Address = ""
	in.Rejections = []plan.Rejection{refused}
	if c := plan.Compute(in).Changes[0]; c.Op != plan.Undelete || c.Address != "new@x" {
		t.Errorf("an undelete of an account that comes back with any address: %s %s, want new@x", c.Op, c.Address)
	}
}

// A change that clears a field gives it no value that could be refused.
func TestNoRejectionOfAnEmptyValue(t *testing.T) {
	t.Parallel()
	c := plan.Change{Op: plan.Update, Ref: user("a"), Address: "a@x",
		Fields: []plan.FieldChange{{Name: "title", Before: []string{"T"}}}}
	for _, field := range []string{"title", "other", plan.AddressField} {
		if r, ok := c.Reject(field, now); ok {
			t.Errorf("Reject(%s) = %+v, want none", field, r)
		}
	}
}
