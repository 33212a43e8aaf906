package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/client"
	"rollcall/plan"
	"rollcall/status"
)

// pollEvery is the interval of reading what the API does not stream.
const pollEvery = 300 * time.Millisecond

func watchCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use: cmdWatch + " CONTAINER [RUN]", Short: "Show the progress of the newest run until its end, and what it came to",
		Long: `Shows the progress of a run, its estimated end, and its warnings and errors as they come. Without a
run it takes the newest one. On a terminal it overwrites one line; elsewhere it prints a line at
each new phase and each further tenth. Ctrl-C ends the command and not the run. With --json each
event is a line with "event" (run, message, gap or at last end) and "data" (the API's answer).
rollcall help exit-codes lists the exit codes.`,
		Example: "  rollcall watch google_workspace:1\n  rollcall watch ldap:corp --json | jq -r 'select(.event == " +
			"\"message\") | .data.event'",
		Args: cobra.RangeArgs(1, 2),
	}
	return containerCommand(e, c, func(ctx context.Context, r *remote, name container.ID, args []string) error {
		if len(args) > 0 {
			return r.watch(ctx, name, args[0])
		}
		a, err := r.Runs(ctx, name, "", 1)
		if err != nil {
			return err
		}
		if len(a.Value.Results) == 0 {
			return fmt.Errorf("%s: there was no run yet; rollcall sync %[1]s starts one", name)
		}
		return r.watch(ctx, name, a.Value.Results[0].ID)
	})
}

// watch shows a run until it is over. The error has the exit code of the run.
func (r *remote) watch(ctx context.Context, name container.ID, id string) error {
	b := newBar(r.env, r.stdout, name, true)
	how := client.Watching{Every: r.every, Show: b.event, Note: b.note}
	if r.asJSON {
		lines := json.NewEncoder(r.stdout)
		lines.SetEscapeHTML(false)
		how.Show = func(e client.Event) { _ = lines.Encode(e) } // A terminal may be gone.
	}
	a, err := r.Client.Watch(ctx, name, id, how)
	if !r.asJSON {
		b.end()
	}
	switch {
	case err != nil && client.KindOf(err) == fault.Canceled:
		return &exit{codeInterrupted, fmt.Errorf("no longer watched: the run goes on; rollcall watch %s shows it, "+
			"rollcall cancel %[1]s ends it", name)}
	case err != nil:
		return err
	case !r.asJSON:
		if err := r.outcome(a.Value, b); err != nil {
			return err
		}
	}
	return quiet(judge(a.Value.Run))
}

// bar shows the progress of a run. On a terminal it overwrites one line. Elsewhere it prints one line at the end and,
// if phases is set, one at each new phase and at each further tenth. Warnings and errors appear above the line.
type bar struct {
	*env
	w      io.Writer
	name   container.ID
	live   bool
	phases bool
	phase  string
	tenth  int64
	last   string

	over  bool     // the run was over when it was shown first
	shown int      // how many complaints were shown
	rest  []string // the last of those that were not
	more  int      // how many were before the rest
}

const (
	// mostShown is the number of warnings and errors that are shown at once, mostAfter the number of others shown at
	// the end.
	mostShown = 20
	mostAfter = 10
)

func newBar(e *env, w io.Writer, name container.ID, phases bool) *bar {
	f, is := w.(*os.File)
	return &bar{env: e, w: w, name: name, phases: phases, live: is && terminal(f)}
}

// event shows an event of the run.
func (b *bar) event(e client.Event) {
	switch m := e.Message; e.Name {
	case client.EventRun, client.EventEnd:
		if b.last == "" {
			b.over = !e.Run.State.Open()
		}
		b.show(e.Run)
	case client.EventMessage:
		if m.Level == client.Warning || m.Level == client.Failure {
			b.complain(m.Level + ": " + sentence(m))
		}
	case client.EventGap:
		b.complain("warning: some earlier messages are not kept any more")
	}
}

func (b *bar) show(run client.Run) {
	b.last = fmt.Sprintf("  %-20s %s", b.name, b.line(run))
	phase, tenth := string(run.State)+run.PlannedAt.String(), b.tenth
	if done, expected := run.Done(); expected > 0 {
		tenth = done * 10 / expected
	}
	switch {
	case b.live:
		b.draw()
	case b.phases && run.State.Open() && (phase != b.phase || tenth > b.tenth):
		fmt.Fprintln(b.w, b.last)
	}
	b.phase, b.tenth = phase, tenth
}

// draw overwrites the line. It does not wrap, because a line that is longer than the window could not be overwritten.
func (b *bar) draw() { fmt.Fprint(b.w, "\r\x1b[K\x1b[?7l"+b.last+"\x1b[?7h") }

// above prints a text above the overwritten line.
func (b *bar) above(w io.Writer, text string) {
	if b.live {
		fmt.Fprint(b.w, "\r\x1b[K")
	}
	fmt.Fprintln(w, text)
	if b.live && b.last != "" {
		b.draw()
	}
}

// note reports a change of the connection.
func (b *bar) note(text string) { b.above(b.stderr, "rollcall: "+text) }

// complain shows a warning or an error during the run, unless too many were shown before.
func (b *bar) complain(text string) {
	switch {
	case !b.over && b.shown < mostShown:
		b.shown++
		b.above(b.w, text)
		return
	case len(b.rest) == mostAfter:
		b.rest = b.rest[1:]
		b.more++
	case !b.over && len(b.rest) == 0:
		b.above(b.w, "(further warnings and errors are counted, and the last ones shown at the end)")
	}
	b.rest = append(b.rest, text)
}

// complaints prints at the end what was not shown during the run.
func (b *bar) complaints(run client.Run) {
	for _, text := range b.rest {
		fmt.Fprintln(b.w, text)
	}
	if b.more > 0 {
		fmt.Fprintf(b.w, "and %d more: rollcall runs %s %s\n", b.more, run.Container, run.ID)
	}
}

func (b *bar) end() {
	switch {
	case b.live:
		fmt.Fprintln(b.w)
	case b.last != "":
		fmt.Fprintln(b.w, b.last)
	}
}

// line describes the state of a run.
func (b *bar) line(run client.Run) string {
	switch {
	case run.State == status.Queued:
		return "waits for a worker"
	case run.State == status.Deferred:
		return "waits until " + b.clock(run.DeferredUntil) + because(run.DeferReason)
	case run.State.Open() && run.PlannedAt.IsZero():
		return "reads: " + amounts(run.Read)
	}
	done, expected := run.Done()
	if run.DryRun && !run.State.Open() {
		return fmt.Sprintf("%s would be made (a dry run), %s", count(expected, "change"), span(duration(run)))
	}
	text := fmt.Sprintf("%s %d of %s", gauge(done, expected, run.State.Open()), done, count(expected, "change"))
	if run.FailedChanges > 0 {
		text += fmt.Sprintf(" (%d failed)", run.FailedChanges)
	}
	switch {
	case !run.State.Open():
		text += ", " + span(duration(run))
	case !run.Ends.IsZero() && done < expected:
		text += ", ends in about " + span(max(0, run.Ends.Sub(b.now()))) + " at " + b.clock(run.Ends)
	}
	return text
}

// gauge draws a proportion. Nothing of nothing is full when the run is over.
func gauge(done, expected int64, open bool) string {
	const width = 20
	filled := width
	if expected > 0 {
		filled = int(min(done, expected) * width / expected)
	} else if open {
		filled = 0
	}
	return "[" + strings.Repeat("#", filled) + strings.Repeat(".", width-filled) + "]"
}

// amounts describes how many entries were read.
func amounts(read map[status.ObjectType]int64) string {
	var parts []string
	for _, o := range status.ObjectTypes() {
		parts = append(parts, count(read[o], string(o)))
	}
	return strings.Join(parts, ", ")
}

func duration(run client.Run) time.Duration {
	return time.Duration(run.Seconds * float64(time.Second))
}

func because(reason string) string {
	if reason == "" {
		return ""
	}
	return ": " + plan.Clean(reason)
}

// judge returns the exit code of a finished run.
func judge(run status.Run) int {
	switch {
	case run.State.Open():
		return 0
	case run.State != status.Completed || run.FailedChanges > 0:
		return codeFailure
	case run.Held > 0 || run.Paused != "":
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
	case status.Completed:
		if run.Paused != "" {
			text += ", but " + cell(run.Paused)
		}
	case status.Queued, status.Running:
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
	name := plan.Label(m.Attribute("label"), id)
	if id == "" || strings.Contains(m.Event, name) {
		return cell(m.Event)
	}
	return cell(m.Attribute("kind")+" "+name) + ": " + cell(m.Event)
}
