package graph_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/internal/testclock"
	"rollcall/simulator/graph"
)

// round follows nextLinks to the end and returns all items and the deltaLink.
func (c *client) round(next string) (items []object, link string, pages int) {
	c.t.Helper()
	for {
		r := c.want(200, "GET", next, nil)
		items = append(items, r.values()...)
		pages++
		if link, done := r.Body["@odata.deltaLink"].(string); done {
			return items, link, pages
		}
		next = r.Body["@odata.nextLink"].(string)
	}
}

func TestUsersDelta(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{DeltaPage: 4})
	ids := seedUsers(t, tenant, 10)
	items, link, pages := c.round("users/delta?$select=displayName,accountEnabled")
	if len(items) != 10 || pages != 3 {
		t.Fatalf("%d items on %d pages, want 10 on 3", len(items), pages)
	}
	if diff := cmp.Diff(object{"displayName": "Adele 0", "accountEnabled": false, "id": ids[0]}, items[0]); diff != "" {
		t.Errorf("first item (-want +got):\n%s", diff)
	}
	items, link, _ = c.round(link)
	if len(items) != 0 {
		t.Errorf("nothing changed, and delta shows %v", items)
	}

	noError(t, tenant.Set(ids[1], map[string]any{"department": "Art"})) // not selected
	c.want(204, "PATCH", "users/"+ids[2], object{"displayName": "New"})
	c.want(204, "PATCH", "users/"+ids[2], object{"accountEnabled": false})
	c.want(204, "PATCH", "users/"+ids[3], object{"displayName": "Adele 3"}) // no change
	c.want(204, "DELETE", "users/"+ids[4], nil)
	c.want(204, "DELETE", "users/"+ids[5], nil)
	c.want(204, "DELETE", "directory/deletedItems/"+ids[5], nil)
	late := c.createUser("late")
	items, link, _ = c.round(link)
	want := []object{
		{"displayName": "New", "accountEnabled": false, "id": ids[2]},
		{"id": ids[4], "@removed": object{"reason": "changed"}},
		{"id": ids[5], "@removed": object{"reason": "deleted"}},
		{"displayName": "late", "accountEnabled": true, "id": late},
	}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	c.want(200, "POST", "directory/deletedItems/"+ids[4]+"/restore", nil)
	items, _, _ = c.round(link)
	if diff := cmp.Diff([]object{{"displayName": "Adele 4", "accountEnabled": true, "id": ids[4]}}, items); diff != "" {
		t.Errorf("restoration (-want +got):\n%s", diff)
	}
}

func TestDeltaFromNowOn(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	ids := seedUsers(t, tenant, 3)
	items, link, _ := c.round("users/delta?$deltatoken=latest&$select=jobTitle")
	if len(items) != 0 {
		t.Errorf("latest shows %v", items)
	}
	c.want(204, "PATCH", "users/"+ids[0], object{"jobTitle": "Lead"})
	items, _, _ = c.round(link)
	if diff := cmp.Diff([]object{{"id": ids[0], "jobTitle": "Lead"}}, items); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	items, _, _ = c.round("users/delta?$filter=id eq '" + ids[1] + "' or id eq '" + ids[2] + "'")
	if len(items) != 2 {
		t.Errorf("scoped delta shows %d users, want 2", len(items))
	}
}

// TestDeltaMissesNothing changes objects between the pages of a first listing. The changes that the pages do not show
// must follow later.
func TestDeltaMissesNothing(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{DeltaPage: 2})
	ids := seedUsers(t, tenant, 6)
	first := c.want(200, "GET", "users/delta?$select=displayName", nil)
	c.want(204, "PATCH", "users/"+ids[0], object{"displayName": "changed"})
	c.want(204, "DELETE", "users/"+ids[1], nil)
	late := c.createUser("late")
	_, link, _ := c.round(first.Body["@odata.nextLink"].(string))
	items, _, _ := c.round(link)
	state := map[any]any{}
	for _, item := range items {
		state[item["id"]] = item["displayName"]
		if item["@removed"] != nil {
			state[item["id"]] = "removed"
		}
	}
	if want := (map[any]any{ids[0]: "changed", ids[1]: "removed", late: "late"}); !cmp.Equal(want, state) {
		t.Errorf("after the first listing: %v, want %v", state, want)
	}
}

// follow updates the members of groups as a client of groups/delta does.
func follow(state map[string][]string, items []object) {
	for _, item := range items {
		id := item["id"].(string)
		if item["@removed"] != nil {
			delete(state, id)
			continue
		}
		members := state[id]
		changes, _ := item["members@delta"].([]any)
		for _, change := range changes {
			m := change.(object)
			name := m["id"].(string)
			members = slices.DeleteFunc(members, func(s string) bool { return s == name })
			if m["@removed"] == nil {
				members = append(members, name)
			}
		}
		slices.Sort(members)
		state[id] = members
	}
}

func TestGroupsDelta(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{DeltaPage: 3, DeltaMembers: 4})
	users := seedUsers(t, tenant, 12)
	var groups []string
	for i := range 5 {
		groups = append(groups, c.createGroup(fmt.Sprint("g", i)))
	}
	for i, u := range users {
		noError(t, tenant.AddMember(groups[0], u)) // larger than a page
		noError(t, tenant.AddMember(groups[1+i%2], u))
	}
	state := map[string][]string{}
	check := func(when string) {
		t.Helper()
		want := map[string][]string{}
		for _, g := range tenant.Groups() {
			if want[g.ID] = nil; len(tenant.Members(g.ID)) > 0 {
				want[g.ID] = tenant.Members(g.ID)
			}
		}
		for id, members := range state {
			if len(members) == 0 {
				state[id] = nil
			}
		}
		if diff := cmp.Diff(want, state); diff != "" {
			t.Errorf("%s (-want +got):\n%s", when, diff)
		}
	}
	items, link, pages := c.round("groups/delta?$select=displayName,members")
	follow(state, items)
	check("first listing")
	if pages < 6 {
		t.Errorf("%d pages for 24 members at 4 a page", pages)
	}

	c.want(204, "DELETE", "groups/"+groups[0]+"/members/"+users[3]+"/$ref", nil)
	c.want(204, "POST", "groups/"+groups[4]+"/members/$ref", ref(users[3]))
	c.want(204, "DELETE", "users/"+users[7], nil)
	c.want(204, "DELETE", "groups/"+groups[1], nil)
	items, link, _ = c.round(link)
	follow(state, items)
	check("changes")

	c.want(200, "POST", "directory/deletedItems/"+groups[1]+"/restore", nil)
	c.want(200, "POST", "directory/deletedItems/"+users[7]+"/restore", nil)
	items, link, _ = c.round(link)
	follow(state, items)
	check("restoration")
	if items, _, _ = c.round(link); len(items) != 0 {
		t.Errorf("nothing changed, and delta shows %v", items)
	}

	noError(t, tenant.RemoveMember(groups[4], users[3]))
	items, _, _ = c.round(link)
	want := []object{{"id": groups[4], "displayName": "g4", "members@delta": []any{
		object{"@odata.type": "#microsoft.graph.user", "id": users[3], "@removed": object{"reason": "deleted"}},
	}}}
	if diff := cmp.Diff(want, items); diff != "" {
		t.Errorf("a member left (-want +got):\n%s", diff)
	}
}

func TestGroupsDeltaWithoutMembers(t *testing.T) {
	t.Parallel()
	tenant, c := open(t, graph.Config{})
	u, g := c.createUser("liz"), c.createGroup("team")
	_, link, _ := c.round("groups/delta?$select=displayName")
	_, all, _ := c.round("groups/delta") // by default with members
	noError(t, tenant.AddMember(g, u))
	if items, _, _ := c.round(link); len(items) != 0 {
		t.Errorf("members were not selected, and delta shows %v", items)
	}
	if items, _, _ := c.round(all); len(items) != 1 || items[0]["members@delta"] == nil {
		t.Errorf("delta without $select shows %v", items)
	}
}

func TestDeltaTokensEnd(t *testing.T) {
	t.Parallel()
	clock := testclock.New()
	tenant, c := open(t, graph.Config{Now: clock.Now})
	_, link, _ := c.round("users/delta?$select=displayName")
	clock.Advance(7 * 24 * time.Hour)
	_, link, _ = c.round(link)
	clock.Advance(7*24*time.Hour + time.Second)
	c.refuse(400, "syncStateNotFound", "The delta token is expired", "GET", link, nil)

	_, link, _ = c.round("users/delta?$select=displayName")
	tenant.ExpireDelta()
	r := c.refuse(410, "resyncRequired", "Resync required.", "GET", link, nil)
	if want := c.server.URL + "/v1.0/users/delta?$deltatoken="; r.Header.Get("Location") != want {
		t.Errorf("Location = %q, want %q", r.Header.Get("Location"), want)
	}
	if _, again, _ := c.round(r.Header.Get("Location")); again == "" {
		t.Error("the Location leads nowhere")
	}
}
