// Package grafana makes the Grafana dashboard that is shipped, dashboards/rollcall.json:
//
//	go test ./deploy/grafana -update
//
// A program writes the JSON because it repeats everything many times, such as the place, number, data source and
// dozen options of each panel. Here a panel is its question in PromQL and its explanation in plain words. Ids and
// places are counted, so that panels cannot overlap. Grafana's own SDK would do the same with some hundred generated
// types.
//
//	model_test.go      what is written: dashboard, row, panel, target
//	panel_test.go      the kinds of panels, each with the options that all panels of the kind share
//	dashboard_test.go  the dashboard: variables, links, rows
//	glance_test.go and the other files have the panels of one row or two
//
// The panels follow these rules:
//   - Every API process reads state from the same Redis, so state is max by (…). Each worker counts its work, so work
//     is sum by (…).
//   - A number in the first row is asked for as of now. The last known number would be shown as if it were still true.
//   - An unknown value is not shown as zero.
//   - No panel needs the recording rules. Only the panels about alerts need the rules, and they say so where the rules
//     are not loaded.
package grafana
