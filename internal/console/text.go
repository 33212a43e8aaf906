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
		"count": count, "plural": plural,
		"ago": func(t time.Time) string { return ago(now(), t) }, "exact": exact, "machine": machine, "lasting": lasting,
		"verb": verb, "words": words, "why": why, "home": home,
		"list": func(v ...any) []any { return v }, "id": func(name string) container.ID { return container.ID(name) },
		"join": strings.Join, "heldpath": heldPath, "incopy": inCopy, "keeps": keeps,
		"codestate": codeState,
		"typetitle": c.title, "called": c.called, "where": c.where, "attributes": attributes, "changes": changesDone,
		"duration": func(r *status.Run) string { return lasting(r.Duration(now())) }, "person": personPath,
		"progress": progress(now),
		"state":    stateTitle, "runtone": runTone,
		"tone": func(op any) string { return opOf(op).Tone() }, "sum": sum, "less": func(a, b int) int { return a - b },
	}
}

func sum(n ...int64) (s int64) {
	for _, v := range n {
		s += v
	}
	return s
}

// count writes a number with separators: 3,868.
func count(n any) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0 && text[i-1] != '-'; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

// plural writes a number with its noun: "1 change", "3,868 changes".
func plural(n any, noun string) string {
	switch {
	case fmt.Sprint(n) == "1":
	case noun == "person":
		noun = "people"
	case strings.HasSuffix(noun, "y"):
		noun = strings.TrimSuffix(noun, "y") + "ies"
	default:
		noun += "s"
	}
	return count(n) + " " + noun
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
		return "in " + lasting((-d).Round(time.Second))
	}
	if d < time.Minute {
		return "just now"
	}
	return lasting(d) + " ago"
}

// lasting writes a duration in its largest unit. No line breaks before the unit.
func lasting(d time.Duration) string {
	const day, space = 24 * time.Hour, "\u00a0"
	switch {
	case d < 10*time.Second:
		return strconv.FormatFloat(d.Seconds(), 'f', 1, 64) + space + "s"
	case d < time.Minute:
		return strconv.Itoa(int(d.Seconds())) + space + "s"
	case d < time.Hour:
		return strconv.Itoa(int(d.Minutes())) + space + "min"
	case d < 2*day:
		return strconv.Itoa(int(d.Hours())) + space + "h"
	}
	return strconv.Itoa(int(d/day)) + space + "days"
}

// exact writes a time for people, in UTC.
func exact(t time.Time) string { return t.UTC().Format("2 Jan 2006 15:04:05") }

// machine writes a time for programs.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// words writes a name of the API for people: out_of_scope becomes "out of scope".
func words(v any) string { return strings.ReplaceAll(fmt.Sprint(v), "_", " ") }

// opOf returns an operation, or that of a name; zero for an unknown one.
func opOf(op any) (out plan.Op) {
	_ = out.UnmarshalText([]byte(fmt.Sprint(op))) // zero then
	return out
}

// why says why an account is taken away. A word of the API alone would be a riddle beside an entry.
func why(reason any) string {
	switch plan.Reason(fmt.Sprint(reason)) {
	case plan.Absent:
		return "gone from the directory"
	case plan.Disabled:
		return "disabled in the directory"
	case plan.OutOfScope:
		return "no longer in scope"
	}
	return words(reason)
}

// verb writes an operation as a verb: "bring back".
func verb(op any) string { return plan.VerbOf(fmt.Sprint(op)) }

// guardTitles say which brake or rule holds changes.
var guardTitles = map[plan.Rule]string{
	plan.RuleLimit: "More than the limit of a day", plan.RuleHalf: "More than half of all would go",
	plan.RuleEmpty: "Nothing would be left", plan.RuleMembers: "Too many of one group would go",
	plan.RuleDoubt: "The read is in doubt", plan.RuleApproval: "Always for a person to decide",
	plan.RuleReactivate: "Many accounts would become active again", plan.RuleRename: "Many addresses would change",
	plan.RuleEmptied: "Many would lose a field", plan.RuleCoverage: "An attribute is missing at the source",
	plan.RuleSource:  "Many would join from a new source",
	plan.RuleFollows: "Goes with another held change", plan.RuleRejected: "Rejected before",
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

// changesDone writes how many changes a run attempted, or planned where it writes nothing.
func changesDone(r *status.Run) string {
	done, expected := r.Done()
	if r.DryRun {
		return count(expected)
	}
	return count(done)
}

// title names the type of a container.
func (c *Console) title(id container.ID) string {
	if id.IsSource() {
		return "LDAP directory"
	}
	return c.cfg.API.TypeTitle(id.Kind())
}

// called returns the name of a configured source or provider for people.
func (c *Console) called(id container.ID) string {
	res, _ := c.resource(id)
	res.Container = id // also where it is not configured
	return res.Called()
}

// where names a source or provider beside others: by its type as long as no other is of that type.
func (c *Console) where(id container.ID) string {
	for _, res := range c.cfg.API.Resources() {
		if res.Container.Kind() == id.Kind() && res.Container != id {
			return c.called(id)
		}
	}
	return c.title(id)
}
