package boot_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/internal/slapdtest"
	google "rollcall/simulator/googleworkspace"
	"rollcall/status"
)

// held returns what waits for a decision.
func (o *office) held(name container.ID) (set decisions.HeldSet) {
	o.Helper()
	o.call(http.MethodGet, paths[name]+"sync/held/", "", http.StatusOK, &set)
	return set
}

// approve approves all that waits, and returns the run that carries it out.
func (o *office) approve(name container.ID) status.Run {
	o.Helper()
	var answer struct {
		Run struct {
			ID string `json:"id"`
		} `json:"run"`
	}
	o.call(http.MethodPost, paths[name]+"sync/held/"+o.held(name).Digest+"/approve/", "", http.StatusAccepted, &answer)
	return o.end(name, answer.Run.ID)
}

// says fails the test unless a message of the run contains the text.
func (o *office) says(run status.Run, text string) {
	o.Helper()
	messages, _, err := o.app.Status.Messages(o.Context(), run.Container, run.ID, "", 1000)
	if err != nil {
		o.Fatal(err)
	}
	if !slices.ContainsFunc(messages, func(m status.Message) bool { return strings.Contains(m.Event, text) }) {
		o.Errorf("no message of %s says %q: %+v", run.Container, text, messages)
	}
}

// A tenant that refuses to list its users still shows single accounts. More leavers than a day may see are held and
// named then, too, and an approval carries them out.
func TestLeaversThatAreHeldWithoutAListAreNamedAndApproved(t *testing.T) {
	t.Parallel()
	all := slapdtest.Generate(40, 1, 5)
	o := newOffice(t, officeOptions{ldif: tree + all, file: true})
	o.sync(corp, workspace)
	records := strings.SplitAfter(all, "\n\n")
	o.replace(tree + strings.Join(records[5:], ""))
	o.begin(corp)
	if run := o.approve(corp); run.State != status.Completed {
		t.Fatalf("the approved run of the source is %s: %s", run.State, run.FailReason)
	}
	o.tenant.Inject(google.Fault{Method: "directory.users.list", Status: http.StatusForbidden, Code: "forbidden"})
	run := o.begin(workspace)
	set := o.held(workspace)
	if run.State != status.Failed || len(set.Changes) != 5 {
		t.Fatalf("the run is %s and %d changes are held, want failed and 5", run.State, len(set.Changes))
	}
	for _, c := range set.Changes {
		if c.Op != "suspend" || !strings.HasPrefix(c.Label, "u00000") || !strings.Contains(c.Reason, "the limit is 3") {
			t.Errorf("held: %+v", c)
		}
	}
	o.says(run, "rollcall approve google_workspace:1")
	run = o.approve(workspace)
	if run.State != status.Failed || !strings.Contains(run.FailReason, "5 leavers were suspended") {
		t.Errorf("the approved run is %s: %s; want it to fail and suspend all the same", run.State, run.FailReason)
	}
	suspended := 0
	for _, u := range o.tenant.Users() {
		if u.Suspended {
			suspended++
		}
	}
	if suspended != 5 {
		t.Errorf("%d accounts are suspended, want 5", suspended)
	}
	o.tenant.ClearFaults()
	o.sync(workspace)
	if set := o.held(workspace); len(set.Changes) > 0 {
		t.Errorf("%d changes are held when the tenant lists again", len(set.Changes))
	}
}
