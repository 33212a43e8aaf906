package scim_test

import (
	"errors"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// hostile is one behaviour of servers.
type hostile struct {
	simulator.Behaviours
	// keys are what the configuration of such a server has.
	keys scim.Behaviour
	// says is how the behaviour is named where not everything can be done. Empty means that everything is done, and that
	// a second run has nothing to do.
	says string
}

func hostiles() map[string]hostile {
	type b = simulator.Behaviours
	return map[string]hostile{
		"NoConfig": {Behaviours: b{NoConfig: true}}, "NoPatch": {Behaviours: b{NoPatch: true}},
		"NoPut": {Behaviours: b{NoPut: true}}, "NoETag": {Behaviours: b{NoETag: true}},
		"NoGroups":      {Behaviours: b{NoGroups: true}, says: "publishes no resource type Group"},
		"FrozenVersion": {Behaviours: b{FrozenVersion: true}}, "Filters": {Behaviours: b{Filters: []string{"userName"}}},
		"NoFilter": {Behaviours: b{NoFilter: true}}, "IgnoreFilter": {Behaviours: b{IgnoreFilter: true}},
		"CursorOnly": {Behaviours: b{CursorOnly: true}}, "PageSize": {Behaviours: b{PageSize: 7}},
		"ShortList":    {Behaviours: b{ShortList: true}, says: "the list ended after"},
		"MovingTotal":  {Behaviours: b{MovingTotal: true, PageSize: 7}, says: "the total changed"},
		"RepeatedPage": {Behaviours: b{RepeatedPage: true, PageSize: 7}, says: "repeats a page"},
		"NoTotal":      {Behaviours: b{NoTotal: true}},
		"HiddenMembers": {Behaviours: b{HiddenMembers: true}, keys: scim.Behaviour{Members: "user_filter",
			Filters: []string{"userName", "externalId", "groups.value"}}},
		"OmittedMembers": {Behaviours: b{OmittedMembers: true}, says: "does not show"},
		"MemberChanges":  {Behaviours: b{MemberChanges: 5}}, "NoMemberReplace": {Behaviours: b{NoMemberReplace: true}},
		"PutMembers501": {Behaviours: b{PutMembers501: true}}, "IgnoreMembers": {Behaviours: b{IgnoreMembers: true}},
		"RemoveByValue": {Behaviours: b{RemoveByValue: true}, keys: scim.Behaviour{MemberRemoval: "value"}},
		"RemoveEmpties": {Behaviours: b{RemoveEmpties: true}}, "RefuseRef": {Behaviours: b{RefuseRef: true}},
		"RefuseEmpty": {Behaviours: b{RefuseEmpty: true}}, "RepeatMembers": {Behaviours: b{RepeatMembers: true}},
		"DropUnknown":    {Behaviours: b{DropUnknown: true}},
		"SingleValues":   {Behaviours: b{SingleValues: true}, keys: scim.Behaviour{SingleValues: new(true)}},
		"NeedUserAgent":  {Behaviours: b{NeedUserAgent: true}},
		"NeedExternalID": {Behaviours: b{NeedExternalID: true}}, "NeedAccept": {Behaviours: b{NeedAccept: true}},
		"RefuseReadOnly": {Behaviours: b{RefuseReadOnly: true}},
		"ActivePatch":    {Behaviours: b{ActivePatch: true}, says: "400"},
		"ObjectPatch":    {Behaviours: b{ObjectPatch: true}, keys: scim.Behaviour{Update: "object_patch"}},
		"SilentPatch":    {Behaviours: b{SilentPatch: true}, says: "did not change"},
		"SilentForeign":  {Behaviours: b{SilentForeign: true}},
		"SilentActive":   {Behaviours: b{SilentActive: true}, says: "did not change active"},
		"TextBooleans":   {Behaviours: b{TextBooleans: true}}, "Duplicates": {Behaviours: b{Duplicates: true}},
		"UniqueGroups":     {Behaviours: b{UniqueGroups: true}},
		"UniqueExternalID": {Behaviours: b{UniqueExternalID: true}},
		"DropGroupIDs":     {Behaviours: b{DropGroupIDs: true}, says: "did not keep the externalId"},
		"ReuseGroups":      {Behaviours: b{ReuseGroups: true}},
		"NoSeats":          {Behaviours: b{NoSeats: true}, says: "403"},
		"MaxBody":          {Behaviours: b{MaxBody: 1000}},
		"OtherCase":        {Behaviours: b{OtherCase: true}}, "NoMeta": {Behaviours: b{NoMeta: true}},
		"OddIDs": {Behaviours: b{OddIDs: true}}, "EmptyCreate": {Behaviours: b{EmptyCreate: true}},
		"EmptyPatch": {Behaviours: b{EmptyPatch: true}}, "OtherHost": {Behaviours: b{OtherHost: true}},
		"RefuseFilter":   {Behaviours: b{RefuseFilter: true}},
		"StrictIndex":    {Behaviours: b{StrictIndex: true, PageSize: 7}},
		"Uniqueness400":  {Behaviours: b{Uniqueness400: true}},
		"ForbiddenQuota": {Behaviours: b{ForbiddenQuota: true}}, "UnavailableQuota": {Behaviours: b{UnavailableQuota: true}},
	}
}

// TestEveryBehaviour syncs a company to a server with each behaviour of the simulator. The end state is right and a
// second run has nothing to do, or the behaviour is named. In no case is anything of others touched.
func TestEveryBehaviour(t *testing.T) {
	t.Parallel()
	all := hostiles()
	for f := range reflect.TypeFor[simulator.Behaviours]().Fields() {
		if _, ok := all[f.Name]; !ok {
			t.Errorf("the behaviour %s has no case", f.Name)
		}
	}
	for name, h := range all {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tenant := simulator.New(simulator.Config{Behaviours: h.Behaviours})
			server := httptest.NewServer(tenant.Handler())
			t.Cleanup(server.Close)
			c := newCompany(t, server.URL+"/scim/v2", tenant.Token())
			c.cfg.Behaviour = h.keys
			c.restart()
			c.lives(tenant, h.says)
		})
	}
}

// lives has people who join, leave, change and move. Each day has two runs.
func (c *company) lives(tenant *simulator.Tenant, says string) {
	c.t.Helper()
	guest := adminOf{tenant}.AddUserNamed("guest@example.net")
	foreign := adminOf{tenant}.AddGroup(c.t, "Guests")
	adminOf{tenant}.AddMember(c.t, foreign, guest)
	var refs []directory.Ref
	for n := range 30 {
		refs = append(refs, c.user(n).Ref)
	}
	first, second := c.group(1, refs[:28]...), c.group(2, refs[2:4]...)
	var all []error
	day := func() {
		_, errs := c.attempt(1 << 30)
		again, more := c.attempt(1 << 30)
		if all = append(all, append(errs, more...)...); says == "" && again > 0 {
			c.t.Errorf("%d changes in a second run", again)
		}
		c.restart()
	}
	day()
	delete(c.desired, refs[0])
	c.desired[refs[5]].Fields = c.desired[refs[5]].Fields.Clone().Set("title", "Manager")
	moved := first.Members[1]
	first.Members = slices.Clone(first.Members[2:])
	second.Members = append([]plan.Member{moved}, second.Members...)
	day()
	if text := errors.Join(all...); says == "" && text != nil || says != "" && (text == nil ||
		!strings.Contains(text.Error(), says)) {
		c.t.Errorf("errors = %.2000v, want %q", text, says)
	}
	if u, ok := tenant.User(guest); !ok || !u.Active || u.ExternalID != "" {
		c.t.Errorf("the guest = %+v, want it untouched", u)
	}
	if g, _ := tenant.Group("Guests"); !slices.Equal(g.Members, []string{guest}) || g.ExternalID != "" {
		c.t.Errorf("the foreign group = %+v, want it untouched", g)
	}
	if says != "" {
		return
	}
	for _, u := range tenant.Users() {
		left, promoted := u.ExternalID == string(refs[0].ID), u.ExternalID == string(refs[5].ID)
		if u.Active == left || promoted != (u.Attributes["title"] == "Manager") {
			c.t.Errorf("user = %+v", u)
		}
	}
	for name, want := range map[string]int{"Group 1": 26, "Group 2": 3} {
		if g, _ := tenant.Group(name); len(slices.Compact(slices.Sorted(slices.Values(g.Members)))) != want {
			c.t.Errorf("%s has %d members, want %d", name, len(g.Members), want)
		}
	}
	if n := len(tenant.Users()) + len(tenant.Groups()); n != 34 {
		c.t.Errorf("%d objects, want 30 users, two groups, and a user and a group of others", n)
	}
}
