package console

import (
	"fmt"
	"math/bits"
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
	Text  string // what it shows, in words
}

// The size of a sparkline in units of its view box.
const (
	sparkHeight = 40
	sparkStep   = 8
	sparkWidth  = 6
)

// Spark returns the runs as bars, the oldest first.
func (k *card) Spark() spark {
	longest, changes, bad := time.Duration(0), int64(0), 0
	for i := range k.Runs {
		longest = max(longest, k.Runs[i].Duration(k.Now))
	}
	out, scale := spark{Bars: map[string]string{}, Text: "No run has ended yet"}, max(longest, time.Second)
	for i := len(k.Runs) - 1; i >= 0; i-- {
		r, x := &k.Runs[i], (sparkRuns-1-i)*sparkStep
		done, _ := r.Done()
		out.Bars[runTone(r)] += fmt.Sprintf("M%d %dv-%d", x+sparkWidth/2, sparkHeight,
			min(sparkHeight, 2+bits.Len64(uint64(done))*3)) //nolint:gosec // a count is not negative
		out.Marks += fmt.Sprintf("M%d %dh%d", x, sparkHeight-int(r.Duration(k.Now)*(sparkHeight-2)/scale)-1, sparkWidth)
		if changes += done; r.TaskStatus() == status.TaskError {
			bad++
		}
	}
	if len(k.Runs) > 0 {
		out.Text = fmt.Sprintf("Last %s: %s in all, the longest took %s, %d failed", plural(len(k.Runs), "run"),
			plural(changes, "change"), lasting(longest), bad)
	}
	return out
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

// quotaLeft is what is left of the limits of a tenant over a minute.
type quotaLeft struct {
	Percent int // of the limit of which least is left
	Paused  time.Duration
}

// QuotaLeft returns what is left of the limits, or nil if none is known.
func (k *card) QuotaLeft() *quotaLeft {
	if len(k.Quotas) == 0 {
		return nil
	}
	var used float64
	var left quotaLeft
	for _, q := range k.Quotas {
		used, left.Paused = max(used, q.Used), max(left.Paused, q.Paused)
	}
	left.Percent = int(max(0, 1-used)*100 + 0.5)
	return &left
}

// Element is the id of the card's live part.
func (k *card) Element() string { return "card-" + k.Container.Kind() + "-" + k.Container.Name() }

// running is a live run as a bar.
type running struct {
	Href, Word, Tone, Text string
	Known                  bool // there is a plan, so that the bar has an end
	Value, Max             int64
}

// progress describes a live run.
func progress(now func() time.Time) func(*status.Run) running {
	return func(r *status.Run) running {
		done, expected := r.Done()
		out := running{Href: home(r.Container, r.ID), Word: stateTitle(r), Tone: "run", Value: done, Max: max(expected, 1),
			Known: !r.PlannedAt.IsZero()}
		switch {
		case r.State == status.Deferred:
			out.Tone = "wait"
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
