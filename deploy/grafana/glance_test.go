package grafana

import (
	"fmt"
	"strings"
)

// glance is the first screen, with one line of numbers and then what they are made of.
func glance() []*panel {
	return []*panel{
		health(), lastSuccess(),
		stat("Held changes", "Suspensions, deletions and removals of members that a guard holds until a person decides. "+
			"Joiners and updates go on meanwhile. What was rejected is not counted.").
			now(`sum(max by (container, guard) (rollcall_held_changes{container=~"$container",guard!="rejected"}))`, "held").
			unit("short").limits(good, step{1, look}).size(3, 4).runbook("a-guard-held-something"),
		stat("Failed changes", "Changes that failed in the newest run of each source and provider. The next run tries "+
			"them again.").
			now(`sum(max by (container, fault) (rollcall_failed_changes{container=~"$container"}))`, "failed").
			unit("short").limits(good, step{1, look}).size(3, 4).runbook("rollcallerrorratio"),
		stat("Quota left", "How much of what a tenant may be called with was left over in the last minute, in its "+
			"tightest lane; 0 % while the tenant has us wait. A long run uses it all, and that is well. Sources have no quota.").
			now(quotaLeft, "{{container}}").unit("percentunit").with("min", 0).with("max", 1).with("decimals", 0).
			noValue("no tenant").limits(look, step{0.05, good}).size(4, 4).runbook("rollcallquotaexhausted"),
		stat("Workers", "Workers that run. Without one no sync is carried out.").
			now(`max(rollcall_workers)`, "workers").unit("short").limits(bad, step{1, good}).size(2,
			4).runbook("rollcallnoworker"),
		stat("Redis", "Whether Redis answers every API process. It keeps the queues, the runs and the local copy of the "+
			"directories.").
			now(`min(rollcall_redis_up)`, "Redis").unit("short").limits(bad, step{1, good}).
			says(word{0, "down", bad}, word{1, "up", good}).size(2, 4).runbook("rollcallredisdown"),
		containers(), alerts(),
	}
}

const quotaLeft = `
(1 - max by (container) (rollcall_quota_used_ratio{container=~"$container"}))
  * on (container) (max by (container) (rollcall_quota_paused_seconds{container=~"$container"}) == bool 0)`

// health is the state of the alerts. rollcall:leaver_objective:seconds is recorded wherever the rules are loaded.
// Without the rules there is no alert, which does not mean health.
func health() *panel {
	of := func(severity string) string { return strings.TrimSuffix(firing, "}") + `,severity="` + severity + `"}` }
	return stat("Health", "What the alerts say. Healthy: none fires. Warning: something is for the next working day. "+
		"Critical: something is for a person now. The table below names them.").
		now("max(\n  2 * "+of("critical")+"\n  or "+of("warning")+"\n  or 0 * rollcall:leaver_objective:seconds\n)",
			"health").
		unit("short").limits(good, step{1, look}, step{2, bad}).noValue("alert rules are not loaded").
		says(word{0, "Healthy", good}, word{1, "Warning", look}, word{2, "Critical", bad}).size(4, 4).runbook("alerts")
}

// lastSuccess has a question for each colour, because the threshold is another one for each container.
func lastSuccess() *panel {
	const due = `max by (container) (rollcall_sync_expected_by_timestamp_seconds{container=~"$container"})`
	const age = `(time() - max by (container) (rollcall_last_success_timestamp_seconds{container=~"$container"}))`
	const known = `max by (container) (rollcall_container_info{container=~"$container"})`
	colour := func(c string) object { return set("color", object{"mode": "fixed", "fixedColor": c}) }
	never := func(c string) object { return set("mappings", words(word{0, "never", c})) }
	return stat("Since the last success", "How long ago the newest run of each source and provider completed. Green: "+
		"in time. Red: the next success is overdue, twice its schedule has passed. Orange: there was none yet.").
		now(age+" unless on (container) ("+due+" < time())", "{{container}}").ofQuery("A", colour(good)).
		now(age+" and on (container) ("+due+" < time())", "{{container}}").ofQuery("B", colour(bad)).
		now("0 * ("+known+" unless on (container) "+age+")", "{{container}}").ofQuery("C", colour(look), never(look)).
		unit("s").with("decimals", 0).limits(good).size(6, 4).runbook("rollcallsyncstale")
}

// results are the ways in which a run can end, by the number that the panels give them.
var results = []word{
	{0, "none yet", quiet}, {1, "successful", good}, {2, "warning", look}, {3, "cancelled", look}, {4, "expired", bad},
	{5, "failed", bad},
}

// faults are why a run can fail.
var faults = []word{
	{0, "–", plain}, {1, "internal", bad}, {2, "invalid", bad}, {3, "not_found", bad}, {4, "conflict", bad},
	{5, "denied", bad},
	{6, "throttled", bad}, {7, "unavailable", bad}, {8, "unsafe", bad}, {9, "canceled", bad}, {10, "refused", bad},
}

// states are what a run can be doing.
var states = []word{{0, "idle", quiet}, {1, "queued", look}, {2, "running", busy}, {3, "deferred", look}}

// coded returns a query that makes one number of a metric with a series for each word, the number of the series that
// is 1.
func coded(metric, label string, list []word) string {
	var of []string
	for _, w := range list[1:] {
		of = append(of, fmt.Sprintf("%d * %s{container=~\"$container\",%s=%q}", w.value, metric, label, w.text))
	}
	return "max by (container) (\n  " + strings.Join(of, "\n  or ") + "\n)"
}

func containers() *panel {
	warn := func(steps ...step) []object {
		return []object{set("thresholds", thresholds(plain, steps...)),
			set("custom.cellOptions", object{"type": "color-text"})}
	}
	seconds := []object{set("unit", "s"), set("decimals", 0)}
	result := []object{set("mappings", words(results...)),
		set("custom.cellOptions", object{"type": "color-background", "mode": "basic"})}
	sum := func(labels, metric string) string {
		return fmt.Sprintf("sum by (container) (max by (container, %s) (%s))", labels, metric)
	}
	p := table("Sources and providers", "One line for each source that is read and each provider that is written. "+
		"“because” is the kind of error that ended the newest run. A negative number under “due in” is how long the "+
		"next success is overdue. “not synced” are people and groups about which nothing could be done; the messages of "+
		"the run name them. “pinned” are those that an undo keeps as they were. “leaver waits” is how long the "+
		"longest waiting leaver has been gone without being suspended.").
		column("result", coded("rollcall_last_run_result", "result", results), result...).
		column("because", coded("rollcall_last_run_fault", "fault", faults), set("mappings", words(faults...))).
		column("ended ago", `time() - max by (container) (rollcall_last_run_timestamp_seconds{container=~"$container"})`,
			seconds...).
		column("took", `max by (container) (rollcall_last_run_duration_seconds{container=~"$container"})`, set("unit", "s")).
		column("due in", `max by (container) (rollcall_sync_expected_by_timestamp_seconds{container=~"$container"}) - time()`,
			append(seconds, set("thresholds", thresholds(bad, step{0, plain})),
				set("custom.cellOptions", object{"type": "color-text"}))...).
		column("held", sum("guard", `rollcall_held_changes{container=~"$container",guard!="rejected"}`),
			warn(step{1, look})...).
		column("failed", sum("fault", `rollcall_failed_changes{container=~"$container"}`), warn(step{1, look})...).
		column("not synced", sum("reason", `rollcall_held_entries{container=~"$container"}`)).
		column("paused", `max by (container) (rollcall_container_paused{container=~"$container"})`, warn(step{1, look})...).
		column("pinned", `max by (container) (rollcall_pinned_entries{container=~"$container"})`).
		column("users", `max by (container) (rollcall_directory_entries{container=~"$container",kind="user"})`).
		column("groups", `max by (container) (rollcall_directory_entries{container=~"$container",kind="group"})`).
		column("leaver waits", `max by (container) (rollcall_leaver_pending_seconds{container=~"$container"})`,
			append(seconds, warn(step{24 * 3600, bad})...)...)
	return p.unit("short").noValue("–").size(width, 7).runbook("reading-the-status")
}

func alerts() *panel {
	const key = "max by (alertname, container, severity)"
	p := table("Alerts that fire", "What is wrong, what it is about, and how urgent it is: critical is for a person "+
		"now, warning for the next working day. The last row of this dashboard explains each alert.").
		column("began", "1000 * ("+key+` (ALERTS_FOR_STATE{alertname=~"Rollcall.*",container=~"$container|"}) and `+key+" ("+
			firing+"))", set("unit", "dateTimeFromNow")).
		override(object{"id": "byName", "options": "urgency"}, set("custom.cellOptions", object{"type": "color-text"}),
			set("mappings", []object{
				{"type": "value", "options": object{"critical": object{"color": bad, "index": 0},
					"warning": object{"color": look, "index": 1}}},
			}))
	rename := p.organize("renameByName")
	rename["alertname"], rename["container"], rename["severity"] = "alert", "about", "urgency"
	// A single question has a plain name.
	rename["Value"] = rename["Value #A"]
	return p.unit("short").noValue("No alert fires").size(width, 5).runbook("alerts")
}
