package boot_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/container"
	"rollcall/internal/metrics"
	"rollcall/status"
)

// TestWhatIsExportedIsTheCatalogue checks after syncs of everything that each metric of the catalogue is exported
// with its labels and values, and no other metric of ours.
func TestWhatIsExportedIsTheCatalogue(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeOptions{ldif: staff(), syncProv: true,
		source: append(slices.Clone(onlyStaff), `schedule: "0 3 * * *"`), both: []string{"filter_group: cloud"}})
	o.sync(corp, workspace, entra)
	o.call(http.MethodPost, paths[workspace]+"sync/object/",
		`{"sync_object_model":"authentik.core.models.User","sync_object_id":"ada"}`, http.StatusOK, &struct{}{})
	// one that is live
	if _, err := o.app.Status.Start(t.Context(), status.StartRequest{Container: workspace}); err != nil {
		t.Fatal(err)
	}
	catalogue := map[string]*metrics.Metric{}
	for _, s := range metrics.Catalogue(o.app.Config.Types) {
		for i := range s.Metrics {
			catalogue[s.Metrics[i].Name] = &s.Metrics[i]
		}
	}
	families, err := o.app.Metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		name := f.GetName()
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		m := catalogue[name]
		if m == nil {
			t.Errorf("%s is not in the catalogue", name)
			continue
		}
		delete(catalogue, name)
		if kind := strings.ToLower(f.GetType().String()); kind != string(m.Kind) || f.GetHelp() != m.Help {
			t.Errorf("%s is a %s and says %q", name, kind, f.GetHelp())
		}
		for _, sample := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range sample.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			checkLabels(t, m, labels)
		}
	}
	for name := range catalogue {
		t.Errorf("%s is in the catalogue and not exported", name)
	}
}

func checkLabels(t *testing.T, m *metrics.Metric, labels map[string]string) {
	t.Helper()
	for _, l := range m.Labels {
		v, there := labels[l.Name]
		switch {
		case !there:
			t.Errorf("%s has no label %s", m.Name, l.Name)
		case l.Values != nil && !slices.Contains(l.Values, v):
			t.Errorf("%s: label %s is %q, want one of %v", m.Name, l.Name, v, l.Values)
		case l.Name == "container" && !slices.Contains([]container.ID{corp, workspace, entra}, container.ID(v)):
			t.Errorf("%s: container %q is none of ours", m.Name, v)
		case strings.ContainsAny(v, "@=") || strings.HasPrefix(v, "ada"):
			t.Errorf("%s: label %s is %q: that may name somebody", m.Name, l.Name, v)
		}
		delete(labels, l.Name)
	}
	if diff := cmp.Diff(map[string]string{}, labels); diff != "" {
		t.Errorf("%s has labels that the catalogue does not know (-want +got)\n%s", m.Name, diff)
	}
}
