package e2e

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"rollcall/internal/slapdtest"
	simulator "rollcall/simulator/googleworkspace"
)

const (
	modelUser  = "authentik.core.models.User"
	modelGroup = "authentik.core.models.Group"
)

// object syncs one entry over HTTP and returns the status and the messages, one a line.
func (w *world) object(model, id string) (int, string) {
	w.Helper()
	return w.objectAt(google, model, id)
}

func (w *world) objectAt(container, model, id string) (int, string) {
	w.Helper()
	body, _ := json.Marshal(map[string]any{"sync_object_model": model, "sync_object_id": id})
	code, data := w.call(http.MethodPost, container+"sync/object/", string(body))
	var answer struct{ Messages []event }
	if code != http.StatusOK {
		return code, string(data)
	}
	w.decode(data, &answer)
	var lines []string
	for _, m := range answer.Messages {
		lines = append(lines, m.Level+": "+m.Event)
	}
	return code, strings.Join(lines, "\n")
}

// says syncs one entry and compares the answer with these texts. It fails the test if the tenant was listed. Allowed
// questions are those for the carrier of an anchor, the groups of one user, and the membership of one user in one
// group. So are the recently deleted users, because one of them may have to come back.
func (w *world) says(model, id string, texts ...string) {
	w.Helper()
	w.recorded()
	code, said := w.object(model, id)
	if code != http.StatusOK || !hasAll(said, texts...) {
		w.Errorf("sync of %s = %d %q, want 200 and %q", id, code, said, texts)
	}
	for _, uri := range w.recorded() {
		path, query, _ := strings.Cut(strings.TrimPrefix(uri, "GET /admin/directory/v1/"), "?")
		if path == "users" && !strings.Contains(query, "query=externalId") && !strings.Contains(query, "showDeleted=true") ||
			path == "groups" && !strings.Contains(query, "userKey=") {
			w.Errorf("the sync of %s listed the tenant: %s", id, uri)
		}
	}
}

func TestSingleObject(t *testing.T) {
	t.Parallel()
	var proxy cutter
	w := newWorld(t, options{slapd: small(), provider: []string{`exclude: ["u000149"]`},
		uri: func(s *slapdtest.Server) string {
			return "ldap://" + proxy.listen(t, strings.TrimPrefix(s.URL, "ldap://"))
		}})
	// Before the first run there is nothing to know an entry by.
	if code, said := w.object(modelUser, slapdtest.UUID(1)); code != http.StatusBadRequest ||
		!strings.Contains(said, "sync_object_id") {
		t.Errorf("before the first sync: %d %s, want 400 on sync_object_id", code, said)
	}
	w.both()
	whole := proxy.seen.Swap(0)
	e := w.editor()
	id := slapdtest.UUID(1)

	w.says(modelUser, id, "Nothing to change.")
	e.set(slapdtest.UserDN(1), "title", "Director")
	w.says(modelUser, id, "info: Updated u000001@example.org.")
	e.set(slapdtest.UserDN(1), "sn", "Smith")
	w.says(modelUser, "u000001", "Updated u000001@example.org.") // by login name
	e.set(slapdtest.UserDN(1), "sn", "Jones")
	w.says(modelUser, "U000001@example.org", "Updated u000001@example.org.") // by address
	w.says(modelUser, slapdtest.UUID(149), "out of scope: exclude")

	group := slapdtest.UUID(slapdtest.GroupUUIDs + 2)
	w.says(modelGroup, group, "Nothing to change.")
	e.member(slapdtest.GroupDN(2), slapdtest.UserDN(5), true)
	w.says(modelGroup, group, "info: Added u000005 to g00002.")
	e.member(slapdtest.GroupDN(2), slapdtest.UserDN(5), false)
	w.says(modelGroup, group, "Removed u000005 from g00002.")
	e.rename(slapdtest.UserDN(6), "uid=renamed", "")
	e.set("uid=renamed,"+slapdtest.People, "mail", "renamed@example.org")
	w.says(modelUser, slapdtest.UUID(6), "Updated renamed@example.org.")

	// A person joined since the directory was read.
	e.person(150, "")
	w.says(modelUser, strings.ToUpper(slapdtest.UUID(150)), "Created u000150@example.org.")
	w.says(modelUser, "u000150", "Nothing to change.")

	w.remoteFailure(e)
	w.departures(e)
	w.recreated(e)
	if n := proxy.seen.Load(); n > whole/2 {
		t.Errorf("the directory sent %d bytes for a dozen single objects, and %d for all that it has: it was listed", n,
			whole)
	}
	w.disabled(e) // A return reads the server's schema, once.
	proxy.seen.Store(0)
	w.disabled(e)
	if n := proxy.seen.Load(); n > whole/10 {
		t.Errorf("the directory sent %d bytes for one who was disabled and came back, and %d for all that it has", n, whole)
	}
	w.wrongRequests()
}

// remoteFailure has the tenant refuse what the sync of one person needs.
func (w *world) remoteFailure(e *editor) {
	w.Helper()
	e.set(slapdtest.UserDN(7), "title", "Director")
	w.tenant.Inject(simulator.Fault{Method: "directory.users.update", Effect: simulator.Refuse, Status: 400,
		Code: "invalid", Message: "Invalid Input: the tenant is in a mood", Times: 1})
	w.says(modelUser, slapdtest.UUID(7), "error: ", "the tenant is in a mood")
	w.tenant.ClearFaults()
	w.says(modelUser, slapdtest.UUID(7), "Updated u000007@example.org.")
}

// departures shows that the sync of one object never concludes a departure.
func (w *world) departures(e *editor) {
	w.Helper()
	e.remove(slapdtest.UserDN(8))
	w.says(modelUser, slapdtest.UUID(8), "absent at its source")
	if u, _ := w.tenant.User("u000008@example.org"); u.Suspended {
		w.Error("a person who is absent at the source was suspended by a single-object sync")
	}
}

// recreated shows that a person who is created again under another id stays in the group that is synced alone.
func (w *world) recreated(e *editor) {
	w.Helper()
	before := w.accounts()
	e.remove(slapdtest.UserDN(0))
	e.add(slapdtest.UserDN(0), "objectClass", "inetOrgPerson", "entryUUID", slapdtest.UUID(900), "uid", "u000000",
		"cn", "First0 Last0", "sn", "Last0", "mail", "u000000@example.org", "employeeNumber", "0")
	group := slapdtest.UUID(slapdtest.GroupUUIDs)
	w.says(modelGroup, group, "u000000", "keeps its memberships until the next full run")
	w.same(before)
	e.remove(slapdtest.UserDN(0))
	e.person(0, "")
	w.says(modelGroup, group, "Nothing to change.")
}

// disabled shows that an account follows its entry when that is disabled, and back, with its groups as they were.
func (w *world) disabled(e *editor) {
	w.Helper()
	before := w.accounts()
	e.set(slapdtest.UserDN(9), "objectClass", "inetOrgPerson", "vendorObject")
	e.set(slapdtest.UserDN(9), "nsAccountLock", "TRUE")
	w.says(modelUser, slapdtest.UUID(9), "info: Suspended u000009@example.org: the entry is disabled.")
	if u, _ := w.tenant.User("u000009@example.org"); !u.Suspended {
		w.Error("a disabled person's account was not suspended")
	}
	w.says(modelUser, slapdtest.UUID(9), "Nothing to change.")
	e.set(slapdtest.UserDN(9), "nsAccountLock")
	w.says(modelUser, slapdtest.UUID(9), "info: Restored u000009@example.org.")
	w.same(before)
}

// wrongRequests are answered with 400 and the wrong field, and reach no tenant.
func (w *world) wrongRequests() {
	w.Helper()
	w.tenant.ResetCalls()
	for body, field := range map[string]string{
		`{"sync_object_model":"authentik.core.models.User","sync_object_id":"nobody"}`: "sync_object_id",
		`{"sync_object_model":"authentik.core.models.Group","sync_object_id":"` + slapdtest.UUID(1) +
			`"}`: "sync_object_id",
		`{"sync_object_model":"authentik.core.models.Token","sync_object_id":"` + slapdtest.UUID(1) +
			`"}`: "sync_object_model",
		`{"sync_object_id":"` + slapdtest.UUID(
			1) + `"}`: "sync_object_model",
		`{"sync_object_model":"authentik.core.models.User"}`:                        "sync_object_id",
		`{"sync_object_model":"authentik.core.models.User","sync_object_id":""}`:    "sync_object_id",
		`{"sync_object_model":"authentik.core.models.User","sync_object_id":["a"]}`: "sync_object_id",
		`{"sync_object_model":"authentik.core.models.User","sync_object_id":"` + strings.Repeat("x", 5000) +
			`"}`: "sync_object_id",
		`[]`: "non_field_errors", `{`: "detail", `null`: "non_field_errors", `{"sync_object_id":"` +
			strings.Repeat("x", 1<<21) + `"}`: "detail",
	} {
		code, data := w.call(http.MethodPost, google+"sync/object/", body)
		if code != http.StatusBadRequest || !strings.Contains(string(data), field) {
			w.Errorf("POST %s = %d %s, want 400 on %q", body[:min(len(body), 100)], code, data, field)
		}
	}
	if c := w.tenant.Calls(); c.Reads+c.Writes > 0 {
		w.Errorf("wrong requests made %d calls", c.Reads+c.Writes)
	}
	for _, path := range []string{"/providers/google_workspace/2/sync/object/",
		"/providers/microsoft_entra/1/sync/object/"} {
		if code, data := w.call(http.MethodPost, path, "{}"); code != http.StatusNotFound {
			w.Errorf("POST %s = %d %s, want 404", path, code, data)
		}
	}
}
