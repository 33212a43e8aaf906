package googleworkspace_test

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/fault"
	"rollcall/plan"
	simulator "rollcall/simulator/googleworkspace"
)

// TestUndeleteWithALostAnswer checks that the account counts as restored, whatever Google says to the second attempt.
func TestUndeleteWithALostAnswer(t *testing.T) {
	t.Parallel()
	for _, refusal := range []simulator.Fault{
		{Status: http.StatusNotFound, Code: "notFound", Message: "Resource Not Found: userKey"},
		{Status: http.StatusConflict, Code: "duplicate", Message: "Entity already exists."},
		{Status: http.StatusPreconditionFailed, Code: "conditionNotMet", Message: "Condition not met."},
		{Status: http.StatusBadRequest, Code: "failedPrecondition", Message: "Precondition check failed."},
	} {
		w := open(t, setup{caller: again{}})
		id := w.must(newUser("u1", "liz@example.com"))
		if err := w.tenant.DeleteUser(id); err != nil {
			t.Fatal(err)
		}
		refusal.Method, refusal.Nth = "directory.users.undelete", 2
		w.tenant.Inject(simulator.Fault{Method: refusal.Method, Times: 1, Effect: simulator.LoseAnswer}, refusal)
		r := w.do(change(plan.Undelete, user("u1"), id, "name.givenName", "Elisabeth"))
		if r.Err != nil || w.object(id).Fields.Get("name.givenName") != "Elisabeth" {
			t.Errorf("undelete answered %d after a lost answer = %v, want success", refusal.Status, r.Err)
		}
	}
}

// TestUndeleteThatIsRefused checks that the message gives Google's reason.
func TestUndeleteThatIsRefused(t *testing.T) {
	t.Parallel()
	w := open(t, mapUsers("orgUnitPath"))
	id := w.must(newUser("u1", "liz@example.com"))
	if err := w.tenant.DeleteUser(id); err != nil {
		t.Fatal(err)
	}
	c := change(plan.Undelete, user("u1"), id, "orgUnitPath", "/interns", "name.givenName", "Elisabeth")
	if r := w.do(c); kind(r.Err) != fault.Invalid ||
		!strings.Contains(r.Err.Error(), `no organizational unit "/interns"`) {
		t.Errorf("undelete into an unknown unit = %v, want the unit named", r.Err)
	}
	w.tenant.Inject(simulator.Fault{Method: "directory.users.undelete", Times: 1, Status: http.StatusBadRequest,
		Code: "invalid", Message: "Too late"})
	c = change(plan.Undelete, user("u1"), id, "name.givenName", "Elisabeth")
	if r := w.do(c); kind(r.Err) != fault.Invalid || fault.RejectedField(r.Err) != "" ||
		!strings.Contains(r.Err.Error(), "20 days") || !strings.Contains(r.Err.Error(), "Too late") {
		t.Errorf("undelete that is refused = %v, want Google's reason and no field", r.Err)
	}
	_, err := w.tenant.AddUser(simulator.User{PrimaryEmail: "liz@example.com", GivenName: "A", FamilyName: "B"})
	if err != nil {
		t.Fatal(err)
	}
	if r := w.do(c); kind(r.Err) != fault.Conflict ||
		!strings.Contains(r.Err.Error(), "another object has its old address") {
		t.Errorf("undelete at an address in use = %v, want a conflict", r.Err)
	}
}
