package deploy_test

import (
	"cmp"
	"os"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	disruption "k8s.io/api/policy/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	admission "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// object makes an empty object of a kind, so that a rendered object with an unknown field is refused.
var objects = map[string]func() any{
	"v1/Namespace":                            func() any { return new(core.Namespace) },
	"v1/ServiceAccount":                       func() any { return new(core.ServiceAccount) },
	"v1/ConfigMap":                            func() any { return new(core.ConfigMap) },
	"v1/Service":                              func() any { return new(core.Service) },
	"apps/v1/Deployment":                      func() any { return new(apps.Deployment) },
	"policy/v1/PodDisruptionBudget":           func() any { return new(disruption.PodDisruptionBudget) },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return new(networking.NetworkPolicy) },
	"networking.k8s.io/v1/Ingress":            func() any { return new(networking.Ingress) },
	"monitoring.coreos.com/v1/PodMonitor":     func() any { return new(monitoring.PodMonitor) },
	"monitoring.coreos.com/v1/PrometheusRule": func() any { return new(monitoring.PrometheusRule) },
}

// rendered is what `kubectl apply -k` would send.
type rendered []any

func render(t *testing.T, dir string) (all rendered) {
	t.Helper()
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), root+
		"/deploy/kubernetes/"+dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range resources.Resources() {
		kind := r.GetApiVersion() + "/" + r.GetKind()
		text, err := r.AsYAML()
		if err != nil {
			t.Fatal(err)
		}
		if objects[kind] == nil {
			t.Fatalf("%s: a kind that the tests do not know:\n%s", kind, text)
		}
		object := objects[kind]()
		if err := yaml.UnmarshalStrict(text, object); err != nil {
			t.Errorf("%s %s: %v", kind, r.GetName(), err)
		}
		all = append(all, object)
	}
	return all
}

func of[T any](all rendered) (out []*T) {
	for _, o := range all {
		if o, is := o.(*T); is {
			out = append(out, o)
		}
	}
	return out
}

func TestKustomizationsRender(t *testing.T) {
	t.Parallel()
	for dir, want := range map[string]int{"base": 10, "overlays/example": 16} {
		t.Run(dir, func(t *testing.T) {
			t.Parallel()
			if all := render(t, dir); len(all) != want {
				t.Errorf("%d objects, want %d", len(all), want)
			}
		})
	}
}

func example(t *testing.T) rendered { t.Helper(); return render(t, "overlays/example") }

func TestPodsAreRestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := admission.LevelVersion{Level: admission.LevelRestricted, Version: admission.LatestVersion()}
	deployments := of[apps.Deployment](example(t))
	if len(deployments) != 2 {
		t.Fatalf("%d deployments, want 2", len(deployments))
	}
	for _, d := range deployments {
		pod := &d.Spec.Template
		for _, r := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
			if !r.Allowed {
				t.Errorf("%s: %s: %s", d.Name, r.ForbiddenReason, r.ForbiddenDetail)
			}
		}
		c := pod.Spec.Containers[0]
		for what, is := range map[string]bool{
			"a read-only root": c.SecurityContext.ReadOnlyRootFilesystem != nil &&
				*c.SecurityContext.ReadOnlyRootFilesystem,
			"no token of Kubernetes": pod.Spec.AutomountServiceAccountToken != nil &&
				!*pod.Spec.AutomountServiceAccountToken,
			"an image with a version": strings.Contains(c.Image, ":v") && !strings.HasSuffix(c.Image, ":latest"),
			"requests": !c.Resources.Requests.Cpu().IsZero() &&
				!c.Resources.Requests.Memory().IsZero(),
			"a limit of memory": !c.Resources.Limits.Memory().IsZero(),
			"time to stop": pod.Spec.TerminationGracePeriodSeconds != nil &&
				*pod.Spec.TerminationGracePeriodSeconds >= 35,
			"to spread over machines": len(pod.Spec.TopologySpreadConstraints) == 1 &&
				selects(t, pod.Spec.TopologySpreadConstraints[0].LabelSelector, pod.Labels),
			"probes": c.LivenessProbe != nil && c.ReadinessProbe != nil && c.StartupProbe != nil,
			"liveness that does not ask for Redis": c.LivenessProbe.HTTPGet.Path == "/livez" &&
				c.StartupProbe.HTTPGet.Path == "/livez" && c.ReadinessProbe.HTTPGet.Path == "/readyz",
		} {
			if !is {
				t.Errorf("%s: want %s", d.Name, what)
			}
		}
		for _, p := range []*core.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			if port := p.HTTPGet.Port.StrVal; !slices.ContainsFunc(c.Ports,
				func(c core.ContainerPort) bool { return c.Name == port }) {
				t.Errorf("%s: a probe asks port %q, which the container has not", d.Name, port)
			}
		}
	}
}

func selects(t *testing.T, s *meta.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := meta.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return !selector.Empty() && selector.Matches(labels.Set(of))
}

// Everything that selects pods selects those of one deployment, or of both.
func TestSelectorsFindPods(t *testing.T) {
	t.Parallel()
	all := example(t)
	pods := map[string]map[string]string{}
	for _, d := range of[apps.Deployment](all) {
		pods[strings.TrimPrefix(d.Name, "rollcall-")] = d.Spec.Template.Labels
		if !selects(t, d.Spec.Selector, d.Spec.Template.Labels) {
			t.Errorf("%s does not select its own pods", d.Name)
		}
	}
	found := map[string]string{}
	look := func(what string, s *meta.LabelSelector) {
		for _, name := range []string{"api", "worker"} {
			if selects(t, s, pods[name]) {
				found[what] += name + " "
			}
		}
	}
	for _, s := range of[core.Service](all) {
		look("service "+s.Name, &meta.LabelSelector{MatchLabels: s.Spec.Selector})
	}
	for _, p := range of[disruption.PodDisruptionBudget](all) {
		look("budget "+p.Name, p.Spec.Selector)
	}
	for _, p := range of[networking.NetworkPolicy](all) {
		look("policy "+p.Name, &p.Spec.PodSelector)
	}
	for _, m := range of[monitoring.PodMonitor](all) {
		look("monitor "+m.Name, &m.Spec.Selector)
	}
	want := map[string]string{
		"service rollcall-api": "api ", "budget rollcall-api": "api ", "budget rollcall-worker": "worker ",
		"policy rollcall-deny": "api worker ", "policy rollcall-api": "api ", "policy rollcall-metrics": "api worker ",
		"policy rollcall-egress": "api worker ",
		"monitor rollcall-api":   "api ", "monitor rollcall-worker": "worker ",
	}
	if diff := gocmp.Diff(want, found); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Nothing is open that no policy opens, and what a policy opens is a port that is there.
func TestNetworkPolicies(t *testing.T) {
	t.Parallel()
	all := example(t)
	ports := map[string]bool{}
	for _, d := range of[apps.Deployment](all) {
		for _, p := range d.Spec.Template.Spec.Containers[0].Ports {
			ports[p.Name] = true
		}
	}
	var denies bool
	var out []int32
	for _, p := range of[networking.NetworkPolicy](all) {
		if len(p.Spec.PolicyTypes) == 2 && len(p.Spec.Ingress) == 0 && len(p.Spec.Egress) == 0 {
			denies = true
		}
		for _, rule := range p.Spec.Ingress {
			for _, port := range rule.Ports {
				if !ports[port.Port.StrVal] || len(rule.From) == 0 {
					t.Errorf("%s opens %v to %v", p.Name, port.Port, rule.From)
				}
			}
		}
		for _, rule := range p.Spec.Egress {
			for _, port := range rule.Ports {
				out = append(out, port.Port.IntVal)
			}
		}
	}
	slices.Sort(out)
	if want := []int32{53, 53, 389, 443, 636, 3268, 3269, 6379, 6380}; !denies || !slices.Equal(out, want) {
		t.Errorf("everything is denied first: %v; ports that may be reached %v, want %v", denies, out, want)
	}
}

// What pods mount is made by the overlay, or is one of the Secrets that docs/deployment.md says how to make.
func TestReferencesAreMade(t *testing.T) {
	t.Parallel()
	all := example(t)
	guide := read(t, "docs/deployment.md")
	made := map[string]bool{}
	for _, c := range of[core.ConfigMap](all) {
		made["configmap "+c.Name] = c.Data["rollcall.yaml"] != ""
	}
	for _, name := range []string{"rollcall", "rollcall-decisions", "rollcall-redis"} {
		made["secret "+name] = strings.Contains(guide, "create secret generic "+name+" ")
	}
	need := func(d, what string) {
		if !made[what] {
			t.Errorf("%s needs the %s, which nobody makes", d, what)
		}
	}
	for _, d := range of[apps.Deployment](all) {
		for _, v := range d.Spec.Template.Spec.Volumes {
			if v.Secret != nil {
				need(d.Name, "secret "+v.Secret.SecretName)
			}
			if v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if s.ConfigMap != nil {
					need(d.Name, "configmap "+s.ConfigMap.Name)
				}
				if s.Secret != nil {
					need(d.Name, "secret "+s.Secret.Name)
				}
			}
		}
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if e.ValueFrom != nil {
				need(d.Name, "secret "+e.ValueFrom.SecretKeyRef.Name)
			}
		}
	}
}

// The API opens no directory and no tenant, so its container has none of their passwords and keys.
func TestTheAPIGetsNoCredentials(t *testing.T) {
	t.Parallel()
	checked := false
	for _, d := range of[apps.Deployment](example(t)) {
		for _, v := range d.Spec.Template.Spec.Volumes {
			if d.Name != "rollcall-api" || v.Projected == nil {
				continue
			}
			for _, s := range v.Projected.Sources {
				if s.Secret == nil {
					continue
				}
				checked = true
				want := map[string]string{"rollcall": "tokens", "rollcall-decisions": "decisions.key"}[s.Secret.Name]
				if len(s.Secret.Items) != 1 || s.Secret.Items[0].Key != want {
					t.Errorf("the API mounts %+v of the Secret %s, want %q alone", s.Secret.Items, s.Secret.Name, want)
				}
			}
		}
	}
	if !checked {
		t.Error("the API mounts no Secret with tokens")
	}
}

const ruleFile = "deploy/kubernetes/components/monitoring/prometheusrule.yaml"

// The alerts are written once, in deploy/prometheus/rules.yml; the object for the Prometheus Operator is made from
// them.
func TestThePrometheusRuleIsThatOfPrometheus(t *testing.T) {
	t.Parallel()
	var rules map[string]any
	if err := yaml.UnmarshalStrict([]byte(read(t, "deploy/prometheus/rules.yml")), &rules); err != nil {
		t.Fatal(err)
	}
	spec, err := yaml.Marshal(map[string]any{"spec": rules})
	if err != nil {
		t.Fatal(err)
	}
	want := `# Made from deploy/prometheus/rules.yml by make generate: edit that.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: rollcall
  labels:
    app.kubernetes.io/name: rollcall
` + string(spec)
	if *update {
		if err := os.WriteFile(root+"/"+ruleFile, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if diff := gocmp.Diff(want, read(t, ruleFile)); diff != "" {
		t.Errorf("%s is not as the rules are: run make generate (-want +got)\n%s", ruleFile, diff)
	}
	var names []string
	for _, r := range of[monitoring.PrometheusRule](example(t)) {
		for _, g := range r.Spec.Groups {
			for _, rule := range g.Rules {
				names = append(names, cmp.Or(rule.Alert, rule.Record))
			}
		}
	}
	if !slices.Contains(names, "RollcallSyncStale") {
		t.Errorf("the rendered object has %v", names)
	}
}
