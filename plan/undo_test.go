package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
)

// deleted is a team of which ann and bob were deleted by mistake, bob after he had been suspended; the pins undo that.
func deleted(t *testing.T, lost func(in *plan.Input)) (in plan.Input, remote *tenant, mistake plan.Plan) {
	t.Helper()
	in, remote = staffed()
	carry(t, &in, remote)
	in.Policy.UserDeleteAction, in.Policy.DeleteAfter = plan.ActionDelete, 0
	lost(&in)
	remote.remote(user("bob")).Active, remote.remote(user("bob")).Suspender = false, plan.Us
	return in, remote, carry(t, &in, remote)
}

// An entry that is wanted again before the undo gets the old account back, not a new one.
func TestUndoOfDeletionsThatTheSourceRegrets(t *testing.T) {
	t.Parallel()
	back := func(t *testing.T, in plan.Input, remote *tenant, before map[directory.Ref]string) {
		t.Helper()
		check(t, "the undo", carry(t, &in, remote),
			"undelete user/ann title:>T because reverted", "undelete user/bob title:>T because reverted",
			"add_member group/all user/ann", "add_member group/all user/bob")
		for ref, id := range before {
			if o := remote.remote(ref); o == nil || o.RemoteID != id {
				t.Errorf("%s is %+v, want the account %s", ref, o, id)
			}
		}
		carry(t, &in, remote) // A wanted account that came back suspended is activated.
		check(t, "the next sync", carry(t, &in, remote))
		if len(in.Pins) != 0 {
			t.Errorf("pins are left: %+v", in.Pins)
		}
		for ref := range before {
			if !remote.remote(ref).Active {
				t.Errorf("%s is still suspended", ref)
			}
		}
	}
	t.Run("the scope was put right", func(t *testing.T) {
		t.Parallel()
		everybody, _ := staffed()
		ids := map[directory.Ref]string{}
		in, remote, mistake := deleted(t, func(in *plan.Input) {
			in.OutOfScope = []directory.Ref{user("ann"), user("bob")}
			in.Desired = []plan.Desired{in.Desired[2], team("all", "all@x", "cid")}
		})
		for id, o := range remote.deleted {
			ids[o.Ref] = id
		}
		in.Desired, in.OutOfScope = everybody.Desired, nil
		in.Pins = undo(t, mistake.Changes, in)
		back(t, in, remote, ids)
	})
	t.Run("the source was mended", func(t *testing.T) {
		t.Parallel()
		everybody, _ := staffed()
		ids := map[directory.Ref]string{}
		in, remote, mistake := deleted(t, func(in *plan.Input) { leave(in, "ann", "bob") })
		for id, o := range remote.deleted {
			ids[o.Ref] = id
		}
		in.Desired, in.Versions = everybody.Desired, everybody.Versions
		in.Pins = undo(t, mistake.Changes, in)
		back(t, in, remote, ids)
	})
}

// An entry that is back in the source but disabled comes back suspended and is not deleted again.
func TestUndoOfDeletionsOfWhoIsDisabledNow(t *testing.T) {
	t.Parallel()
	everybody, _ := staffed()
	in, remote, mistake := deleted(t, func(in *plan.Input) { leave(in, "ann", "bob") })
	in.Desired, in.Versions = everybody.Desired, everybody.Versions
	in.Desired[0].Active, in.Desired[0].Why = false, plan.Disabled
	in.Pins = undo(t, mistake.Changes, in)
	carry(t, &in, remote)
	if o := remote.remote(user("ann")); o == nil || o.Active {
		t.Errorf("ann is %+v, want her back and suspended", o)
	}
	check(t, "the next sync", carry(t, &in, remote), "note user/ann disabled")
}

// When it is too late to bring an account back and the source wants one, it gets a new one.
func TestUndoOfDeletionsTooLateForWhoIsWanted(t *testing.T) {
	t.Parallel()
	everybody, _ := staffed()
	in, remote, mistake := deleted(t, func(in *plan.Input) { leave(in, "ann", "bob") })
	in.Desired, in.Versions = everybody.Desired, everybody.Versions
	in.Pins = undo(t, mistake.Changes, in)
	in.Now = in.Now.Add(21 * 24 * time.Hour)
	check(t, "too late", carry(t, &in, remote), "create user/ann", "create user/bob", "add_member group/all user/ann",
		"add_member group/all user/bob")
	check(t, "the next sync", carry(t, &in, remote))
}

// A sync was faster than the undo and made new accounts. They stay, and the plan says that the old ones do not come
// back.
func TestUndoOfDeletionsAfterNewAccounts(t *testing.T) {
	t.Parallel()
	everybody, _ := staffed()
	in, remote, mistake := deleted(t, func(in *plan.Input) { leave(in, "ann", "bob") })
	in.Desired, in.Versions = everybody.Desired, everybody.Versions
	carry(t, &in, remote)
	in.Pins = undo(t, mistake.Changes, in)
	check(t, "the undo", carry(t, &in, remote), "note user/ann reverted", "note user/bob reverted")
	check(t, "the next sync", carry(t, &in, remote))
}

// The undone suspension is that of an entry that a later run deleted. That run has to be undone, too.
func TestUndoOfOneOfTwoRuns(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	in.Policy.UserDeleteAction = plan.ActionDelete
	carry(t, &in, remote)
	leave(&in, "ann")
	at := in.Now
	suspended := carry(t, &in, remote)
	in.Links = map[directory.Ref]plan.Link{user("ann"): {Departed: at}}
	in.Now = at.Add(721 * time.Hour)
	gone := carry(t, &in, remote)
	check(t, "the second run", gone, "delete user/ann title:T> because absent")

	first := plan.Undone{Run: "first", At: at, Changes: suspended.Changes}
	second := plan.Undone{Run: "second", At: in.Now, Changes: gone.Changes}
	in.Now = in.Now.Add(time.Hour)
	pin := func(old []plan.Pin, u plan.Undone) []plan.Pin {
		pins, _ := plan.Undo(u, in.Desired, in.Versions, in.Now)
		in.Now = in.Now.Add(time.Hour)
		return plan.MergePins(old, pins)
	}
	in.Links = nil
	alone := in
	alone.Pins, alone.State = pin(nil, first), remote.state()
	check(t, "the undo of the first run alone", plan.Compute(alone), "note user/ann reverted")
	for _, order := range [][]plan.Undone{{first, second}, {second, first}} {
		both := in
		for _, u := range order {
			both.Pins = pin(both.Pins, u)
		}
		both.State = remote.state()
		p := plan.Compute(both)
		check(t, "the undo of both runs, "+order[0].Run+" first", p, "undelete user/ann title:>T because reverted",
			"add_member group/all user/ann")
		if len(p.Changes) > 0 && p.Changes[0].Inactive {
			t.Errorf("%s first: ann comes back suspended, want her as before the first run", order[0].Run)
		}
	}
}

// Two runs in a row are undone in either order, and the undo of an undo is what the first undo undid.
func TestUndoInEitherOrder(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	carry(t, &in, remote)
	title := func(to string) plan.Undone {
		in.Now = in.Now.Add(time.Hour)
		in.Desired[0].Fields = fields("title", to)
		p := carry(t, &in, remote)
		check(t, "a run", p, "update user/ann title:"+remoteTitle(p)+">"+to)
		return plan.Undone{Run: to, At: in.Now, Changes: p.Changes}
	}
	in.Desired = append([]plan.Desired(nil), in.Desired...)
	first, second := title("U"), title("W")
	revert := func(u plan.Undone) plan.Undone {
		in.Now = in.Now.Add(time.Hour)
		pins, _ := plan.Undo(u, in.Desired, in.Versions, in.Now)
		in.Pins = plan.MergePins(in.Pins, pins)
		p := carry(t, &in, remote)
		return plan.Undone{Run: "undo of " + u.Run, At: in.Now.Add(time.Minute), Changes: p.Changes}
	}
	is := func(what, want string) {
		t.Helper()
		if got := remote.remote(user("ann")).Fields.Get("title"); got != want {
			t.Errorf("%s: the title is %q, want %q", what, got, want)
		}
		check(t, "a sync after "+what, carry(t, &in, remote))
	}
	undoFirst := revert(first)
	is("the undo of the first", "T")
	revert(second)
	is("the undo of the second after the first", "T")
	revert(undoFirst)
	is("the undo of an undo", "W")
	if len(in.Pins) != 0 {
		t.Errorf("pins are left: %+v", in.Pins)
	}
	revert(second)
	is("the undo of the second", "U")
	revert(first)
	is("the undo of the first after the second", "T")
	revert(first)
	is("the undo of the first, again", "T")
}

func remoteTitle(p plan.Plan) string {
	if len(p.Changes) == 0 || len(p.Changes[0].Fields) == 0 {
		return ""
	}
	return p.Changes[0].Fields[0].Before[0]
}

// Groups change with every member that comes or goes. That ends no pin of theirs, and prevents no undo.
func TestUndoOfGroupsWhoseMembersChange(t *testing.T) {
	t.Parallel()
	crew := func(in *plan.Input, id, version string, title string, members ...directory.Ref) {
		d := team(id, id+"@x")
		d.Version, d.Fields = version, fields("title", title)
		for _, m := range members {
			d.Members = append(d.Members, plan.Member{Ref: m})
		}
		in.Desired = append(slices.DeleteFunc(slices.Clone(in.Desired),
			func(o plan.Desired) bool { return o.Ref == d.Ref }), d)
		in.Versions = maps.Clone(in.Versions)
		in.Versions[d.Ref] = version
	}
	in, remote := staffed()
	crew(&in, "team", "1", "Team", user("ann"))
	crew(&in, "all", "1", "All", group("team"), user("cid"))
	carry(t, &in, remote)
	crew(&in, "team", "1", "WRONG", user("ann")) // The mapping is wrong, and the nested group is lost.
	crew(&in, "all", "2", "All", user("cid"))
	mistake := carry(t, &in, remote)
	check(t, "the mistake", mistake, "remove_member group/all group/team", "update group/team title:Team>WRONG")

	crew(&in, "team", "2", "WRONG", user("ann"), user("bob"))
	carry(t, &in, remote)
	pins, cannot := plan.Undo(plan.Undone{Run: "mistake", Changes: mistake.Changes}, in.Desired, in.Versions, in.Now)
	if len(cannot) != 0 {
		t.Errorf("not undone: %+v", cannot)
	}
	in.Pins = pins
	check(t, "the undo", carry(t, &in, remote), "update group/team title:WRONG>Team", "add_member group/all group/team")
	crew(&in, "team", "3", "WRONG", user("bob"))
	check(t, "a sync after members changed", carry(t, &in, remote), "remove_member group/team user/ann")
	if len(in.Pins) != 1 {
		t.Errorf("%d pins are left, want that of the team", len(in.Pins))
	}
	// What the source has changed itself is its own.
	edited := in
	crew(&edited, "team", "4", "Edited", user("bob"))
	if pins, cannot = plan.Undo(plan.Undone{Run: "mistake", Changes: mistake.Changes}, edited.Desired, edited.Versions,
		in.Now); len(cannot) != 1 || len(pins) != 1 || len(pins[0].Fields) != 0 {
		t.Errorf("pins %+v, not undone %+v; want the membership alone, and the title left to the source", pins, cannot)
	}
	crew(&in, "team", "4", "Edited", user("bob"))
	check(t, "a sync after the group was edited", carry(t, &in, remote), "remove_member group/all group/team",
		"update group/team title:Team>Edited")
}

// A person is changed by mistake, and then suspended by mistake. Both are undone.
func TestUndoOfFieldsOfWhoIsSuspended(t *testing.T) {
	t.Parallel()
	for _, gone := range []string{"disabled", "out of scope"} {
		in, remote := staffed()
		carry(t, &in, remote)
		in.Desired = slices.Clone(in.Desired)
		in.Desired[0].Fields, in.Desired[0].Address = fields("title", "WRONG", "phone", "1"), "wrong@x"
		fieldsOf := carry(t, &in, remote)
		var mistake plan.Plan
		if gone == "disabled" {
			in.Desired[0].Active, in.Desired[0].Why = false, plan.Disabled
		} else {
			for i := range 3 { // The others have the field, too: that it is mapped shows.
				in.Desired[i].Fields = append(in.Desired[i].Fields[:0:0], fields("phone", "", "title", "T")...)
			}
			in.Desired, in.OutOfScope = in.Desired[1:], []directory.Ref{user("ann")}
		}
		mistake = carry(t, &in, remote)
		in.Pins = plan.MergePins(undo(t, mistake.Changes, in), undo(t, fieldsOf.Changes, in))
		carry(t, &in, remote)
		if o := remote.remote(user("ann")); !o.Active || o.Address != "ann@x" || o.Fields.Get("title") != "T" ||
			o.Fields.Get("phone") != "" {
			t.Errorf("%s: ann = %+v, want her as before", gone, o)
		}
		check(t, gone+": the next sync", carry(t, &in, remote))
		if len(in.Pins) != 1 || len(in.Pins[0].Fields) != 2 || in.Pins[0].Address != "ann@x" {
			t.Errorf("%s: pins = %+v, want all that was undone", gone, in.Pins)
		}
	}
}

// The directory was re-created while a person is pinned. The message names the pin, and without it the account is
// offered.
func TestPinOfSomebodyWithANewID(t *testing.T) {
	t.Parallel()
	in, remote := staffed()
	in.Desired[0].Rekey = "17"
	carry(t, &in, remote)
	in.Links = map[directory.Ref]plan.Link{user("ann"): {Rekey: "17"}}
	leave(&in, "ann")
	mistake := carry(t, &in, remote)
	in.Pins = undo(t, mistake.Changes, in)
	carry(t, &in, remote)
	again := want("ann-2", "ann@x", "title", "T")
	again.Rekey = "17"
	in.Desired = append(in.Desired, again)
	p := carry(t, &in, remote)
	check(t, "while she is pinned", p, "held user/ann-2 same_address")
	if len(p.Held) > 0 && !strings.Contains(p.Held[0].Detail, "pinned") {
		t.Errorf("the message is %q, want it to name the pin", p.Held[0].Detail)
	}
	in.Pins, in.State = nil, remote.state()
	check(t, "after the pin was lifted", plan.Compute(in), "remove_member group/all user/ann-2", "reanchor user/ann-2")
}

// A field that is no longer mapped is not written, also to an account that is brought back.
func TestUndoWritesMappedFieldsOnly(t *testing.T) {
	t.Parallel()
	in, remote, mistake := deleted(t, func(in *plan.Input) { leave(in, "ann", "bob") })
	in.Desired = slices.Clone(in.Desired)
	in.Desired[0].Fields = fields("phone", "1")
	in.Pins = undo(t, mistake.Changes, in)
	check(t, "the undo", carry(t, &in, remote), "update user/cid phone:>1", "undelete user/ann because reverted",
		"undelete user/bob because reverted",
		"add_member group/all user/ann", "add_member group/all user/bob")
}

// A pin lets go what it keeps, not what the mapping changes in the same entries later.
func TestAPinDoesNotLiftTheBrakesFromOtherFields(t *testing.T) {
	t.Parallel()
	in := plan.Input{Now: now, Policy: suspend}
	for i := range 300 {
		id := fmt.Sprintf("u%03d", i)
		d := want(id, "new."+id+"@x", "name", "", "note", "", "title", "bad")
		in.Desired = append(in.Desired, d)
		in.State.Objects = append(in.State.Objects, have(id, "r"+id, id+"@x", "name", "N", "note", "filled", "title", "bad"))
		pin := plan.Pin{Ref: d.Ref, Fields: fields("note", "", "title", "good")}
		pin.Fields[0].Values = nil
		in.Desired[i].Fields = d.Fields.Set("note", "filled")
		in.Pins = append(in.Pins, pin)
	}
	for i := range in.Desired {
		in.Desired[i].Fields[0].Values = nil
	}
	apply, held := plan.Compute(in).Guard(plan.Limits{}, plan.Budget{})
	got := map[string]int{}
	for _, c := range apply.Changes {
		for _, f := range c.Fields {
			got["applied "+f.Name]++
		}
	}
	for _, c := range held.Changes {
		for _, f := range c.Fields {
			got["held "+f.Name+" by "+string(c.Guard)]++
		}
	}
	want := map[string]int{"applied note": 300, "applied title": 300, "held address by rename": 300,
		"held name by emptied": 300}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
