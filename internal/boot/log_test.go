package boot_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/container"
	google "rollcall/simulator/googleworkspace"
	"rollcall/simulator/graph"
	"rollcall/status"
)

// odd are people with names that stand out in any text.
var odd = []struct{ uid, mail string }{
	{"zoë.ünlü", "Zoe.Uenlue+x@example.org"}, {"o'brien-x", "o'brien-x@example.org"},
	{"李小龙", "bruce_li@example.org"},
	{"qqrenée", "qqrenee@elsewhere.example"},
}

// lines reads the log, of which every line has to be JSON.
func (o *office) lines() []map[string]any {
	o.Helper()
	var out []map[string]any
	for line := range strings.Lines(o.log.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			o.Fatalf("a line of the log is no JSON: %v: %s", err, line)
		}
		out = append(out, m)
	}
	return out
}

// TestTheLogTellsTheRunsAndNamesNobody checks that the log has one line for each phase with its run. It has no name
// and no address, although the remote sides quote them in their refusals.
func TestTheLogTellsTheRunsAndNamesNobody(t *testing.T) {
	t.Parallel()
	text := staff()
	for n, p := range odd {
		text += person(300+n, p.uid, "employeeType", "staff", "mail", p.mail, "title", "Engineer")
	}
	o := newOffice(t, officeOptions{ldif: text, source: onlyStaff, both: []string{"user_delete_action: delete"}})
	said := "Entity already exists: " + odd[0].mail + " (uid=" + odd[1].uid + ",ou=people,dc=example,dc=org), ask " +
		odd[2].uid
	o.tenant.Inject(google.Fault{Method: "directory.users.insert", Nth: 3, Times: 1, Status: 409, Code: "duplicate",
		Message: said})
	o.graph.Inject(graph.Fault{Method: "users.create", Nth: 3, Times: 1, Status: 400, Code: "Request_BadRequest",
		Message: said})
	runs := map[string]status.State{}
	for _, name := range []container.ID{corp, workspace, entra} {
		run := o.begin(name)
		runs[run.ID] = status.Completed
		if name != corp && run.FailedChanges == 0 || run.State != status.Completed {
			t.Fatalf("the run of %s is %s with %d failed changes: %s", name, run.State, run.FailedChanges, run.FailReason)
		}
	}
	o.tenant.Inject(google.Fault{Method: "directory.users.*", Status: 403, Code: "forbidden", Message: said})
	failed := o.begin(workspace)
	if failed.State != status.Failed || !strings.Contains(failed.FailReason, odd[0].mail) {
		t.Fatalf("the run is %s: %s, want the refusal in its reason", failed.State, failed.FailReason)
	}
	runs[failed.ID] = status.Failed
	for _, who := range []string{odd[0].mail, "ada"} {
		var answer struct {
			Messages []struct{ Event string }
		}
		o.call(http.MethodPost, paths[workspace]+"sync/object/",
			`{"sync_object_model":"authentik.core.models.User","sync_object_id":"`+who+`"}`, http.StatusOK, &answer)
	}

	o.rest() // The end of a job is answered before it is logged.
	phases := map[string][]string{}
	jobs := 0
	for _, m := range o.lines() {
		msg, _ := m["msg"].(string)
		if msg == "object job ended" {
			if jobs++; m["job_id"] == nil || m["outcome"] == nil || m["container"] != string(workspace) {
				t.Errorf("%v: want the job, its container and its outcome", m)
			}
		}
		if id, _ := m["run_id"].(string); id != "" {
			phases[id] = append(phases[id], msg)
			if m["container"] == nil {
				t.Errorf("%v: names no container", m)
			}
		} else if strings.HasPrefix(msg, "run ") || slices.Contains([]string{"read", "planned", "applied", "recorded"}, msg) {
			t.Errorf("%v: names no run", m)
		}
	}
	if jobs != 2 {
		t.Errorf("%d object jobs are told of, want 2", jobs)
	}
	for id, state := range runs {
		want := []string{"run started", "read", "planned", "applied", "recorded", "run completed"}
		if state == status.Failed {
			want = []string{"run started", "run failed"}
		}
		if diff := cmp.Diff(want, phases[id]); diff != "" {
			t.Errorf("what the log says of a run that is %s (-want +got)\n%s", state, diff)
		}
	}

	all := strings.ToLower(o.log.String())
	for _, p := range odd {
		for _, secret := range []string{p.uid, p.mail} {
			quoted, _ := json.Marshal(secret)
			for _, form := range []string{secret, strings.Trim(string(quoted), `"`)} {
				if at := strings.Index(all, strings.ToLower(form)); at >= 0 {
					t.Errorf("the log names %s: %s", secret, all[max(0, at-200):min(len(all), at+80)])
				}
			}
		}
	}
	for _, form := range []string{"@" + domain, "ou=people", "uid=", "filler", `"ada`} {
		if at := strings.Index(all, form); at >= 0 {
			t.Errorf("the log names somebody: %s", all[max(0, at-200):min(len(all), at+80)])
		}
	}
}
