// Package grafana makes the Grafana dashboard that is shipped, dashboards/rollcall.json:
//
//	go test ./deploy -run Dashboard -update
//
// It is a program's work because the JSON says everything many times over: where each panel lies, its number, its data
// source, the same dozen options. Here a panel is its question in PromQL and its explanation in plain words; ids and
// places are counted, so that panels cannot overlap. Grafana's own SDK would do the same with some hundred generated types.
//
//	model.go      what is written: dashboard, row, panel, target
//	panel.go      the kinds of panels, each with the options that all panels of the kind share
//	dashboard.go  the dashboard: variables, links, rows
//	glance.go and the other files have the panels of one row or two
//
// The rules that the panels follow:
//   - State is read by every API process from the same Redis: max by (…). Work is counted by each worker: sum by (…).
//   - A number in the first row is asked for as of now. The last one that is known would be shown as if it were true still.
//   - What is not known is not shown as zero.
//   - No panel needs the recording rules; only what tells of alerts needs the rules to be loaded, and says so if they are not.
package grafana
