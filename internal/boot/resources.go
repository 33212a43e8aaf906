package boot

import (
	"encoding/json"
	"strings"

	"gopkg.in/yaml.v3"

	"rollcall/api"
	"rollcall/container"
)

// resources shows the configuration to the API: under the names of the file, secrets left out. What the file says of
// secrets is where they are, and that is no secret.
func (a *App) resources() []api.Resource {
	var out []api.Resource
	for i := range a.Config.Sources.LDAP {
		c := &a.Config.Sources.LDAP[i]
		out = append(out, api.Resource{Container: container.Source(c.Slug), Name: c.Name, Disabled: !c.Enabled,
			Fields: shown(c)})
	}
	for i := range a.Config.Providers {
		p := &a.Config.Providers[i]
		out = append(out, api.Resource{Container: p.Container(), Name: p.Name, Disabled: !p.On(), Fields: shown(p.Config)})
	}
	return out
}

// shown returns a configuration as a map, under the keys of the file.
func shown(cfg any) map[string]any {
	text, err := yaml.Marshal(cfg)
	if err != nil {
		return nil
	}
	var m map[string]any
	if yaml.Unmarshal(text, &m) != nil {
		return nil
	}
	for key, v := range m {
		if strings.Contains(key, "password") && !strings.HasSuffix(key, "_file") && !strings.HasSuffix(key, "_env") {
			delete(m, key)
		}
		if _, err := json.Marshal(v); err != nil {
			delete(m, key)
		}
	}
	return m
}
