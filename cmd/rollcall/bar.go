package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"rollcall/internal/client"
	"rollcall/plan"
	"rollcall/status"
)

// bar shows a run as it goes: on a terminal one line that is written over, elsewhere a line at the end and, if phases is
// set, one whenever the run comes to something else.
type bar struct {
	*env
	w      io.Writer
	name   status.Container
	live   bool
	phases bool
	phase  string
	last   string
}

func newBar(e *env, w io.Writer, name status.Container, phases bool) *bar {
	f, is := w.(*os.File)
	return &bar{env: e, w: w, name: name, phases: phases, live: is && terminal(f)}
}

func (b *bar) show(run client.Run) {
	b.last = fmt.Sprintf("  %-20s %s", b.name, b.line(run))
	phase := string(run.State) + run.PlannedAt.String()
	switch {
	case b.live: // Without wrapping: a line that is too long for the window could not be written over.
		fmt.Fprint(b.w, "\r\x1b[K\x1b[?7l"+b.last+"\x1b[?7h")
	case b.phases && phase != b.phase && run.State.Open():
		fmt.Fprintln(b.w, b.last)
	}
	b.phase = phase
}

func (b *bar) end() {
	switch {
	case b.live:
		fmt.Fprintln(b.w)
	case b.last != "":
		fmt.Fprintln(b.w, b.last)
	}
}

// line says where a run stands.
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
	case run.PausedUntil.After(b.now()):
		text += ", paused by the remote side until " + b.clock(run.PausedUntil)
	case !run.Ends.IsZero():
		text += ", ends in about " + span(max(0, run.Ends.Sub(b.now()))) + " at " + b.clock(run.Ends)
	}
	return text
}

// gauge draws how much of something is done. Of nothing, everything is done once it is over.
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

// amounts says how many entries were read.
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
