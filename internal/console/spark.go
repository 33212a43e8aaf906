package console

import (
	"fmt"
	"strings"
	"time"

	"rollcall/plan"
	"rollcall/status"
)

// spark is the runs of a card as lines of an SVG. Changes rise from the base line with their logarithm, so that one
// large run does not flatten the others. The durations are marks on a scale of their own. Runs with one tone share a
// path, because 30 elements for each of 100 cards would be most of the page.
type spark struct {
	Bars  map[string]string // by tone
	Marks string
}

// The size of a sparkline in units of its view box.
const (
	sparkHeight = 40
	sparkStep   = 8
	sparkWidth  = 6
)

// Spark returns the runs as bars, the oldest first.
func (k *card) Spark() spark {
	longest := time.Second
	for i := range k.Runs {
		longest = max(longest, k.Runs[i].Duration(k.Now))
	}
	out, marks := spark{Bars: map[string]string{}}, ""
	for i := len(k.Runs) - 1; i >= 0; i-- {
		r := &k.Runs[i]
		done, _ := r.Done()
		x := (sparkRuns - 1 - i) * sparkStep
		out.Bars[runTone(r)] += fmt.Sprintf("M%d %dv-%d", x+sparkWidth/2, sparkHeight, min(sparkHeight, 2+bits(done)*3))
		marks += fmt.Sprintf("M%d %dh%d", x, sparkHeight-int(r.Duration(k.Now)*(sparkHeight-2)/longest)-1, sparkWidth)
	}
	out.Marks = marks
	return out
}

// bits returns the binary logarithm of n, rounded up.
func bits(n int64) (b int) {
	for ; n > 0; n >>= 1 {
		b++
	}
	return b
}

// runTone is the class of a finished run.
func runTone(r *status.Run) string {
	switch r.TaskStatus() {
	case status.TaskError:
		return "bad"
	case status.TaskWarning:
		return "warn"
	case status.TaskSuccessful:
		return "good"
	case status.TaskUnknown:
	}
	return "off"
}

// SparkText says in words what the sparkline shows.
func (k *card) SparkText() string {
	if len(k.Runs) == 0 {
		return "No run has ended yet"
	}
	var changes int64
	var longest time.Duration
	bad := 0
	for i := range k.Runs {
		done, _ := k.Runs[i].Done()
		changes += done
		longest = max(longest, k.Runs[i].Duration(k.Now))
		if k.Runs[i].TaskStatus() == status.TaskError {
			bad++
		}
	}
	return fmt.Sprintf("Last %s: %s in all, the longest took %s, %d failed", plural(len(k.Runs), "run"),
		plural(changes, "change"), lasting(longest), bad)
}

// QuotaLeft returns the smallest part of a limit that is left, 0 to 1, and whether any limit is known.
func (k *card) QuotaLeft() (left quotaLeft) {
	left.Left = 1
	for _, q := range k.Quotas {
		left.Known = true
		if rest := max(0, 1-q.Used); rest <= left.Left {
			left.Left, left.Bucket = rest, q.Bucket
		}
		left.Paused = max(left.Paused, q.Paused)
	}
	return left
}

// quotaLeft is what is left of the limits of a tenant over a minute.
type quotaLeft struct {
	Known  bool
	Left   float64
	Bucket string
	Paused time.Duration
}

// Percent returns what is left in percent.
func (q quotaLeft) Percent() int { return int(q.Left*100 + 0.5) }

// Element is the id of the card's live part.
func (k *card) Element() string { return "card-" + k.Container.Kind() + "-" + k.Container.Name() }

// running is a live run as a bar.
type running struct {
	Href, Word, Text string
	Known            bool // there is a plan, so that the bar has an end
	Value, Max       int64
}

// progress describes a live run.
func progress(now func() time.Time) func(*status.Run) running {
	return func(r *status.Run) running {
		done, expected := r.Done()
		out := running{Href: home(r.Container, r.ID), Word: stateTitle(r), Value: done, Max: max(expected, 1),
			Known: !r.PlannedAt.IsZero()}
		switch {
		case r.State == status.Deferred:
			out.Text = "Waits until " + exact(r.DeferredUntil) + ": " + r.DeferReason
		case out.Known && expected == 0:
			out.Text = "Nothing to change"
		case out.Known:
			out.Text = fmt.Sprintf("%s of %s changes", count(done), count(expected))
			if end := r.EstimatedEnd(now()); !end.IsZero() {
				out.Text += ", ends " + ago(now(), end)
			}
		case len(r.Read) > 0:
			out.Text = fmt.Sprintf("Reading: %s and %s so far", plural(r.Read[status.User], "person"),
				plural(r.Read[status.Group], "group"))
		default:
			out.Text = strings.TrimSpace("Nothing is read yet. " + plan.Lasting(r.Takes))
		}
		return out
	}
}

// stateTitle names the state of a run at the beginning of a line.
func stateTitle(r *status.Run) string {
	text := stateWords(r)
	if r.DryRun {
		text = "dry run " + text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}
