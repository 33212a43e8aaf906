package e2e

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/internal/slapdtest"
	"rollcall/simulator/graph"
)

// account returns the Entra account of the nth user.
func (w *entraWorld) account(n int) graph.User {
	w.Helper()
	u, ok := w.graph.User(address(n))
	if !ok {
		w.Fatalf("there is no Entra account %s", address(n))
	}
	return u
}

// entraObject syncs one entry to Entra over HTTP and returns the status and the messages, one a line.
func (w *entraWorld) entraObject(model, id string) (int, string) {
	w.Helper()
	return w.objectAt(entra, model, id)
}

// entraSays syncs one entry, which has to be answered with these texts, and fails the test if the tenant was listed.
func (w *entraWorld) entraSays(model, id string, texts ...string) {
	w.Helper()
	w.paths.take()
	code, said := w.entraObject(model, id)
	if code != http.StatusOK || !hasAll(said, texts...) {
		w.Errorf("sync of %s = %d %q, want 200 and %q", id, code, said, texts)
	}
	for _, asked := range w.paths.requested() {
		path, query, _ := strings.Cut(strings.TrimPrefix(asked, "GET "), "?")
		if strings.HasSuffix(path, "/delta") || (path == "/users" || path == "/groups") &&
			!strings.Contains(query, "filter=") {
			w.Errorf("the sync of %s listed the tenant: %s", id, asked)
		}
	}
}

func TestEntraSingleObject(t *testing.T) {
	t.Parallel()
	w := newEntraWorld(t, entraOptions{options: options{slapd: small()}, lines: []string{`exclude: ["u000149"]`}})
	if code, said := w.entraObject(modelUser, slapdtest.UUID(1)); code != http.StatusBadRequest ||
		!strings.Contains(said, "sync_object_id") {
		t.Errorf("before the first sync: %d %s, want 400 on sync_object_id", code, said)
	}
	w.hop()
	e, id := w.editor(), slapdtest.UUID(1)
	w.entraSays(modelUser, id, "Nothing to change.")
	e.set(slapdtest.UserDN(1), "title", "Director")
	w.entraSays(modelUser, id, "info: Updated u000001@example.org.")
	e.set(slapdtest.UserDN(1), "sn", "Smith")
	w.entraSays(modelUser, "u000001", "Updated u000001@example.org.")
	if u := w.account(1); u.Surname != "Smith" || u.JobTitle != "Director" {
		t.Errorf("the account is %s, %s", u.Surname, u.JobTitle)
	}
	w.entraSays(modelUser, slapdtest.UUID(149), "out of scope: exclude")
	dn := e.person(500, "")
	w.sync(corp)
	w.entraSays(modelUser, slapdtest.UUID(500), "Created u000500@example.org")

	group := slapdtest.UUID(slapdtest.GroupUUIDs + 2)
	w.entraSays(modelGroup, group, "Nothing to change.")
	e.member(slapdtest.GroupDN(2), dn, true)
	w.entraSays(modelGroup, group, "Added u000500 to g00002.")
	e.member(slapdtest.GroupDN(2), dn, false)
	w.entraSays(modelGroup, group, "Removed u000500 from g00002.")
	e.rename(slapdtest.UserDN(6), "uid=renamed", "")
	e.set("uid=renamed,"+slapdtest.People, "mail", "renamed@example.org")
	w.entraSays(modelUser, slapdtest.UUID(6), "Updated renamed@example.org.")

	w.graph.Inject(graph.Fault{Method: "users.update", Status: 400, Code: "Request_BadRequest",
		Message: "the tenant is in a mood", Times: 1})
	e.set(slapdtest.UserDN(7), "title", "Director")
	w.entraSays(modelUser, slapdtest.UUID(7), "error: ", "the tenant is in a mood")
	w.graph.ClearFaults()
	w.entraSays(modelUser, slapdtest.UUID(7), "Updated u000007@example.org.")

	e.remove(slapdtest.UserDN(8))
	w.entraSays(modelUser, slapdtest.UUID(8), "absent at its source")
	if w.account(8).Disabled {
		t.Error("a person who is absent at the source was suspended by a single-object sync")
	}
	e.lock(9, true)
	w.entraSays(modelUser, slapdtest.UUID(9), "info: Suspended u000009@example.org: the entry is disabled.")
	w.entraSays(modelUser, slapdtest.UUID(9), "Nothing to change.")
	e.lock(9, false)
	w.entraSays(modelUser, slapdtest.UUID(9), "info: Restored u000009@example.org.")
	if w.account(9).Disabled {
		t.Error("a person who is enabled again is not restored")
	}
	w.entraWrongRequests()
}

// entraWrongRequests are answered with 400 and the wrong field, and reach no tenant.
func (w *entraWorld) entraWrongRequests() {
	w.Helper()
	w.graph.ResetCalls()
	for body, field := range map[string]string{
		`{"sync_object_model":"authentik.core.models.User","sync_object_id":"nobody"}`: "sync_object_id",
		`{"sync_object_model":"authentik.core.models.Group","sync_object_id":"` + slapdtest.UUID(1) +
			`"}`: "sync_object_id",
		`{"sync_object_model":"authentik.core.models.Token","sync_object_id":"` + slapdtest.UUID(1) +
			`"}`: "sync_object_model",
		`{"sync_object_model":"authentik.core.models.User","sync_object_id":"` + slapdtest.UUID(77777) +
			`"}`: "sync_object_id",
	} {
		if code, data := w.call(http.MethodPost, entra+"sync/object/", body); code != http.StatusBadRequest ||
			!strings.Contains(string(data), field) {
			w.Errorf("POST %s = %d %s, want 400 on %q", body, code, data, field)
		}
	}
	if c := w.graph.Calls(); c.Requests > 0 {
		w.Errorf("wrong requests made %d calls", c.Requests)
	}
	if code, data := w.call(http.MethodPost, "/providers/microsoft_entra/2/sync/object/",
		"{}"); code != http.StatusNotFound {
		w.Errorf("an unknown provider is answered with %d %s, want 404", code, data)
	}
}
