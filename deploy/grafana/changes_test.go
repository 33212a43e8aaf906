package grafana

func changes() []*panel {
	return []*panel{
		bars("Changes by what was done",
			"Changes that succeeded, of full syncs and of single objects. For a source they are those of the local copy.").
			over(`sum by (kind, action) (increase(rollcall_changes_total`+
				`{container=~"$container",outcome="ok"}[$__rate_interval])) > 0`,
				"{{action}} {{kind}}").
			size(12, 8).runbook("reading-a-plan"),
		bars("Changes that failed, by the kind of error", "denied: our credentials or rights. refused: this one object. "+
			"throttled: the quota. unavailable: the tenant or the network. invalid and conflict: one entry, which the "+
			"messages of the run name. internal: a bug of ours.").
			over(`sum by (container, outcome) (increase(rollcall_changes_total`+
				`{container=~"$container",outcome!="ok"}[$__rate_interval])) > 0`,
				"{{container}} {{outcome}}").
			noValue("none failed").size(12, 8).runbook("rollcallerrorratio"),

		graph("Held changes by guard", "limit: more than is usual in a day. half: more than half of all. empty: nobody is "+
			"left. members: much of a group. reactivate: many would become active. rename: many addresses would change. "+
			"emptied, coverage: many would lose a value. doubt: the read was in doubt. approval: the configuration wants a "+
			"person. follows: it depends on one that is held. rejected: a person said no.").
			over(`sum by (guard) (max by (container, guard) (rollcall_held_changes{container=~"$container"}))`, "{{guard}}").
			unit("short").with("decimals", 0).size(8, 8).runbook("a-guard-held-something"),
		graph("Entries that are not synced, by reason", "People and groups about which the newest run could do nothing, "+
			"or that are not to be in the tenant. Absent, disabled and out_of_scope are as they should be; the messages of "+
			"the run name the others.").
			over(`sum by (reason) (max by (container, reason) (rollcall_held_entries{container=~"$container"})) > 0`,
				"{{reason}}").
			unit("short").with("decimals", 0).noValue("every entry is synced").size(8, 8).runbook("reading-the-status"),
		bars("Single objects", "Syncs of single objects that are over, by how they ended. absent: the directory has no "+
			"such entry, and nothing was done.").
			over(`sum by (container, result) (increase(rollcall_object_jobs_total{container=~"$container"}[$__rate_interval]))`,
				"{{container}} {{result}}").
			size(8, 8).runbook("rollcalltasksarchived"),

		graph("Users and groups", "Entries that the newest completed run read. A step down is a wave of departures, or a "+
			"directory that does not tell all.").
			over(`max by (container, kind) (rollcall_directory_entries{container=~"$container"})`, "{{container}} {{kind}}s").
			unit("short").with("decimals", 0).size(12, 7).runbook("a-guard-held-something"),
		graph("Failed changes of the newest runs",
			"Changes of the newest run of each that failed, by the kind of error. The next run tries them again.").
			over(`sum by (fault) (max by (container, fault) (rollcall_failed_changes{container=~"$container"}))`, "{{fault}}").
			unit("short").with("decimals", 0).size(12, 7).runbook("rollcallerrorratio"),
	}
}

// quantile asks for the value below which a part of what a histogram counted lies, by container.
func quantile(q, metric, over string) string {
	return "histogram_quantile(" + q + ", sum by (container, le) (rate(" + metric + `_bucket{container=~"$container"}[` +
		over + "])))"
}

// spread asks for what a histogram counted, for a heatmap.
func spread(metric string) string {
	return "sum by (le) (increase(" + metric + `_bucket{container=~"$container"}[$__rate_interval]))`
}

func latency() []*panel {
	const lag, leaver = "rollcall_provisioning_lag_seconds", "rollcall_leaver_latency_seconds"
	return []*panel{
		graph("From the directory to the tenant", "How long changes of the last hour took from their reading in the "+
			"directory to their writing in the tenant: half of them at most, and 95 % of them at most. A gap: there were none.").
			over(quantile("0.5", lag, "1h"), "{{container}} half").over(quantile("0.95", lag, "1h"), "{{container}} 95 %").
			unit("s").size(12, 8).runbook("capacity"),
		heatmap("From the directory to the tenant: all changes",
			"The same as a picture: the higher, the longer it took; the darker, the more changes.", spread(lag)).
			size(12, 8).runbook("capacity"),

		graph("From leaving to suspension", "How long people who left, or were disabled, kept an account that works, of "+
			"those who were suspended in the last day. A gap: nobody was.").
			over(quantile("0.5", leaver, "1d"), "{{container}} half").over(quantile("0.95", leaver, "1d"), "{{container}} 95 %").
			unit("s").size(12, 8).runbook("rollcallleaverlatency"),
		heatmap("From leaving to suspension: everybody",
			"The same as a picture: the higher, the longer it took; the darker, the more people.", spread(leaver)).
			size(12, 8).runbook("rollcallleaverlatency"),

		graph("Who waits longest to be suspended", "How long the person who waits longest has been gone without being "+
			"suspended; 0 where nobody waits. The dashed line is where the alert is.").
			over(`max by (container) (rollcall_leaver_pending_seconds{container=~"$container"})`, "{{container}}").
			over(`max(rollcall:leaver_objective:seconds)`, "objective").
			ofQuery("B", set("custom.lineStyle", object{"fill": "dash", "dash": []int{8, 8}}), set("custom.fillOpacity", 0),
				set("color", object{"mode": "fixed", "fixedColor": bad})).
			unit("s").size(12, 7).runbook("rollcallleaverlatency"),
		graph("Age of the local copy", "How long ago each source was read for its newest completed run. Between two runs "+
			"it rises; it should fall as often as the schedule says.").
			over(`max by (container) (rollcall_source_age_seconds{container=~"$container"})`, "{{container}}").
			unit("s").noValue("no source was read yet").size(12, 7).runbook("rollcallsyncstale"),
	}
}
