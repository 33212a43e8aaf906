package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"

	"rollcall/internal/client"
	"rollcall/status"
)

// judge returns the exit code of a finished run.
func judge(run status.Run) int {
	switch {
	case run.State.Open():
		return 0
	case run.State != status.Completed || run.FailedChanges > 0:
		return codeFailure
	case run.Held > 0:
		return codeHeld
	}
	return 0
}

// outcome prints the result of a run with its warnings and errors.
func (r *remote) outcome(run client.Run, b *bar) error {
	w := r.stdout
	fmt.Fprintf(w, "%s: %s\n", run.Container, r.ended(run))
	if err := changes(w, run.Run); err != nil {
		return err
	}
	if run.Held > 0 {
		fmt.Fprintf(w, "%d held or in conflict: rollcall held %s shows what can be approved, the messages name the rest\n",
			run.Held, run.Container)
	}
	if run.DryRun && !run.PlannedAt.IsZero() {
		fmt.Fprintf(w, "rollcall runs %s %s --plan shows each change\n", run.Container, run.ID)
	}
	b.complaints(run)
	return nil
}

// ended describes the end of a run in words.
func (e *env) ended(run client.Run) string {
	text := string(run.State)
	if run.DryRun {
		text = "dry run " + text
	}
	switch run.State {
	case status.Cancelled:
		text += " by " + cell(run.CancelledBy)
	case status.Failed, status.Expired:
		text += because(run.FailReason)
	case status.Deferred:
		text += " until " + e.clock(run.DeferredUntil) + because(run.DeferReason)
	case status.Queued, status.Running, status.Completed:
	}
	if !run.State.Open() && run.Seconds > 0 {
		text += ", after " + span(duration(run))
	}
	return text
}

// changes prints a line for each type of object that the run changed or, in a dry run, would change.
func changes(w io.Writer, run status.Run) error {
	heads := map[status.ChangeType]string{
		status.Create: "created", status.Update: "updated", status.Delete: "deleted", status.Activate: "restored",
		status.Deactivate: "suspended",
	}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	for _, c := range status.ChangeTypes() {
		fmt.Fprint(t, "\t", heads[c])
	}
	fmt.Fprintln(t, "\tfailed\t")
	some := false
	for _, o := range status.ObjectTypes() {
		n := map[status.ChangeType]int64{}
		var failed, sum int64
		for _, p := range run.Progress {
			if p.Object != o {
				continue
			}
			if n[p.Change] = p.Succeeded; run.DryRun {
				n[p.Change] = p.Expected
			}
			failed += p.Failed
			sum += n[p.Change] + p.Failed
		}
		if sum == 0 {
			continue
		}
		some = true
		fmt.Fprintf(t, "%ss", o)
		for _, c := range status.ChangeTypes() {
			fmt.Fprint(t, "\t", strconv.FormatInt(n[c], 10))
		}
		fmt.Fprintf(t, "\t%d\t\n", failed)
	}
	if !some {
		return nil
	}
	return t.Flush()
}

// sentence returns the text of a message, with the name of its entry in front if the text does not contain it.
func sentence(m client.Message) string {
	id := m.Attribute("id")
	name := label(m.Attribute("label"), id)
	if id == "" || strings.Contains(m.Event, name) {
		return cell(m.Event)
	}
	return cell(m.Attribute("kind")+" "+name) + ": " + cell(m.Event)
}
