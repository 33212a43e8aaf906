package scim_test

import (
	"net/http"
	"strings"
	"testing"

	"rollcall/provider"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// TestProbe checks that the probe prints the keys that fit a server, and leaves nothing behind.
func TestProbe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		setups []setup
		want   []string
	}{
		"generic": {nil, []string{"update: patch", "filters: [externalId, groups.value, members.value, userName]",
			"members: list", "users can be suspended", "members can be removed with member_removal: path"}},
		"objects": {[]setup{behaving(simulator.Behaviours{ObjectPatch: true})}, []string{"update: object_patch"}},
		"put":     {[]setup{behaving(simulator.Behaviours{NoPatch: true})}, []string{"update: put", "member_update: put"}},
		"put of users": {[]setup{func(c *simulator.Config, _ *scim.Config) {
			c.Faults = []simulator.Fault{{Method: "users.patch", Status: http.StatusMethodNotAllowed}}
		}}, []string{"update: put", "member_update: patch"}},
		"no filters": {[]setup{behaving(simulator.Behaviours{NoFilter: true})},
			[]string{"filters: [none]"}},
		"aws": {[]setup{as("aws")}, []string{"members: user_filter", "paging: cursor", "update: patch",
			"filters: [externalId, groups.value, userName]"}},
		"values": {[]setup{behaving(simulator.Behaviours{RemoveByValue: true})},
			[]string{"warning: a member cannot be removed with member_removal: path"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, tc.setups...)
			lines, err := w.Probe(t.Context())
			text := strings.Join(lines, "\n")
			for _, want := range tc.want {
				if err != nil || !strings.Contains(text, want) {
					t.Errorf("Probe() = %v, %v, want %q", text, err, want)
				}
			}
			if len(w.tenant.Users())+len(w.tenant.Groups()) > 0 {
				t.Errorf("%v and %v are left", w.tenant.Users(), w.tenant.Groups())
			}
		})
	}
	w := open(t)
	w.tenant.SetToken("another")
	if _, err := w.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "credentials") {
		t.Errorf("Probe() with a wrong token = %v", err)
	}
}

// TestProbeOfAServerThatKeepsUsers checks that the user of the probe has no access afterwards, and that it is named.
func TestProbeOfAServerThatKeepsUsers(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNoContent, http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		l := &letter{quirks: quirks{deletion: status}}
		lines, err := newCompany(t, l.start(t), "token").provider.Probe(t.Context())
		text := strings.Join(lines, "\n")
		if err != nil || !strings.Contains(text, "the user 1 of the probe stays there, suspended: delete it by hand") {
			t.Errorf("%d: Probe() = %v, %v, want its user named", status, text, err)
		}
		if u := l.find("1"); u.attrs["active"] != false || l.find("2").id != "" {
			t.Errorf("%d: the probe left %+v and %+v", status, u, l.find("2"))
		}
	}
}

// A command has no limiter of the workers. It waits where the server says that its quota is spent.
func TestProbeAtASpentQuota(t *testing.T) {
	t.Parallel()
	w := open(t)
	w.tenant.Inject(simulator.Fault{Method: "users.*", Times: 1, Status: http.StatusTooManyRequests})
	w.tenant.Inject(simulator.Fault{Method: "groups.delete", Times: 1, Status: http.StatusTooManyRequests})
	tenant, err := w.cfg.Open(provider.Env{})
	if err != nil {
		t.Fatal(err)
	}
	lines, err := tenant.(*scim.Provider).Probe(t.Context())
	text := strings.Join(lines, "\n")
	if err != nil || !strings.Contains(text, "filters: [externalId, groups.value, members.value, userName]") ||
		len(w.tenant.Users())+len(w.tenant.Groups()) > 0 {
		t.Errorf("Probe() = %v, %v; %v and %v are left", text, err, w.tenant.Users(), w.tenant.Groups())
	}
}
