package grafana

func requests() []*panel {
	const duration = "rollcall_remote_request_duration_seconds"
	return []*panel{
		graph("Requests by status", "Requests to the tenants, those in a batch one by one. 429: the tenant says slower. "+
			"none: there was no answer.").
			over(`sum by (status) (rate(rollcall_remote_requests_total{container=~"$container"}[$__rate_interval]))`,
				"{{status}}").
			unit("reqps").custom("stacking", object{"mode": "normal", "group": "A"}).size(12, 8).runbook("rollcallerrorratio"),
		graph("Requests by operation", "The ten that are made most often.").
			over(`topk(10, sum by (operation) (rate(rollcall_remote_requests_total`+
				`{container=~"$container"}[$__rate_interval])))`,
				"{{operation}}").
			unit("reqps").size(12, 8).runbook("capacity"),

		graph("How long requests take", "How long HTTP requests to a tenant took: half of them at most, and 95 % of them "+
			"at most. A batch is one request.").
			over(quantile("0.5", duration, "$__rate_interval"), "{{container}} half").
			over(quantile("0.95", duration, "$__rate_interval"), "{{container}} 95 %").
			unit("s").size(12, 8).runbook("capacity"),
		heatmap("How long requests take: all of them",
			"The same as a picture: the higher, the longer it took; the darker, the more requests.", spread(duration)).
			size(12, 8).runbook("capacity"),

		graph("Requests that failed",
			"By the kind of error. not_found and conflict are answers, and need not be wrong; throttled is the quota.").
			over(`sum by (container, outcome) (rate(rollcall_remote_requests_total`+
				`{container=~"$container",outcome!="ok"}[$__rate_interval]))`,
				"{{container}} {{outcome}}").
			unit("reqps").noValue("none failed").size(12, 7).runbook("rollcallerrorratio"),
		graph("Retries", "Requests that were made again because they had failed for a moment. Nobody need act while the "+
			"runs succeed.").
			over(`sum by (container) (rate(rollcall_remote_retries_total{container=~"$container"}[$__rate_interval]))`,
				"{{container}}").
			unit("reqps").size(12, 7).runbook("rollcallerrorratio"),
	}
}

func quota() []*panel {
	return []*panel{
		graph("Quota used", "The part of the limit that was used in the last minute. All of it for long is a run with "+
			"much to do; the limit is meant to be used.").
			over(`max by (container, lane) (rollcall_quota_used_ratio{container=~"$container"})`, "{{container}} {{lane}}").
			unit("percentunit").with("max", 1).size(12, 8).runbook("rollcallquotaexhausted"),
		graph("Limit", "What a tenant is called with at most at present. A refusal halves it, and it grows back.").
			over(`max by (container, lane) (rollcall_quota_limit_per_second{container=~"$container"})`,
				"{{container}} {{lane}}").
			unit("reqps").size(12, 8).runbook("rollcallquotaexhausted"),
		graph("Waiting for the quota", "Seconds that are spent waiting in each second, by all workers together: about how "+
			"many requests wait at a time.").
			over(`sum by (container) (rate(rollcall_remote_quota_wait_seconds_total`+
				`{container=~"$container"}[$__rate_interval]))`,
				"{{container}}").
			unit("short").size(12, 7).runbook("rollcallquotaexhausted"),
		graph("Pauses", "How long the tenant has asked us to wait yet. A long pause defers the run, which then holds no "+
			"worker.").
			over(`max by (container, lane) (rollcall_quota_paused_seconds{container=~"$container"})`, "{{container}} {{lane}}").
			unit("s").size(12, 7).runbook("rollcallquotaexhausted"),
	}
}
