package deploy_test

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rollcall/internal/config"
)

// The units set variables that the programs know, and are alike but for the program and its tokens.
func TestSystemdUnits(t *testing.T) {
	t.Parallel()
	var known []string
	for f := range reflect.TypeFor[config.Process]().Fields() {
		known = append(known, config.Prefix+"_"+f.Tag.Get("envconfig"))
	}
	variable := regexp.MustCompile(`ROLLCALL_\w+`)
	text := map[string]string{}
	for _, name := range []string{"api", "worker"} {
		b, err := os.ReadFile("systemd/rollcall-" + name + ".service")
		if err != nil {
			t.Fatal(err)
		}
		text[name] = string(b)
		for _, v := range variable.FindAllString(text[name], -1) {
			if !slices.Contains(known, v) {
				t.Errorf("the unit of %s names %s, which no program knows", name, v)
			}
		}
		if !strings.Contains(text[name], "\nExecStart=/usr/local/lib/rollcall/"+name+"\n") {
			t.Errorf("the unit of %s does not start it", name)
		}
	}
	user := regexp.MustCompile(`(?m)^User=(\S+)$`)
	of := map[string]string{}
	for name, unit := range text {
		of[name] = user.FindStringSubmatch(unit)[1]
		hidden := strings.Contains(unit, "\nInaccessiblePaths=-/etc/rollcall/secrets\n")
		if want := name == "api"; hidden != want {
			t.Errorf("the secrets are hidden from the %s: %v, want %v", name, hidden, want)
		}
	}
	guide, err := os.ReadFile("../docs/deployment.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []string{"useradd --system --gid rollcall --home-dir /nonexistent --no-create-home " +
		"--shell /usr/sbin/nologin " + of["api"], "install -d -m 700 -o " + of["worker"] + " /etc/rollcall/secrets",
		"install -m 600 -o " + of["worker"] + " google.json ldap-password /etc/rollcall/secrets/"} {
		if !strings.Contains(string(guide), "    "+step+"\n") {
			t.Errorf("the guide does not say %q", step)
		}
	}
	if of["api"] == of["worker"] {
		t.Errorf("both programs run as %s, so that the API could read the secrets", of["api"])
	}
	hardening := func(unit string) string {
		_, after, _ := strings.Cut(unit, "\nUMask=")
		return after
	}
	if a, w := hardening(text["api"]), hardening(text["worker"]); a == "" || a != w {
		t.Errorf("the units are hardened differently:\n%s\n%s", a, w)
	} else if !strings.Contains(a, "\nLimitCORE=0\n") {
		t.Error("a crash may leave a core file, which has the secrets")
	}
}
