package grafana

func runs() []*panel {
	return []*panel{
		timeline("What runs", "The live run of each source and provider. Queued: no worker has taken it yet. Deferred: it "+
			"waits for the tenant's quota and holds no worker. Dry runs are shown, too.").
			over(coded("rollcall_run_active", "state", states), "{{container}}").says(states...).limits(quiet).size(12, 6).
			link("The queues: asynqmon", "${api:raw}/asynqmon/"),
		timeline("How the newest run ended", "Warning: it completed, and some changes failed or are held. Expired: no "+
			"worker carried it out. A dry run does not count.").
			over(coded("rollcall_last_run_result", "result", results),
				"{{container}}").says(results...).limits(quiet).size(12, 6).
			runbook("rollcallsyncfailed"),

		gauges("Progress of live runs",
			"How much of its changes the live run has tried. It stands at nothing while the run reads and plans.").
			now(`max by (container) (rollcall_run_progress_ratio{container=~"$container"})`, "{{container}}").
			unit("percentunit").with("max", 1).limits(busy).noValue("no run is under way").size(6, 6).runbook("following-a-run"),
		stat("End of live runs", "When the live run will have tried all its changes, if it goes on as in the last ten "+
			"minutes; nothing while it reads, plans or waits.").
			now(runEnds, "{{container}}").unit("dateTimeFromNow").limits(busy).option("colorMode", "value").
			noValue("no run is applying changes").size(6, 6).runbook("following-a-run"),
		graph("Changes of live runs", "How many changes the live run has tried (filled) of those that it planned (dashed).").
			over(`max by (container) (rollcall_run_changes_done{container=~"$container"})`, "{{container}} done").
			over(`max by (container) (rollcall_run_changes_expected{container=~"$container"})`, "{{container}} planned").
			ofQuery("B", set("custom.lineStyle", object{"fill": "dash", "dash": []int{8, 8}}), set("custom.fillOpacity", 0)).
			unit("short").size(12, 6).runbook("following-a-run"),

		bars("Runs that ended", "Each run once, by how it ended; dry runs are named.").
			over(`sum by (container, mode, result) (increase(rollcall_runs_total`+
				`{container=~"$container"}[$__rate_interval])) > 0`,
				"{{container}} {{mode}} {{result}}").
			size(12, 7).runbook("rollcallsyncfailed"),
		graph("How long runs take", "The newest run of each, waits for the quota included, and below how long 95 % of the "+
			"runs of the last day took at most.").
			over(`max by (container) (rollcall_last_run_duration_seconds{container=~"$container"})`, "{{container}} newest").
			over(`histogram_quantile(0.95, sum by (container, le) (rate(rollcall_run_duration_seconds_bucket`+
				`{container=~"$container",mode!="dry_run"}[1d])))`,
				"{{container}} 95 %").
			unit("s").size(12, 7).runbook("capacity"),
	}
}

// runEnds continues the line of the changes that were tried lately. A run that stands still has no end.
const runEnds = `
1000 * (
  time() + (
    max by (container) (rollcall_run_changes_expected{container=~"$container"})
    - max by (container) (rollcall_run_changes_done{container=~"$container"})
  ) / (max by (container) (deriv(rollcall_run_changes_done{container=~"$container"}[10m])) > 0)
)`
