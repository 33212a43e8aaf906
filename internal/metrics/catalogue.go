package metrics

import (
	"slices"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/status"
)

// Kind is the kind of a metric.
type Kind string

// The kinds.
const (
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Label is one label of a metric.
type Label struct {
	Name string
	// Values is every value that the label can have; nil where Meaning says what the values are.
	Values  []string
	Meaning string
	// byType returns what a type of provider adds to Values.
	byType func(*provider.Type) []string
}

// Metric is one entry of the catalogue.
type Metric struct {
	Name   string
	Kind   Kind
	Help   string
	Labels []Label
	// Absent says when there is no series; empty where there always is one.
	Absent string
	// Buckets are the upper bounds of a histogram, in seconds.
	Buckets []float64
}

// names returns the names of the labels.
func (m *Metric) names() []string {
	out := make([]string, len(m.Labels))
	for i, l := range m.Labels {
		out[i] = l.Name
	}
	return out
}

// Section is a part of the catalogue, with who exports it.
type Section struct {
	Title   string
	Text    string
	Metrics []Metric
}

// Catalogue returns every metric of ours, with the values of labels that the types of provider have.
func Catalogue(types []provider.Type) []Section {
	sections := static()
	for i := range sections {
		metrics := slices.Clone(sections[i].Metrics)
		for j := range metrics {
			metrics[j].Labels = slices.Clone(metrics[j].Labels)
			for k := range metrics[j].Labels {
				metrics[j].Labels[k].add(types)
			}
		}
		sections[i].Metrics = metrics
	}
	return sections
}

// add adds the values that the types have.
func (l *Label) add(types []provider.Type) {
	if l.byType == nil {
		return
	}
	l.Values = slices.Clone(l.Values)
	for i := range types {
		for _, v := range l.byType(&types[i]) {
			if !slices.Contains(l.Values, v) {
				l.Values = append(l.Values, v)
			}
		}
	}
}

func static() []Section {
	return []Section{
		{"State", "Exported by the API process, and by `rollcall demo`. It is read from Redis at each scrape, so " +
			"every API process says the same: aggregate with `max by (…)`. While Redis does not answer, `rollcall_redis_up` " +
			"is 0 and everything else of this table is absent, but `rollcall_container_info`. Dry runs count nowhere but in " +
			"`rollcall_run_active` and the progress of the live run.", state},
		{"Work", "Counted by each worker, and by `rollcall demo`, since it started: `sum by (…)` over the processes. Of " +
			"the series that can be named beforehand each starts at 0.", work},
		{"Access", "Counted by each API process, and by `rollcall demo`, since it started: `sum by (…)` over the " +
			"processes.", access},
		{"Every process", "Besides these: `go_*` and `process_*`, as Prometheus's client library has them.", both},
	}
}

// find returns a metric of the catalogue. One that is not there is a defect, found by the first test.
func find(name string) *Metric {
	for _, s := range static() {
		if i := slices.IndexFunc(s.Metrics, func(m Metric) bool { return m.Name == name }); i >= 0 {
			return &s.Metrics[i]
		}
	}
	panic("metrics: " + name + " is not in the catalogue")
}

// OK is the outcome of what succeeded. What failed has the kind of its error.
const OK = "ok"

// texts returns a list of texts of some type as strings.
func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

func faults() []string {
	kinds := fault.Kinds()
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = k.String()
	}
	return out
}

// The labels.
var (
	ofContainer = Label{Name: "container",
		Meaning: "the source or provider: `ldap:<slug>`, or `<type>:<id>` of a provider"}
	kind = Label{Name: "kind", Values: []string{container.LDAP},
		byType: func(t *provider.Type) []string { return []string{t.Name} }}
	entryKind = Label{Name: "kind", Values: []string{string(status.User), string(status.Group)}}
	object    = Label{Name: "kind", Values: texts(status.ObjectTypes())}
	action    = Label{Name: "action", Values: texts(status.ChangeTypes())}
	outcome   = Label{Name: "outcome", Values: append([]string{OK}, faults()...)}
	ofFault   = Label{Name: "fault", Values: faults()}
	result    = Label{Name: "result", Values: texts([]Result{Successful, Warning, Failed, Cancelled, Expired})}
	liveState = Label{Name: "state", Values: []string{string(status.Queued), string(status.Running),
		string(status.Deferred)}}
	guard     = Label{Name: "guard", Values: texts(plan.Rules())}
	reason    = Label{Name: "reason", Values: texts(plan.Reasons())}
	queue     = Label{Name: "queue", Values: []string{"full", "objects"}}
	taskState = Label{Name: "state", Values: []string{"pending", "active", "scheduled", "retry", "archived"}}
	lane      = Label{Name: "lane", byType: (*provider.Type).Lanes}
	mode      = Label{Name: "mode", Values: []string{string(status.Full), string(status.Delta), dryRun}}
	operation = Label{Name: "operation",
		Meaning: "the method: `users.insert`, `members.list`, …; `batch` for a batch that was not answered as a whole"}
	// The class of an HTTP status. 429 has one of its own, and none stands for no answer.
	class     = Label{Name: "status", Values: []string{"2xx", "3xx", "4xx", "429", "5xx", "none"}}
	jobResult = Label{Name: "result", Values: texts([]JobResult{JobOK, JobHeld, JobFailed, JobAbsent, JobLost})}
)

// Result is how a run ended.
type Result string

// The results.
const (
	Successful Result = "successful"
	Warning    Result = "warning"
	Failed     Result = "failed"
	Cancelled  Result = "cancelled"
	Expired    Result = "expired"
)

// resultOf returns how a run in this state ended; empty for one that is not over.
func resultOf(state status.State, as status.TaskStatus) Result {
	switch state {
	case status.Completed:
		if as == status.TaskWarning {
			return Warning
		}
		return Successful
	case status.Failed:
		return Failed
	case status.Cancelled:
		return Cancelled
	case status.Expired:
		return Expired
	case status.Queued, status.Running, status.Deferred:
	}
	return ""
}

// dryRun is the mode of a dry run, whatever it reads.
const dryRun = "dry_run"

// JobResult is what the sync of a single object came to.
type JobResult string

// The results of an object job.
const (
	JobOK     JobResult = "ok"
	JobHeld   JobResult = "held"
	JobFailed JobResult = "failed"
	JobAbsent JobResult = "absent"
	JobLost   JobResult = "lost" // its record is gone, as after Redis lost its data
)
