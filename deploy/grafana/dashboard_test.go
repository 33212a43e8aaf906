package grafana

// schemaVersion is that of Grafana 12; older and newer ones read it, too.
const schemaVersion = 42

// The places of other pages for the viewer's browser. Both are text boxes above the dashboard, and these are their
// first values.
const (
	apiURL  = "http://127.0.0.1:8080"
	docsURL = "https://example.com/rollcall/docs"
)

// firing are the alerts that fire for the containers that are looked at, and for none in particular.
const firing = `ALERTS{alertname=~"Rollcall.*",alertstate="firing",container=~"$container|"}`

// Dashboard returns dashboards/rollcall.json.
func Dashboard() []byte {
	d := dashboard{
		UID: "rollcall", Title: "Rollcall", Tags: []string{"rollcall"}, SchemaVersion: schemaVersion, Editable: true,
		GraphTooltip: 1,
		Description: "Is it healthy, when did it last succeed, what is held, how much quota is left: the first line " +
			"answers. The rows below say why.",
		Refresh: "30s", Time: object{"from": "now-6h", "to": "now"}, Timezone: "browser",
		Links: []object{
			link("What to do: docs/operations.md", "${docs:raw}/operations.md#alerts"),
			link("The metrics: docs/metrics.md", "${docs:raw}/metrics.md"),
			link("The queues: asynqmon", "${api:raw}/asynqmon/"),
		},
		Annotations: object{"list": []object{{
			"name": "Alerts", "datasource": datasource, "enable": true, "hide": false, "iconColor": bad,
			"target":      object{"refId": "Alerts", "expr": firing, "interval": "60s"},
			"titleFormat": "{{alertname}}", "textFormat": "{{container}}", "tagKeys": "severity",
		}}},
		Templating: object{"list": variables()},
	}
	var l layout
	l.open("At a glance", glance())
	l.open("Runs", runs())
	l.open("Changes", changes())
	l.closed("How soon a change arrives", latency())
	l.closed("Requests to tenants", requests())
	l.closed("Quota", quota())
	l.closed("Queues, workers and leases", queues())
	l.closed("Redis", redis())
	l.closed("Processes", processes())
	l.closed("What the alerts mean", meanings())
	d.Panels = l.panels
	return d.text()
}

func variables() []object {
	return []object{
		{
			"name": "datasource", "type": "datasource", "label": "Data source", "query": "prometheus", "hide": 0, "refresh": 1,
			"regex": "", "multi": false,
			"includeAll": false, "options": []object{}, "current": object{"text": "Prometheus", "value": "prometheus"},
			"description": "The Prometheus that scrapes Rollcall and has its alerts.",
		},
		{
			"name": "container", "type": "query", "label": "Source or provider", "datasource": datasource, "hide": 0,
			"refresh": 2, "regex": "", "sort": 1,
			"query": object{"query": "label_values(rollcall_container_info, container)", "refId": "container"},
			"multi": true, "includeAll": true, "allValue": ".+", "options": []object{},
			"current":     object{"text": []string{"All"}, "value": []string{"$__all"}},
			"description": "ldap:… are the directories that are read, the others the tenants that are written.",
		},
		textbox("api", "API at", apiURL, "Where your browser finds the API; the links to the queues lead there."),
		textbox("docs", "Documentation at", docsURL, "Where your browser finds the folder docs of Rollcall, on your Git "+
			"server say; the links to what to do lead there."),
	}
}

func textbox(name, label, value, description string) object {
	option := object{"selected": true, "text": value, "value": value}
	return object{
		"name": name, "type": "textbox", "label": label, "hide": 0, "query": value, "current": option,
		"options":     []object{option},
		"description": description,
	}
}
