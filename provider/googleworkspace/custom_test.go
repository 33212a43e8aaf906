package googleworkspace_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
	simulator "rollcall/simulator/googleworkspace"
)

const (
	cost     = "customSchemas.Employment.costCentre"
	level    = "customSchemas.Employment.level"
	remotely = "customSchemas.Employment.remote"
	projects = "customSchemas.Employment.projects"
	badge    = "customSchemas.Building.badge"
)

var employment = simulator.Schema{Name: "Employment", Fields: []simulator.SchemaField{
	{Name: "costCentre", Type: "STRING"}, {Name: "level", Type: "INT64"}, {Name: "remote", Type: "BOOL"},
	{Name: "projects", Type: "STRING", MultiValued: true}, {Name: "union", Type: "STRING"},
}}

// customWorld is an account with the schema Employment, and a mapping of these fields.
func customWorld(t *testing.T, names ...string) *world {
	t.Helper()
	s := mapUsers(names...)
	s.tenant.Schemas = []simulator.Schema{employment, {Name: "Other",
		Fields: []simulator.SchemaField{{Name: "note", Type: "STRING"}}}}
	return open(t, s)
}

// plan compares what entries want with the account. The values of a field are separated by "|".
func (w *world) plan(wanted map[directory.ID]map[string]string) plan.Plan {
	w.t.Helper()
	in := plan.Input{State: w.read(provider.Query{}), Capabilities: w.Capabilities(), Now: w.clock.Now(),
		Links: map[directory.Ref]plan.Link{}}
	for id, fields := range wanted {
		d := plan.Desired{Ref: user(id), Label: string(id), Address: string(id) + "@example.com", Active: true}
		for _, name := range []string{badge, cost, level, projects, remotely} {
			if value, ok := fields[name]; ok {
				a := directory.Attribute{Name: name}
				if value != "" {
					a.Values = strings.Split(value, "|")
				}
				d.Fields = append(d.Fields, a)
			}
		}
		in.Desired = append(in.Desired, d)
	}
	return plan.Compute(in)
}

// schemasOf returns the custom fields of a user as an administrator sees them.
func (w *world) schemasOf(id string) string {
	w.t.Helper()
	u, ok := w.tenant.User(id)
	if !ok {
		w.t.Fatalf("no user %s", id)
	}
	text, err := json.Marshal(u.Resource["customSchemas"])
	if err != nil {
		w.t.Fatal(err)
	}
	return string(text)
}

// Mapped custom fields are created, changed and cleared in the types of their schema, and the plan after that is
// empty. Fields without a mapping, other schemas, and the values that others added stay.
func TestCustomFieldsAreWrittenInTheirTypes(t *testing.T) {
	t.Parallel()
	w := customWorld(t, cost, level, remotely, projects)
	id := w.must(newUser("u1", "u1@example.com", cost, "4711", level, "07", remotely, "TRUE", projects, "Apollo"))
	want := `{"Employment":{"costCentre":"4711","level":"7",` +
		`"projects":[{"customType":"rollcall","type":"custom","value":"Apollo"}],"remote":true}}`
	if diff := cmp.Diff(want, w.schemasOf(id)); diff != "" {
		t.Fatalf("after the creation (-want +got):\n%s", diff)
	}
	if _, err := w.tenant.UpdateUser(id, map[string]any{"customSchemas": map[string]any{
		"Employment": map[string]any{"union": "IGM", "projects": []any{
			map[string]any{"value": "Apollo", "type": "custom", "customType": "rollcall"},
			map[string]any{"value": "Choir", "type": "home"}, map[string]any{"value": "Gemini"}}},
		"Other": map[string]any{"note": "left alone"},
	}}); err != nil {
		t.Fatal(err)
	}
	same := map[string]string{cost: "4711", level: "007", remotely: "True", projects: "Apollo"}
	if p := w.plan(map[directory.ID]map[string]string{"u1": same}); len(p.Changes)+len(p.Held) > 0 {
		t.Fatalf("a plan without a difference has %+v and %+v", p.Changes, p.Held)
	}
	wanted := map[string]string{cost: "", level: "8", remotely: "false", projects: "Mercury|Gemini"}
	p := w.plan(map[directory.ID]map[string]string{"u1": wanted})
	if len(p.Changes) != 1 || len(p.Changes[0].Fields) != 4 {
		t.Fatalf("plan = %+v, want one change of four fields", p.Changes)
	}
	w.must(p.Changes[0])
	want = `{"Employment":{"level":"8","projects":[{"type":"home","value":"Choir"},` +
		`{"customType":"rollcall","type":"custom","value":"Gemini"},` +
		`{"customType":"rollcall","type":"custom","value":"Mercury"}],"remote":false,"union":"IGM"},` +
		`"Other":{"note":"left alone"}}`
	if diff := cmp.Diff(want, w.schemasOf(id)); diff != "" {
		t.Fatalf("after the change (-want +got):\n%s", diff)
	}
	if p := w.plan(map[directory.ID]map[string]string{"u1": wanted}); len(p.Changes)+len(p.Held) > 0 {
		t.Errorf("the plan after its apply has %+v and %+v", p.Changes, p.Held)
	}
	w.must(change(plan.Update, user("u1"), id, projects, ""))
	if got := w.schemasOf(id); strings.Contains(got, "Mercury") || !strings.Contains(got, "Choir") {
		t.Errorf("after the last value of ours went: %s", got)
	}
}

// A schema, field or value that the account does not take is named when planning. The rest of the account is written,
// and a new account is not held up by a field that does not exist.
func TestUnknownCustomFieldsAreNamedInThePlan(t *testing.T) {
	t.Parallel()
	w := customWorld(t, cost, level, "customSchemas.Employment.rank", badge)
	u3 := w.must(newUser("u3", "u3@example.com", cost, "1"))
	p := w.plan(map[directory.ID]map[string]string{
		"u1": {badge: "12", cost: "1"}, "u2": {level: "high"}, "u3": {badge: "13", cost: "1|2"},
	})
	held := map[string]bool{}
	for _, h := range p.Held {
		held[h.Label+": "+h.Detail] = true
	}
	missing := badge + `: the account has no custom schema "Building": create it (Admin console, Directory, Users, ` +
		`Manage custom attributes), or correct the mapping`
	want := map[string]bool{
		"u1: " + missing: true, "u3: " + missing: true,
		"u2: " + level + `: the field takes a whole number in the tenant, and "high" is none: correct the mapping or the ` +
			`entry`: true,
		"u3: " + cost + `: the field has one value in the tenant, and the mapping gives 2: map one of them`: true,
	}
	if diff := cmp.Diff(want, held); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	if len(p.Changes) != 1 || p.Changes[0].Op != plan.Create || p.Changes[0].ID != "u1" {
		t.Fatalf("changes = %+v, want the creation of u1", p.Changes)
	}
	p.Changes[0].Fields = append(p.Changes[0].Fields, fields("name.givenName", "Liz", "name.familyName", "Smith")...)
	w.must(p.Changes[0])

	_, err := w.Check(t.Context())
	for _, text := range []string{"user_property_mappings." + missing,
		`user_property_mappings.customSchemas.Employment.rank: the custom schema "Employment" has no field "rank": add it`} {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("Check() = %v, want %s", err, text)
		}
	}

	w.tenant.AddSchema(simulator.Schema{Name: "Building",
		Fields: []simulator.SchemaField{{Name: "badge", Type: "STRING"}}})
	w.clock.Advance(15 * time.Minute)
	p = w.plan(map[directory.ID]map[string]string{"u1": {cost: "1"}, "u3": {badge: "13", cost: "1"}})
	if len(p.Held) > 0 || len(p.Changes) != 1 {
		t.Fatalf("after the schema was created: changes %+v, held %+v", p.Changes, p.Held)
	}
	w.must(p.Changes[0])
	if got, want := w.schemasOf(u3), `{"Building":{"badge":"13"},"Employment":{"costCentre":"1"}}`; got != want {
		t.Errorf("custom fields = %s, want %s", got, want)
	}
}

// Only a mapping of custom fields asks for their scope and reads them. Without the scope these fields are left alone,
// and the message names it.
func TestCustomFieldsNeedTheirScopeOnlyWhereMapped(t *testing.T) {
	t.Parallel()
	for _, mapped := range []bool{true, false} {
		names := []string{"phones.work"}
		if mapped {
			names = append(names, cost)
		}
		s := mapUsers(names...)
		s.tenant.Schemas, s.tenant.Scopes = []simulator.Schema{employment}, googleworkspace.Scopes
		listed := false
		s.tenant.OnRequest = func(method string) { listed = listed || method == "directory.schemas.list" }
		w := open(t, s)
		w.must(newUser("u1", "u1@example.com", "phones.work", "1"))
		want := map[string]string{}
		if mapped {
			want[cost] = "4711"
		}
		p := w.plan(map[directory.ID]map[string]string{"u1": want})
		if len(p.Changes) > 0 || len(p.Held) > 0 != mapped {
			t.Fatalf("mapped %v: changes %+v, held %+v", mapped, p.Changes, p.Held)
		}
		if mapped && !strings.Contains(p.Held[0].Detail, googleworkspace.SchemaScope) {
			t.Errorf("held %q, want the scope", p.Held[0].Detail)
		}
		if _, err := w.Check(context.Background()); (err != nil) != mapped {
			t.Errorf("mapped %v: Check() = %v", mapped, err)
		}
		if listed { // A request needs a token with the scope.
			t.Errorf("mapped %v: the schemas were listed", mapped)
		}
	}
}
