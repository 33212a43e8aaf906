package plan_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func user(id string) directory.Ref { return directory.Ref{Kind: directory.User, ID: directory.ID(id)} }
func group(id string) directory.Ref {
	return directory.Ref{Kind: directory.Group, ID: directory.ID(id)}
}

func fields(kv ...string) (a directory.Attributes) {
	for i := 0; i < len(kv); i += 2 {
		a = a.Set(kv[i], kv[i+1])
	}
	return a
}

// want is a person who should have an account.
func want(id, address string, f ...string) plan.Desired {
	return plan.Desired{Ref: user(id), Label: id, Address: address, Active: true, Fields: fields(f...), Version: "v-" +
		id, Source: "corp"}
}

// have is an account that carries an anchor, or none if id is empty.
func have(id, remote, address string, f ...string) plan.Object {
	return plan.Object{Ref: user(id), RemoteID: remote, Address: address, Active: true, Fields: fields(f...)}
}

func team(id, address string, members ...string) plan.Desired {
	d := plan.Desired{Ref: group(id), Label: id, Address: address, Active: true}
	for _, m := range members {
		passive := strings.HasSuffix(m, "?")
		d.Members = append(d.Members, plan.Member{Ref: user(strings.TrimSuffix(m, "?")), Passive: passive})
	}
	return d
}

func teamObject(id, remote, address string, members ...string) plan.Object {
	return plan.Object{Ref: group(id), RemoteID: remote, Address: address, Active: true, Members: members}
}

var suspend = plan.Policy{UserDeleteAction: plan.ActionSuspend, GroupDeleteAction: plan.ActionDoNothing,
	DeleteAfter: 720 * time.Hour}

// lines renders what a test compares, with one line for each change, held entry or note.
func lines(p plan.Plan) []string {
	out := []string{}
	for _, c := range p.Changes {
		s := fmt.Sprintf("%s %s", c.Op, c.Ref)
		if c.Member != nil {
			s += " " + c.Member.String()
		}
		for _, f := range c.Fields {
			if c.Op != plan.Create {
				s += fmt.Sprintf(" %s:%s>%s", f.Name, strings.Join(f.Before, ","), strings.Join(f.After, ","))
			}
		}
		if c.Why != "" {
			s += " because " + string(c.Why)
		}
		out = append(out, s)
	}
	for _, h := range p.Held {
		out = append(out, fmt.Sprintf("held %s %s", h.Ref, h.Reason))
	}
	for _, n := range p.Notes {
		out = append(out, fmt.Sprintf("note %s %s", n.Ref, n.Reason))
	}
	return out
}

func TestCompute(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		in   plan.Input
		want []string
	}{
		{"a rename frees the address for a joiner", plan.Input{
			Desired: []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "old@x")}},
		}, []string{"update user/a address:old@x>new@x", "create user/b"}},
		{"also where the old address stays as an alias at first", plan.Input{
			Desired:      []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			State:        plan.State{Objects: []plan.Object{have("a", "1", "old@x")}},
			Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		}, []string{"update user/a address:old@x>new@x", "create user/b"}},
		{"an alias is not taken", plan.Input{
			Desired:      []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			State:        plan.State{Objects: []plan.Object{aliased(have("a", "1", "new@x"), "old@x")}},
			Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		}, []string{"held user/b address_kept"}},
		{"unless a rename was made to free it", plan.Input{
			Desired:      []plan.Desired{want("a", "new@x"), want("b", "old@x")},
			Links:        map[directory.Ref]plan.Link{user("a"): {RemoteID: "1", Yields: "old@x"}},
			State:        plan.State{Objects: []plan.Object{aliased(have("a", "1", "new@x"), "old@x")}},
			Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		}, []string{"create user/b"}},
		{"two who swap addresses are held", plan.Input{
			Desired: []plan.Desired{want("a", "b@x"), want("b", "a@x")},
			State:   plan.State{Objects: []plan.Object{have("a", "1", "a@x"), have("b", "2", "b@x")}},
		}, []string{"held user/a address_kept", "held user/b address_kept"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.in.Now = now
			if tc.in.Policy == (plan.Policy{}) {
				tc.in.Policy = suspend
			}
			if diff := cmp.Diff(tc.want, lines(plan.Compute(tc.in))); diff != "" {
				t.Errorf("Compute() (-want +got):\n%s", diff)
			}
		})
	}
}

func TestComputeIgnoresWhatAProviderNormalises(t *testing.T) {
	t.Parallel()
	p := plan.Compute(plan.Input{
		Now: now, Policy: suspend,
		Capabilities: plan.Capabilities{Normal: map[string]plan.Normal{"name": plan.Trim | plan.Squeeze,
			"mails": plan.Fold | plan.Unordered, "country": plan.Trim | plan.Permanent, "phone": plan.Dial}},
		Desired: []plan.Desired{{Ref: user("a"), Address: "a@x", Active: true,
			Fields: directory.Attributes{{Name: "mails", Values: []string{"B@x", "a@x"}},
				{Name: "name", Values: []string{" Ada  Lovelace "}}, {Name: "country", Values: []string{" "}},
				{Name: "phone", Values: []string{"+44 (20) 7946-0123"}}}}},
		State: plan.State{Objects: []plan.Object{{Ref: user("a"), RemoteID: "1", Address: "a@x", Active: true,
			Fields: directory.Attributes{{Name: "mails", Values: []string{"a@x", "b@x"}},
				{Name: "name", Values: []string{"Ada Lovelace"}}, {Name: "country", Values: []string{"GB"}},
				{Name: "phone", Values: []string{"tel:+44-20-7946-0123"}}}}}},
	})
	if !p.Empty() {
		t.Errorf("Compute() = %v, want no change", lines(p))
	}
}

// The counts say how many entries are as they should be, each once.
func TestCounts(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{want("a", "a@x"), want("b", "b@x"),
		want("c", "c@x"), team("g", "g@x", "a", "b", "c"), team("h", "h@x")},
		State: plan.State{Objects: []plan.Object{have("a", "1", "a@x"), have("b", "2", "old-b@x"), have("", "3", "z@x"),
			teamObject("g", "4", "g@x", "1"), teamObject("h", "5", "h@x", "2")}}}
	in.State.Others = plan.Tally{User: 10, Group: 20, Membership: 30}
	want := plan.Counts{Desired: plan.Tally{User: 13, Group: 22, Membership: 33},
		Anchored: plan.Tally{User: 12, Group: 22, Membership: 32}, Foreign: plan.Tally{User: 1},
		Unchanged: plan.Tally{User: 1, Group: 2, Membership: 1}}
	if diff := cmp.Diff(want, plan.Compute(in).Counts); diff != "" {
		t.Errorf("Counts (-want +got):\n%s", diff)
	}
}

// A field with the address of another account is written by itself, when that account exists.
func TestReferencesAreUpdatesOfTheirOwn(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		have, want []string // fields of ann
		lines      []string
	}{
		"the manager alone": {[]string{"title", "T"}, []string{"manager", "Bob@x", "title", "T"},
			[]string{"update user/ann manager:>Bob@x"}},
		"and a title": {[]string{"title", "T"}, []string{"manager", "bob@x", "title", "U"},
			[]string{"update user/ann title:T>U", "update user/ann manager:>bob@x"}},
		"no account of ours": {[]string{"title", "T"}, []string{"manager", "foreign@x", "title", "T"}, []string{}},
		"an alias of one":    {[]string{"title", "T"}, []string{"manager", "alias@x", "title", "T"}, []string{}},
	} {
		in := plan.Input{Now: now, Policy: suspend,
			Desired:      []plan.Desired{want("ann", "ann@x", tc.want...), want("bob", "bob@x")},
			Capabilities: plan.Capabilities{Refers: []string{"manager"}},
			State: plan.State{Objects: []plan.Object{have("ann", "1", "ann@x", tc.have...),
				aliased(have("bob", "2", "bob@x"), "alias@x"), have("", "3", "foreign@x")}}}
		if diff := cmp.Diff(tc.lines, lines(plan.Compute(in))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The address of an account is none of its aliases.
func TestAliasesAreOtherAddresses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		mirror bool
		want   directory.Attributes
		lines  []string
	}{
		"with the address": {false, fields("title", "T").Set("aliases", "a@x", "b@x"),
			[]string{"update user/a aliases:>b@x"}},
		"the address alone": {false, fields("aliases", "a@x"), []string{}},
		"without":           {false, fields().Set("aliases", "b@x", "c@x"), []string{"update user/a aliases:>b@x,c@x"}},
		"in the local copy": {true, fields("aliases", "a@x"), []string{"update user/a aliases:>a@x"}},
	} {
		d := want("a", "a@x")
		d.Fields = tc.want
		o := have("a", "1", "a@x")
		if tc.want.Get("title") != "" {
			o.Fields = fields("title", "T")
		}
		in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{d},
			Capabilities: plan.Capabilities{Mirror: tc.mirror}, State: plan.State{Objects: []plan.Object{o}}}
		if diff := cmp.Diff(tc.lines, lines(plan.Compute(in))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// An account keeps a value that is one of several in the directory. A field with one value on one side and several on
// the other has no other option.
func TestLaw14AnAccountKeepsOneOfSeveralValues(t *testing.T) {
	t.Parallel()
	d := want("a", "a@x", "title", "Boss", "phone", "1", "room", "7")
	d.Fields = d.Fields.Set("phones", "1", "2")
	other := want("a", "b@x", "title", "Chief", "room", "7")
	other.Fields = other.Fields.Set("phone", "1", "2").Set("phones", "3")
	d.AddOption(&other)
	d.AddOption(&other)
	if diff := cmp.Diff(fields("address", "b@x", "title", "Chief"), d.Options); diff != "" {
		t.Errorf("options (-want +got):\n%s", diff)
	}
	for value, want := range map[string][]string{"Chief": {}, "Boss": {}, "Clerk": {"update user/a title:Clerk>Boss"}} {
		o := have("a", "1", "b@x", "title", value, "phone", "1", "room", "7")
		o.Fields = o.Fields.Set("phones", "1", "2")
		in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{d}, State: plan.State{Objects: []plan.Object{o}}}
		if diff := cmp.Diff(want, lines(plan.Compute(in))); diff != "" {
			t.Errorf("title %s (-want +got):\n%s", value, diff)
		}
	}
}

// A list of more than five names is cut.
func TestAListOfRivalsIsShort(t *testing.T) {
	t.Parallel()
	for n, says := range map[int]string{6: `user "e5" (e5)`, 7: `user "e5" (e5) and 1 more`} {
		in := plan.Input{Now: now, Policy: suspend}
		for i := range n {
			in.Desired = append(in.Desired, want(fmt.Sprintf("e%d", i), "same@x"))
		}
		if got := details(plan.Compute(in))["user/e0"]; !strings.HasSuffix(got, says) {
			t.Errorf("%d rivals: %q, want %q at the end", n, got, says)
		}
	}
}

// An entry that cannot be used is named by its account where the source gives no name.
func TestAFindingIsNamed(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		finding directory.Finding
		account bool
		want    string
	}{
		{directory.Finding{Ref: user("a"), Problem: "no"}, true, "a@x"},
		{directory.Finding{Ref: user("a"), Problem: "no"}, false, ""},
		{directory.Finding{Ref: user("a"), DN: "uid=a", Problem: "no"}, true, "uid=a"},
		{directory.Finding{Ref: user("a"), Label: "Ann", DN: "uid=a", Problem: "no"}, true, "Ann"},
	} {
		in := plan.Input{Now: now, Policy: suspend, Findings: []directory.Finding{tc.finding}}
		if tc.account {
			in.State.Objects = []plan.Object{have("a", "1", "a@x")}
		}
		if p := plan.Compute(in); len(p.Held) != 1 || p.Held[0].Label != tc.want {
			t.Errorf("%+v: held %v, want the label %q", tc, p.Held, tc.want)
		}
	}
}

// A creation in the full plan of a mirror has its fields once, in Sets. Whole has all that is set, and nothing that is
// empty.
func TestACreationHasItsFieldsOnce(t *testing.T) {
	t.Parallel()
	d := want("a", "", "title", "T")
	d.Fields = append(d.Fields, directory.Attribute{Name: "zone"})
	in := plan.Input{Now: now, Capabilities: plan.Capabilities{Mirror: true}, Desired: []plan.Desired{d}}
	for _, only := range [][]directory.Ref{nil, {user("a")}} {
		in.Only = only
		c := plan.Compute(in).Changes[0]
		if full := only == nil; (len(c.Sets) > 0) != full || (len(c.Fields) > 0) == full {
			t.Errorf("for %v: sets %v, fields %v", only, c.Sets, c.Fields)
		}
		whole := c.Whole()
		if diff := cmp.Diff([]plan.FieldChange{{Name: "title", After: []string{"T"}}}, whole.Fields); diff != "" {
			t.Errorf("for %v: Whole() (-want +got):\n%s", only, diff)
		}
	}
}

// The order in which a tenant lists several accounts of one entry changes nothing.
func TestLaw9TheOrderOfAmbiguousAccounts(t *testing.T) {
	t.Parallel()
	a, b := have("a", "1", "a@x"), have("a", "2", "b@x")
	in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{want("a", "a@x")},
		State: plan.State{Objects: []plan.Object{a, b}}}
	back := in
	back.State.Objects = []plan.Object{b, a}
	if diff := cmp.Diff(details(plan.Compute(in)), details(plan.Compute(back))); diff != "" {
		t.Errorf("the order of accounts changed the plan:\n%s", diff)
	}
}

// A job for one entry does not know whether the entry that has its address frees it.
func TestAJobForOneEntryLeavesAnAddressToAFullSync(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Policy: suspend, Only: []directory.Ref{user("b")},
		Desired: []plan.Desired{want("a", "new@x"), want("b", "old@x")},
		State:   plan.State{Objects: []plan.Object{have("a", "1", "old@x")}}}
	if got := details(plan.Compute(in))["user/b"]; !strings.Contains(got, "a full sync frees the address") {
		t.Errorf("held %q, want that a full sync frees the address", got)
	}
	in.Only = nil
	if p := plan.Compute(in); len(p.Held) > 0 || len(p.Changes) != 2 {
		t.Errorf("a full plan: %v, want a rename and a creation", lines(p))
	}
}

// A full plan says of an address that a held entry keeps that its own address has to change first.
func TestAnAddressThatIsKeptByAHeldEntry(t *testing.T) {
	t.Parallel()
	a := want("a", "new@x")
	a.Held = plan.BadMapping
	in := plan.Input{Now: now, Policy: suspend, Desired: []plan.Desired{a, want("b", "old@x")},
		State: plan.State{Objects: []plan.Object{have("a", "1", "old@x")}}}
	const says = "keeps it until its own address can be changed"
	if got := details(plan.Compute(in))["user/b"]; !strings.HasSuffix(got, says) {
		t.Errorf("held %q, want %q at the end", got, says)
	}
}

// An entry does not take its own former address from itself, and takes that of another one from it.
func TestAnAliasIsTakenFromTheEntryThatYieldsIt(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Policy: suspend, Capabilities: plan.Capabilities{RenameKeepsAddress: true},
		Desired: []plan.Desired{want("a", "new@x"), want("b", "old@x"), want("c", "c@x")},
		Links:   map[directory.Ref]plan.Link{user("c"): {RemoteID: "3", Yields: "c@x"}},
		State:   plan.State{Objects: []plan.Object{have("a", "1", "old@x"), aliased(have("c", "3", "old-c@x"), "c@x")}}}
	got := map[string]string{}
	for _, c := range plan.Compute(in).Changes {
		got[c.Ref.String()] = c.TakenFrom
	}
	if diff := cmp.Diff(map[string]string{"user/a": "", "user/b": "1", "user/c": ""}, got); diff != "" {
		t.Errorf("TakenFrom (-want +got):\n%s", diff)
	}
}

func TestOperationsOutOfRange(t *testing.T) {
	t.Parallel()
	for _, op := range []plan.Op{0, plan.Delete + 1} {
		if got := op.String(); got != "op?" {
			t.Errorf("Op(%d) = %q", op, got)
		}
	}
}
