package googleworkspace_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
)

// list returns one array of a user as an administrator sees it, without our marks.
func (w *world) list(id, name string) []any {
	w.t.Helper()
	u, ok := w.tenant.User(id)
	if !ok {
		w.t.Fatalf("no user %s", id)
	}
	data, err := json.Marshal(u.Resource[name])
	if err != nil {
		w.t.Fatal(err)
	}
	var all []any
	if err := json.Unmarshal(data, &all); err != nil {
		w.t.Fatal(err)
	}
	var out []any
	for _, e := range all {
		if o := e.(map[string]any); o["customType"] != "rollcall" && o["customType"] != "rollcall_suspended" &&
			o["customType"] != "rollcall_fields" {
			out = append(out, o)
		}
	}
	return out
}

func (w *world) edit(id string, fields map[string]any) {
	w.t.Helper()
	if _, err := w.tenant.UpdateUser(id, fields); err != nil {
		w.t.Fatal(err)
	}
}

type element = map[string]any

// TestForeignElementsSurvive checks law 7. An administrator's element in an array survives every write, with members
// unknown to this program, and is not reported as a difference.
func TestForeignElementsSurvive(t *testing.T) {
	t.Parallel()
	s := mapUsers("phones.work", "phones.mobile", "externalIds.organization", "organizations.title")
	s.unchecked = true // The members that the administrator uses below are not in the discovery document.
	w := open(t, s)
	id := w.must(newUser("u1", "liz@example.com", "phones.work", "+49 30 1", "externalIds.organization", "4711"))
	phones := []any{
		element{"type": "work", "value": "+49 30 1"}, element{"type": "home", "value": "+49 30 2", "note": "by the admin",
			"weight": 12345678},
		element{"type": "work", "value": "+49 30 3", "primary": true}, element{"type": "mobile", "value": "+49 170 1"},
	}
	ids := []any{
		element{"type": "organization", "value": "4711"}, element{"type": "custom", "customType": "badge", "value": "B-1"},
		element{"type": "login_id", "value": "liz"},
	}
	u, _ := w.tenant.User(id)
	w.edit(id, map[string]any{"phones": phones, "externalIds": append(ids[:3:3], marksOnly(u.Resource["externalIds"])...)})

	got := w.object(id)
	n, m := got.Fields.Get("phones.work"), got.Fields.Values("phones.mobile")
	e := got.Fields.Get("externalIds.organization")
	if n != "+49 30 1" || m != nil || e != "4711" {
		t.Errorf("fields = %+v, want ours alone", got.Fields)
	}
	w.must(change(plan.Update, user("u1"), id, "phones.work", "+49 30 9", "organizations.title", "Clerk"))
	w.must(change(plan.Suspend, user("u1"), id))
	w.must(change(plan.Restore, user("u1"), id))
	w.must(change(plan.Update, user("u1"), id, "name.givenName", "Elisabeth"))
	want := []any{
		element{"type": "work", "value": "+49 30 9"}, element{"type": "home", "value": "+49 30 2", "note": "by the admin",
			"weight": 12345678.0},
		element{"type": "work", "value": "+49 30 3", "primary": true}, element{"type": "mobile", "value": "+49 170 1"},
	}
	if diff := cmp.Diff(want, w.list(id, "phones")); diff != "" {
		t.Errorf("phones (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ids, w.list(id, "externalIds")); diff != "" {
		t.Errorf("externalIds (-want +got):\n%s", diff)
	}
	// Our cleared elements are removed, and the others stay.
	w.must(change(plan.Update, user("u1"), id, "phones.work", "", "phones.mobile", "", "externalIds.organization", ""))
	if diff := cmp.Diff(want[1:], w.list(id, "phones")); diff != "" {
		t.Errorf("phones after clearing ours (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(ids[1:], w.list(id, "externalIds")); diff != "" {
		t.Errorf("externalIds after clearing ours (-want +got):\n%s", diff)
	}
}

func marksOnly(array any) []any {
	var out []any
	for _, e := range array.([]any) {
		if o := e.(map[string]any); o["type"] == "custom" {
			out = append(out, o)
		}
	}
	return out
}

func TestSlots(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, field, array, value string
		before, want              []any
	}{
		{"a phone goes beside another", "phones.work", "phones", "1",
			[]any{element{"type": "work", "value": "0"}}, []any{element{"type": "work", "value": "0"},
				element{"type": "work", "value": "1"}}},
		{"a phone that is there becomes ours", "phones.work", "phones", "1",
			[]any{element{"type": "work", "value": "1", "primary": true}},
			[]any{element{"type": "work", "value": "1", "primary": true}}},
		{"the employee ID has one place", "externalIds.organization", "externalIds", "1",
			[]any{element{"type": "organization", "value": "0"}}, []any{element{"type": "organization", "value": "1"}}},
		{"the manager has one place", "relations.manager", "relations", "boss@example.com",
			[]any{element{"type": "spouse", "value": "x"}, element{"type": "manager", "value": "old@example.com"}},
			[]any{element{"type": "spouse", "value": "x"}, element{"type": "manager", "value": "boss@example.com"}}},
		{"the address keeps its other parts", "addresses.work", "addresses", "Main Street 1",
			[]any{element{"type": "work", "formatted": "Old", "country": "DE"}},
			[]any{element{"type": "work", "formatted": "Main Street 1", "country": "DE"}}},
		{"the primary organization, wherever it stands", "organizations.title", "organizations", "Clerk",
			[]any{element{"type": "work", "name": "Other"},
				element{"type": "school", "primary": true, "name": "ACME", "fullTimeEquivalent": 50000}},
			[]any{element{"type": "work", "name": "Other"},
				element{"type": "school", "primary": true, "name": "ACME", "fullTimeEquivalent": 50000.0, "title": "Clerk"}}},
		{"a new organization is primary", "organizations.title", "organizations", "Clerk",
			[]any{element{"type": "school", "name": "MIT"}},
			[]any{element{"type": "school", "name": "MIT"}, element{"primary": true, "title": "Clerk", "customType": ""}}},
		{"a new desk", "locations.floorName", "locations", "3", nil,
			[]any{element{"type": "desk", "area": "desk", "floorName": "3"}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := open(t, mapUsers(tc.field))
			id := w.must(newUser("u1", "liz@example.com"))
			if tc.before != nil && tc.array != "externalIds" {
				w.edit(id, map[string]any{tc.array: tc.before})
			} else if tc.before != nil {
				u, _ := w.tenant.User(id)
				w.edit(id, map[string]any{tc.array: append(tc.before, marksOnly(u.Resource[tc.array])...)})
			}
			if got := w.object(id).Fields.Values(tc.field); got != nil {
				t.Errorf("before the write the field shows %v, which is not ours", got)
			}
			w.must(change(plan.Update, user("u1"), id, tc.field, tc.value))
			if diff := cmp.Diff(tc.want, w.list(id, tc.array)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tc.array, diff)
			}
			if got := w.object(id).Fields.Get(tc.field); got != tc.value {
				t.Errorf("read back %q, want %q", got, tc.value)
			}
		})
	}
}

// TestSeveralFieldsOfOneElement checks that title and department, which are in the same organization, are removed
// separately.
func TestSeveralFieldsOfOneElement(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers("organizations.title", "organizations.department"))
	id := w.must(newUser("u1", "liz@example.com", "organizations.title", "Clerk", "organizations.department", "Sales"))
	if got := w.list(id, "organizations"); len(got) != 1 {
		t.Errorf("organizations = %v, want one", got)
	}
	w.must(change(plan.Update, user("u1"), id, "organizations.title", ""))
	if o := w.object(id); o.Fields.Get("organizations.department") != "Sales" ||
		o.Fields.Values("organizations.title") != nil {
		t.Errorf("fields = %+v, want the department alone", o.Fields)
	}
	w.must(change(plan.Update, user("u1"), id, "organizations.department", ""))
	if got := w.list(id, "organizations"); len(got) != 0 {
		t.Errorf("organizations = %v, want none: nothing is left of ours", got)
	}
}

// TestEveryFieldIsReadBack covers the whole list of fields.
func TestEveryFieldIsReadBack(t *testing.T) {
	t.Parallel()
	values := map[string]string{
		"name.displayName": "Liz S.", "orgUnitPath": "/Staff", "recoveryEmail": "liz@home.example",
		"recoveryPhone":              "+4930123456",
		"includeInGlobalAddressList": "false", "organizations.title": "Clerk", "organizations.department": "Sales",
		"organizations.costCenter": "17", "organizations.description": "intern", "organizations.name": "ACME",
		"phones.work":   "1",
		"phones.mobile": "2", "phones.home": "3", "externalIds.organization": "4711", "relations.manager": "boss@example.com",
		"addresses.work": "Main Street 1", "locations.buildingId": "B1", "locations.floorName": "3",
		"locations.deskCode": "3-12",
	}
	var names, pairs []string
	for name, value := range values {
		names, pairs = append(names, name), append(pairs, name, value)
	}
	s := mapUsers(names...)
	s.tenant.OrgUnits = []string{"/Staff"}
	w := open(t, s)
	id := w.must(newUser("u1", "liz@example.com", pairs...))
	check := func() {
		t.Helper()
		o := w.object(id)
		for name, want := range values {
			if got := o.Fields.Get(name); got != want {
				t.Errorf("%s = %q, want %q", name, got, want)
			}
		}
	}
	check()
	values["includeInGlobalAddressList"], values["recoveryPhone"], values["locations.deskCode"] = "true", "", ""
	w.must(change(plan.Update, user("u1"), id, "includeInGlobalAddressList", "true", "recoveryPhone", "",
		"locations.deskCode", ""))
	check()
	if r := w.do(change(plan.Update, user("u1"), id, "shoeSize", "43")); kind(r.Err).String() != "invalid" {
		t.Errorf("an unknown field = %v, want invalid", r.Err)
	}
}

// TestStaleMarkIsRemoved checks that the mark of a suspension that was lifted by hand is removed with our next write
// of an array.
func TestStaleMarkIsRemoved(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers("phones.work"))
	id := w.must(newUser("u1", "liz@example.com"))
	w.must(change(plan.Suspend, user("u1"), id))
	w.edit(id, map[string]any{"suspended": false})
	w.must(change(plan.Update, user("u1"), id, "phones.work", "1"))
	w.edit(id, map[string]any{"suspended": true})
	if o := w.object(id); o.Suspender != plan.Else {
		t.Errorf("Suspender = %v, want somebody else", o.Suspender)
	}
}

// TestTheOtherFormOfALetter checks that a value stays ours when the tenant returns its letters composed.
func TestTheOtherFormOfALetter(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers("organizations.title"))
	id := w.must(newUser("u1", "liz@example.com", "organizations.title", "Che\u0301f"))
	w.edit(id, map[string]any{"organizations": []any{element{"primary": true, "title": "Ch\u00e9f"}}})
	if got := w.object(id).Fields.Get("organizations.title"); got != "Ch\u00e9f" {
		t.Errorf("title = %q, want the composed form", got)
	}
}
