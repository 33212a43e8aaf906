package deploy_test

import (
	"maps"
	"net"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/google/go-cmp/cmp"
)

// project loads docker-compose.yml as Docker Compose does, with no variable set.
func project(t *testing.T, profiles ...string) *types.Project {
	t.Helper()
	opts, err := cli.NewProjectOptions([]string{root + "/docker-compose.yml"}, cli.WithInterpolation(true),
		cli.WithProfiles(profiles), cli.WithResolvedPaths(true))
	if err != nil {
		t.Fatal(err)
	}
	p, err := opts.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

var always = []string{"alertmanager", "api", "check", "grafana", "prometheus", "redis", "worker"}

func TestProfiles(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ profiles, want []string }{
		{nil, always},
		{[]string{"demo"}, append(slices.Clone(always), "tenants")},
	} {
		slices.Sort(test.want)
		if diff := cmp.Diff(test.want, slices.Sorted(maps.Keys(project(t, test.profiles...).Services))); diff != "" {
			t.Errorf("profiles %v (-want +got)\n%s", test.profiles, diff)
		}
	}
}

var exact = regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+\.\d+(-[a-z0-9.]+)?(@sha256:[0-9a-f]{64})?$`)

func TestImagesArePinnedOrBuilt(t *testing.T) {
	t.Parallel()
	for name, s := range project(t, "*").Services {
		if s.Build == nil {
			if !exact.MatchString(s.Image) {
				t.Errorf("%s: the image %q has no exact version", name, s.Image)
			}
			continue
		}
		shipped(t, s.Build.Context)
		shipped(t, s.Build.Dockerfile)
		if s.Image != "rollcall:local" {
			t.Errorf("%s: image %q, want one image for all programs", name, s.Image)
		}
	}
}

// What a service mounts is in the repository or declared, and what is declared is used.
func TestMountsAndSecrets(t *testing.T) {
	t.Parallel()
	p := project(t, "*")
	volumes, secrets := map[string]bool{}, map[string]bool{}
	for name, s := range p.Services {
		for _, v := range s.Volumes {
			switch v.Type {
			case types.VolumeTypeBind:
				shipped(t, v.Source)
				if !v.ReadOnly {
					t.Errorf("%s may write %s", name, v.Source)
				}
			case types.VolumeTypeVolume:
				volumes[v.Source] = true
			default:
				t.Errorf("%s mounts a %s", name, v.Type)
			}
		}
		for _, secret := range s.Secrets {
			secrets[secret.Source] = true
		}
	}
	for _, s := range p.Secrets {
		shipped(t, s.File)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(p.Volumes)), slices.Sorted(maps.Keys(volumes))); diff != "" {
		t.Errorf("volumes: declared and used differ\n%s", diff)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(p.Secrets)), slices.Sorted(maps.Keys(secrets))); diff != "" {
		t.Errorf("secrets: declared and used differ\n%s", diff)
	}
}

// The API opens no directory and no tenant. So it mounts none of their passwords and keys, and the example names none
// in a folder that it mounts.
func TestTheAPIMountsNoCredentials(t *testing.T) {
	t.Parallel()
	const secrets = "/etc/secrets"
	mounts := map[string]bool{}
	for name, s := range project(t, "*").Services {
		for _, v := range s.Volumes {
			mounts[name] = mounts[name] || v.Target == secrets
		}
	}
	for name, has := range mounts {
		if want := name == "worker" || name == "check"; has != want {
			t.Errorf("%s mounts %s: %v, want %v", name, secrets, has, want)
		}
	}
	named := regexp.MustCompile(`(?:password|credentials|secret)_file: (\S+)`).
		FindAllStringSubmatch(read(t, "deploy/config/rollcall.example.yaml"), -1)
	for _, m := range named {
		if file := path.Join("/etc/rollcall", m[1]); path.Dir(file) != secrets {
			t.Errorf("the example names %s, which the API may see, want it in %s", file, secrets)
		}
	}
	if len(named) != 3 {
		t.Errorf("the example names %d secrets, want 3", len(named))
	}
}

func TestServicesAreHardened(t *testing.T) {
	t.Parallel()
	for name, s := range project(t, "*").Services {
		limits := types.Resource{}
		if s.Deploy != nil && s.Deploy.Resources.Limits != nil {
			limits = *s.Deploy.Resources.Limits
		}
		uid, _, _ := strings.Cut(s.User, ":")
		for what, is := range map[string]bool{
			"a read-only root":       s.ReadOnly,
			"no capabilities":        slices.Equal(s.CapDrop, []string{"ALL"}) && len(s.CapAdd) == 0,
			"no new privileges":      slices.Contains(s.SecurityOpt, "no-new-privileges:true"),
			"a user who is not root": uid != "" && uid != "0" && uid != "root",
			"not privileged":         !s.Privileged && s.Pid == "" && s.Ipc == "" && len(s.Devices) == 0,
			"a limit of memory":      limits.MemoryBytes > 0,
			"a limit of processors":  limits.NanoCPUs > 0,
			"a limit of processes":   limits.Pids > 0,
			"logs that are rotated": s.Logging != nil && s.Logging.Options["max-size"] != "" &&
				s.Logging.Options["max-file"] != "",
			"no name of its own": s.ContainerName == "",
			"a health check": name == "check" || s.HealthCheck != nil && len(s.HealthCheck.Test) > 1 &&
				!s.HealthCheck.Disable,
			"a restart, or to end": s.Restart == map[bool]string{true: "no",
				false: types.RestartPolicyUnlessStopped}[name == "check"],
			"no secret as a variable": !slices.ContainsFunc(slices.Collect(maps.Keys(s.Environment)),
				func(k string) bool { return strings.HasSuffix(k, "PASSWORD") || strings.HasSuffix(k, "SECRET") }),
			"no access to the container": !slices.ContainsFunc(s.Volumes,
				func(v types.ServiceVolumeConfig) bool { return strings.Contains(v.Source, "docker.sock") }),
		} {
			if !is {
				t.Errorf("%s: want %s", name, what)
			}
		}
	}
}

// Only the API and Grafana are published, and only on this machine, because two workers cannot share one port.
func TestPorts(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for name, s := range project(t, "*").Services {
		for _, p := range s.Ports {
			got[name] += net.JoinHostPort(p.HostIP, p.Published) + " "
		}
	}
	want := map[string]string{"api": "127.0.0.1:8080 ", "grafana": "127.0.0.1:3000 "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNetworksConnectWhatMustBe(t *testing.T) {
	t.Parallel()
	p := project(t, "*")
	got := map[string][]string{}
	for name, s := range p.Services {
		for network := range s.Networks {
			got[network] = append(got[network], name)
		}
		if len(s.Networks) == 0 && s.NetworkMode != "none" {
			t.Errorf("%s is in the network of everybody", name)
		}
	}
	want := map[string][]string{
		"store":      {"api", "redis", "worker"},
		"scrape":     {"api", "prometheus", "worker"},
		"monitor":    {"alertmanager", "grafana", "prometheus"},
		"demo":       {"api", "tenants", "worker"},
		"outside":    {"api", "worker"},
		"notify":     {"alertmanager"},
		"dashboards": {"grafana"},
	}
	for network, services := range got {
		slices.Sort(services)
		if inside := p.Networks[network].Internal; inside != !slices.Contains([]string{"outside", "notify", "dashboards"},
			network) {
			t.Errorf("%s: internal is %v", network, inside)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestOrderOfStartAndStop(t *testing.T) {
	t.Parallel()
	p := project(t, "*")
	for _, name := range []string{"api", "worker"} {
		d := p.Services[name].DependsOn
		if d["check"].Condition != types.ServiceConditionCompletedSuccessfully ||
			d["redis"].Condition != types.ServiceConditionHealthy {
			t.Errorf("%s starts before the configuration was looked at or Redis is there: %v", name, d)
		}
		if tenants := d["tenants"]; tenants.Condition != types.ServiceConditionHealthy || tenants.Required {
			t.Errorf("%s should wait for the demonstration where there is one: %v", name, tenants)
		}
		// Both take up to 20 seconds.
		if grace := p.Services[name].StopGracePeriod; grace == nil || time.Duration(*grace) < 30*time.Second {
			t.Errorf("%s may be killed while it stops: stop_grace_period is %v", name, grace)
		}
	}
}
