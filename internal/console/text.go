package console

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/plan"
	"rollcall/status"
)

// functions are what the templates can call.
func functions(c *Console) template.FuncMap {
	now := c.now
	return template.FuncMap{
		"version": func() string { return assetVersion }, "now": now,
		"count": count[int64], "number": count[int], "plural": plural,
		"ago": func(t time.Time) string { return ago(now(), t) }, "exact": exact, "machine": machine, "lasting": lasting,
		"verb": verb, "past": past, "words": words, "guard": guardTitle, "home": home,
		"list":    func(v ...any) []any { return v },
		"percent": func(f float64) int { return int(f*100 + 0.5) }, "join": strings.Join, "heldpath": heldPath,
		"incopy": inCopy, "keeps": keeps,
		"codestate": codeState, "typetitle": c.title, "called": c.called, "attributes": attributes, "changes": changesDone,
		"duration": func(r *status.Run) string { return lasting(r.Duration(now())) }, "person": personPath,
		"progress": progress(now),
		"state":    stateTitle, "runtone": runTone, "trigger": triggerWords, "lower": strings.ToLower,
		"tone": opTone, "sum": sum, "less": func(a, b int) int { return a - b },
	}
}

func sum(n ...int64) (s int64) {
	for _, v := range n {
		s += v
	}
	return s
}

// count writes a number with separators: 3,868.
func count[T int | int64](n T) string {
	text := strconv.FormatInt(int64(n), 10)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// plural writes a number with its noun: "1 change", "3,868 changes".
func plural(n any, noun string) string {
	v := int64(0)
	switch n := n.(type) {
	case int:
		v = int64(n)
	case int64:
		v = n
	}
	switch {
	case v == 1:
	case noun == "person":
		noun = "people"
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return count(v) + " " + noun
}

// ago writes a time relative to now. Nothing is nearer than a minute, so that an open page seldom changes.
func ago(now, t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	d := now.Sub(t)
	if d < 0 {
		if -d < time.Minute {
			return "in a moment"
		}
		return "in " + lasting(-d)
	}
	if d < time.Minute {
		return "just now"
	}
	return lasting(d) + " ago"
}

// lasting writes a duration in its largest unit.
func lasting(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + " s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + " s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + " min"
	case d < 2*day:
		return strconv.Itoa(int(d.Hours())) + " h"
	}
	return strconv.Itoa(int(d/day)) + " days"
}

// exact writes a time for people, in UTC.
func exact(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05") }

// machine writes a time for programs.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// words writes a name of the API for people: out_of_scope becomes "out of scope".
func words(v any) string { return strings.ReplaceAll(fmt.Sprint(v), "_", " ") }

// opOf returns the operation of a name; zero for an unknown one.
func opOf(name string) (op plan.Op) {
	_ = op.UnmarshalText([]byte(name)) // zero then
	return op
}

// verb writes an operation as a verb: "bring back".
func verb(op any) string {
	if o, is := op.(plan.Op); is {
		return o.Verb()
	}
	if o := opOf(fmt.Sprint(op)); o != 0 {
		return o.Verb()
	}
	return words(op)
}

// past writes an operation that was carried out: "brought back".
func past(op any) string {
	if o, is := op.(plan.Op); is {
		return o.Past()
	}
	if o := opOf(fmt.Sprint(op)); o != 0 {
		return o.Past()
	}
	return words(op)
}

// opTone is the class of an operation: gain, change or loss. A shape in the style sheet goes with each.
func opTone(op any) string {
	o, is := op.(plan.Op)
	if !is {
		o = opOf(fmt.Sprint(op))
	}
	switch o {
	case plan.Create, plan.Undelete, plan.Restore, plan.AddMember:
		return "gain"
	case plan.Suspend, plan.Delete, plan.RemoveMember:
		return "loss"
	case plan.Update, plan.Adopt, plan.Reanchor:
	}
	return "change"
}

// guardTitles say which brake or rule holds changes.
var guardTitles = map[plan.Rule]string{
	plan.RuleLimit: "More than a day may take away", plan.RuleHalf: "More than half of all would go",
	plan.RuleEmpty: "Nothing would be left", plan.RuleMembers: "Too many of one group would go",
	plan.RuleDoubt: "The read is in doubt", plan.RuleApproval: "Always for a person to decide",
	plan.RuleReactivate: "Many accounts would become active again", plan.RuleRename: "Many addresses would change",
	plan.RuleEmptied: "Many would lose a field", plan.RuleCoverage: "An attribute is missing at the source",
	plan.RuleSource:  "Many would join from a new source",
	plan.RuleFollows: "Goes with another held change", plan.RuleRejected: "Decided against",
}

func guardTitle(rule string) string {
	if text := guardTitles[plan.Rule(rule)]; text != "" {
		return text
	}
	return words(rule)
}

// harm lists operations from the worst to the most harmless.
var harm = []plan.Op{
	plan.Delete, plan.Suspend, plan.RemoveMember, plan.Reanchor, plan.Update, plan.Restore, plan.Undelete, plan.Adopt,
	plan.Create, plan.AddMember,
}

// consequence says what changes would do, the worst first: "delete 3 users, suspend 12 users and remove 4 members".
// The keys are those of decisions.HeldCounts.Does.
func consequence(counts map[string]int64) string {
	var parts []string
	for _, op := range harm {
		for _, kind := range []string{"user", "group"} {
			n := counts[op.String()+" "+kind]
			if op.Membership() {
				if kind == "user" {
					continue
				}
				n += counts[op.String()+" user"]
				kind = "member"
			}
			if n == 0 {
				continue
			}
			parts = append(parts, strings.TrimSuffix(op.Verb(), " member")+" "+plural(n, kind))
		}
	}
	return sentence(parts)
}

// sentence joins parts with commas and "and".
func sentence(parts []string) string {
	if len(parts) < 2 {
		return strings.Join(parts, "")
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// keeps says what a pin keeps as it was.
func keeps(p plan.Pin) string {
	var parts []string
	switch p.Account {
	case plan.StandsActive:
		parts = append(parts, "an active account")
	case plan.StandsSuspended:
		parts = append(parts, "a suspended account")
	case plan.StandsNone:
		parts = append(parts, "no account")
	}
	if p.Address != "" {
		parts = append(parts, "the address "+p.Address)
	}
	if n := len(p.Fields); n > 0 {
		parts = append(parts, plural(n, "field"))
	}
	if n := len(p.Groups); n > 0 {
		parts = append(parts, plural(n, "membership"))
	}
	return sentence(parts)
}

// home returns the path of a container's runs, or of one run.
func home(c container.ID, run ...string) string {
	p := "/runs/" + c.Kind() + "/" + c.Name() + "/"
	for _, id := range run {
		if id != "" {
			p += id + "/"
		}
	}
	return p
}

// stateWords say in which state a run is.
func stateWords(r *status.Run) string {
	switch {
	case r.State == status.Completed && r.TaskStatus() == status.TaskWarning:
		return "completed with warnings"
	case r.State == status.Queued:
		return "waits for a worker"
	}
	return string(r.State)
}

// triggerWords say what started a run.
func triggerWords(t status.Trigger) string {
	switch t.Kind {
	case status.ByAPI:
		return "started by " + t.By
	case status.BySchedule:
		return "on schedule"
	case status.AfterSource:
		return "after a source changed"
	case status.ByApproval:
		return "approved by " + t.By
	case status.ByRevert:
		return "undo, started by " + t.By
	case status.ByRerun:
		return "run again by hand"
	}
	return string(t.Kind)
}

// changesDone writes how many changes a run attempted, or planned where it writes nothing.
func changesDone(r *status.Run) string {
	done, expected := r.Done()
	if r.DryRun {
		return count(expected)
	}
	return count(done)
}
