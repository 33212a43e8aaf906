package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/internal/client"
	"rollcall/plan"
	"rollcall/status"
)

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
