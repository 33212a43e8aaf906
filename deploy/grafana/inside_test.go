package grafana

import "strings"

func queues() []*panel {
	const asynqmon = "The queues: asynqmon"
	return []*panel{
		graph("Tasks", "Tasks in the two queues, full syncs and single objects. archived: runs that failed, and objects "+
			"that were given up; they do no harm, and asynqmon can run or delete them.").
			over(`max by (queue, state) (rollcall_queue_tasks)`, "{{queue}} {{state}}").
			unit("short").with("decimals", 0).size(8, 8).link(asynqmon, "${api:raw}/asynqmon/").runbook("rollcalltasksarchived"),
		graph("How long the oldest task has waited",
			"A single object is waited for by somebody; a full sync may wait for another one to end.").
			over(`max by (queue) (rollcall_queue_latency_seconds)`, "{{queue}}").
			unit("s").size(8, 8).link(asynqmon, "${api:raw}/asynqmon/queues/full").runbook("rollcallqueuebackedup"),
		graph("Workers over time", "Workers that run. While there are none, runs wait, and the schedule starts none.").
			over(`max(rollcall_workers)`, "workers").
			unit("short").with("decimals", 0).size(8, 8).link(asynqmon,
			"${api:raw}/asynqmon/servers").runbook("rollcallnoworker"),

		bars("Leases that were lost", "A worker had to leave its run to others: it could not renew its lease in time, or "+
			"somebody else had the run. It stops before its next write.").
			over(`sum by (container) (increase(rollcall_lease_losses_total{container=~"$container"}[$__rate_interval]))`,
				"{{container}}").
			size(12, 7).runbook("rollcallleaseflapping"),
		bars("Runs that were taken over", "Runs that went on with another worker because theirs was gone. One is a worker "+
			"that died or was replaced; many are a habit.").
			over(`sum by (container) (increase(rollcall_run_resumes_total{container=~"$container"}[$__rate_interval]))`,
				"{{container}}").
			size(12, 7).runbook("rollcallleaseflapping"),
	}
}

func redis() []*panel {
	return []*panel{
		graph("Memory of Redis", "What Redis uses, of a cluster the fullest node, and what it may use (dashed; no line "+
			"where no limit is set). At the limit it refuses writes, and every run fails.").
			over(`max(rollcall_redis_memory_used_bytes)`, "used").
			over(`max(rollcall_redis_memory_max_bytes) > 0`, "limit").
			ofQuery("B", set("custom.lineStyle", object{"fill": "dash", "dash": []int{8, 8}}), set("custom.fillOpacity", 0),
				set("color", object{"mode": "fixed", "fixedColor": bad})).
			unit("bytes").size(12, 7).runbook("rollcallredismemory"),
		timeline("Redis answers",
			"Whether Redis answered each API process in time. Without it no sync runs, and the API serves nothing.").
			over(`min by (instance) (rollcall_redis_up)`, "{{instance}}").says(word{0, "down", bad},
			word{1, "up", good}).limits(bad, step{1, good}).
			size(12, 7).runbook("rollcallredisdown"),
	}
}

// ours are the processes that Prometheus scrapes for us.
const ours = `{job=~"rollcall-.+"}`

func processes() []*panel {
	return []*panel{
		timeline("Processes that answer", "Whether Prometheus can scrape each process.").
			over(`min by (job, instance) (up`+ours+`)`, "{{job}} {{instance}}").says(word{0, "down", bad},
			word{1, "up", good}).limits(bad, step{1, good}).
			size(12, 7).runbook("rollcallprocessdown"),
		table("Builds", "Which build each process is, and since when it runs. While an upgrade is under way there are two.").
			column("since", `1000 * max by (job, instance) (process_start_time_seconds`+ours+`)`,
				set("unit", "dateTimeFromNow")).
			labels(`max by (job, instance, version, revision, goversion) (rollcall_build_info`+ours+`)`).
			unit("short").noValue("–").size(12, 7).runbook("upgrade-and-rollback"),

		graph("Processor", "How many processors each process keeps busy.").
			over(`rate(process_cpu_seconds_total`+ours+`[$__rate_interval])`, "{{job}} {{instance}}").unit("short").size(8,
			7).runbook("capacity"),
		graph("Memory", "What each process holds in memory. A run holds its directory while it plans.").
			over(`process_resident_memory_bytes`+ours, "{{job}} {{instance}}").unit("bytes").size(8, 7).runbook("capacity"),
		graph("Goroutines and open files", "What only grows is a leak.").
			over(`go_goroutines`+ours, "{{job}} {{instance}} goroutines").over(`process_open_fds`+ours,
			"{{job}} {{instance}} files").
			unit("short").with("decimals", 0).size(8, 7).runbook("capacity"),
		bars("Wrong tokens", "Wrong API tokens that were presented. The audit log has the addresses.").
			over(`sum(increase(rollcall_tokens_refused_total[$__rate_interval]))`, "refused").
			size(8, 7).runbook("rollcalltokensrefused"),
		graph("Errors in the tokens file", "A wrong line gives nothing. An unreadable file refuses every token.").
			over(`max(rollcall_tokens_file_errors)`, "errors").unit("short").with("decimals", 0).
			size(8, 7).runbook("rollcalltokensfile"),
		bars("The audit log", "Records that it did not take, and whether lines were changed or removed.").
			over(`sum(increase(rollcall_audit_failures_total[$__rate_interval]))`, "failures").
			over(`max(rollcall_audit_broken)`, "broken").
			size(8, 7).runbook("rollcallauditfailing"),
		graph("Configurations that differ", "More than one means that some processes do not execute a container.").
			over(`max by (container) (rollcall_configurations)`, "{{container}} configurations").
			over(`sum by (container) (rollcall_worker_superseded)`, "{{container}} superseded workers").
			unit("short").with("decimals", 0).size(8, 7).runbook("capacity"),
		graph("Decisions that another program changed", "None of them is used for what harms.").
			over(`max by (container) (rollcall_untrusted_decisions)`, "{{container}}").unit("short").with("decimals", 0).
			size(8, 7).runbook("rollcalldecisionschanged"),
		graph("Clocks", "How far the clocks of each worker and of each tenant are from that of Redis.").
			over(`max by (instance) (rollcall_worker_clock_offset_seconds)`, "{{instance}}").
			over(`max by (container) (rollcall_tenant_clock_offset_seconds)`, "{{container}}").unit("s").size(8, 7).
			runbook("capacity"),
		bars("Late requests and drift", "Requests that ended after their lease, and what a full run had to correct.").
			over(`sum(increase(rollcall_late_requests_total[$__rate_interval]))`, "late requests").
			over(`sum(increase(rollcall_delta_drift_total[$__rate_interval]))`, "drift").
			size(8, 7).runbook("capacity"),
		graph("Polls for changes", "How long ago each source last told what changed.").
			over(`max by (container) (rollcall_poll_age_seconds)`, "{{container}}").unit("s").size(8, 7).
			runbook("rollcallpollsfailing"),
	}
}

// alertNames are the alerts of rules.yml, in the order in which docs/operations.md explains them.
var alertNames = []struct{ name, means string }{
	{"RollcallSyncFailed", "the newest run failed, or no worker carried it out"},
	{"RollcallSyncStale", "no run has completed for more than twice the schedule"},
	{"RollcallChangesHeld", "changes that take away or bring back wait for a person"},
	{"RollcallErrorRatio", "one in ten requests or changes fails"},
	{"RollcallTargetDenied", "the tenant refuses our credentials or rights"},
	{"RollcallSourceUnreadable", "the directory cannot be read, or its answer is not to be believed"},
	{"RollcallLeaverLatency", "somebody who left has kept an account for too long"},
	{"RollcallQuotaExhausted", "the tenant's quota has been used up for half an hour"},
	{"RollcallNoWorker", "no worker runs, and so no sync"},
	{"RollcallQueueBackedUp", "tasks wait for longer than they should"},
	{"RollcallTasksArchived", "syncs of single objects were given up"},
	{"RollcallLeaseFlapping", "runs change hands again and again"},
	{"RollcallRedisDown", "Redis does not answer"},
	{"RollcallRedisMemory", "Redis is nearly full"},
	{"RollcallProcessDown", "a process does not answer Prometheus"},
	{"RollcallTokensFile", "lines of the tokens file give nothing, or every token is refused"},
	{"RollcallTokensRefused", "many wrong tokens are presented"},
	{"RollcallAuditFailing", "the audit log takes no records"},
	{"RollcallAuditBroken", "lines of the audit log were changed or removed"},
	{"RollcallDecisionsChanged", "decisions on Redis are not signed, changed or gone"},
	{"RollcallDeltaDrift", "a delta run missed a change that a full run found"},
	{"RollcallPollsFailing", "a source has not told its changes for a quarter of an hour"},
	{"RollcallPaused", "nothing has been written to a source or provider for a day, because a person paused it"},
	{"RollcallConfigurations", "processes have different configurations"},
	{"RollcallWorkerClock", "the clock of a worker is wrong"},
	{"RollcallClocksDisagree", "the clock of Redis, or that of a tenant, is wrong"},
	{"RollcallJobsLost", "syncs of single objects were lost"},
}

func meanings() []*panel {
	var b strings.Builder
	b.WriteString("| alert | what is wrong |\n|---|---|\n")
	for _, a := range alertNames {
		b.WriteString("| [" + a.name + "](${docs:raw}/operations.md#" + strings.ToLower(a.name) + ") | " + a.means + " |\n")
	}
	b.WriteString("\nEach link leads to what to do: docs/operations.md, below the text box “Documentation at”.")
	return []*panel{markdown("What the alerts mean", b.String()).size(24, 15)}
}
