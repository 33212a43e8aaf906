package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"rollcall/plan"
)

// table writes rows in columns. A cell is always on one line, whatever a directory contains.
type table struct{ t *tabwriter.Writer }

func newTable(w io.Writer, head ...string) table {
	t := table{tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	t.row(head...)
	return t
}

func (t table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = cmp.Or(cell(c), "-")
	}
	fmt.Fprintln(t.t, strings.Join(cells, "\t"))
}

func (t table) flush() error { return t.t.Flush() }

// cell makes a text safe for one line of a terminal. See plan.Clean.
func cell(s string) string { return strings.TrimSpace(plan.Clean(s)) }

// moment prints a time in the local time zone.
func (e *env) moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(e.now().Location()).Format(time.DateTime)
}

// clock prints a time, without the date if it is today.
func (e *env) clock(t time.Time) string {
	now := e.now()
	if t = t.In(now.Location()); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format(time.TimeOnly)
	}
	return t.Format(time.DateTime)
}

// ago prints the age of a time.
func (e *env) ago(t time.Time) string {
	d := e.now().Sub(t)
	switch {
	case t.IsZero():
		return "never"
	case d < time.Second:
		return "just now"
	}
	return span(d) + " ago"
}

// span prints a duration as one number and one unit.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d < 2*time.Minute:
		return fmt.Sprintf("%.0f s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	case d < 2*day:
		return fmt.Sprintf("%.0f h", d.Hours())
	}
	return fmt.Sprintf("%.0f d", d.Hours()/day.Hours())
}

// count prints a number of things, such as "1 change" and "2 changes".
func count[N int | int64](n N, thing string) string {
	if n == 1 {
		return fmt.Sprintf("%d %s", n, thing)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
