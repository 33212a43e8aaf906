package googleworkspace_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/googleworkspace"
)

// sparse is a tenant with minimal answers, without kinds, counts and reasons.
func sparse(t *testing.T, answers map[string]string) *googleworkspace.Provider {
	t.Helper()
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		for path, answer := range map[string]string{
			"/token":   `{"access_token":"x","expires_in":3600}`,
			"/domains": `{"domains":[{"domainName":"example.com","verified":true}]}`,
		} {
			if strings.HasSuffix(r.URL.Path, path) {
				_, _ = io.WriteString(w, answer)
				return
			}
		}
		answer, ok := answers[r.Method+" "+strings.TrimPrefix(r.URL.Path, "/admin/directory/v1/")]
		if !ok {
			answer = `404 {"error":{"code":404,"message":"Resource Not Found: userKey"}}`
		}
		if code, body, _ := strings.Cut(answer, " "); code == "403" || code == "404" || code == "409" {
			w.WriteHeader(map[string]int{"403": 403, "404": 404, "409": 409}[code])
			answer = body
		}
		_, _ = io.WriteString(w, answer)
	})
}

// A search without a result has an empty list. An answer that a proxy made up has none.
func TestASearchThatFindsNobodyNeedsNoKind(t *testing.T) {
	t.Parallel()
	p := sparse(t, map[string]string{"GET users": `{"users":[]}`})
	q := provider.Query{Lookups: []provider.Lookup{{Ref: user("u1"), Address: "u1@example.com"}}}
	if s, err := p.Read(t.Context(), q); err != nil || len(s.Objects) != 0 {
		t.Errorf("Read() = %d objects, %v; want none", len(s.Objects), err)
	}
}

// An answer that a proxy made up says nothing about deleted accounts. An account of ours with a time of deletion that
// cannot be read is still a deleted account: the planner restores it and creates no second one.
func TestDeletedUsersAreNeverMissedSilently(t *testing.T) {
	t.Parallel()
	p := sparse(t, map[string]string{"GET users": `{"status":"ok"}`})
	if deleted, err := p.Deleted(t.Context()); err == nil || kind(err) != fault.Unavailable {
		t.Errorf("Deleted() = %v, %v; want unavailable", deleted, err)
	}
	p = sparse(t, map[string]string{"GET users": `{"users":[{"id":"7","primaryEmail":"u1@example.com",` +
		`"deletionTime":"yesterday","externalIds":[{"type":"custom","customType":"rollcall","value":"u1"}]},` +
		`{"id":"8","primaryEmail":"u2@example.com","deletionTime":"yesterday"}]}`})
	before := time.Now()
	deleted, err := p.Deleted(t.Context())
	if err != nil || len(deleted) != 1 || deleted[0].Ref != user("u1") || deleted[0].At.Before(before) {
		t.Errorf("Deleted() = %+v, %v; want u1, deleted now", deleted, err)
	}
}

// A count of zero beside a list with members is not a witness, because it would not change with the members.
func TestAGroupWithoutACountHasNoWitness(t *testing.T) {
	t.Parallel()
	p := sparse(t, map[string]string{
		"GET users": `{"users":[{"id":"7","primaryEmail":"u1@example.com"}]}`,
		"GET groups": `{"groups":[{"id":"g","email":"g@example.com",` +
			`"externalIds":[{"namespace":"system/external","id":"rollcall:g1"}]}]}`,
		"GET groups/g/members": `{"members":[{"id":"7"}]}`,
	})
	s, err := p.Read(t.Context(), provider.Query{})
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := find(s, "g"); !ok || len(o.Members) != 1 || o.Witness != "" {
		t.Errorf("the group is %+v, want one member and no witness", o)
	}
}

func TestAMemberAlreadyThereNeedsNoReason(t *testing.T) {
	t.Parallel()
	p := sparse(t, map[string]string{"POST groups/g/members": `409 {"error":{"code":409,` +
		`"message":"Member already exists.","status":"ALREADY_EXISTS"}}`})
	c := membership(plan.AddMember, "g1", "g", directory.Ref{Kind: directory.User, ID: "u1"}, "7")
	if r := p.Apply(t.Context(), []plan.Change{c})[0]; r.Err != nil {
		t.Errorf("Apply() = %v, want success", r.Err)
	}
}

// A refused change of an administrator concerns one entry, also where the refusal has no reason.
func TestAnAdministratorAboveUsNeedsNoReason(t *testing.T) {
	t.Parallel()
	p := sparse(t, map[string]string{
		"PUT users/7": `403 {"error":{"code":403,"message":"Not Authorized to access this resource/api"}}`,
		"GET users/7": `{"id":"7","primaryEmail":"u1@example.com","isAdmin":true,` +
			`"externalIds":[{"type":"custom","customType":"rollcall","value":"u1"}]}`,
	})
	c := change(plan.Update, user("u1"), "7", "name.givenName", "Ann")
	if r := p.Apply(t.Context(), []plan.Change{c})[0]; r.Err == nil || kind(r.Err) != fault.Refused {
		t.Errorf("Apply() = %v, want a refusal", r.Err)
	}
}
