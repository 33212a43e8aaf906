package console

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/api"
	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/status"
)

const (
	changeRows = 50
	// runsSearched is the number of runs of each container that are searched for plans. Fewer plans are kept.
	runsSearched = 50
)

// changesData is what the runs of all containers did, the newest first.
type changesData struct {
	Rows      []changeRow
	Pager     pager
	Container string
	Filter    planFilter
	All       []api.Resource
	// Older leads to the search of the older plans; empty where all were searched. Searched is when the newest of them
	// was planned.
	Older    string
	Searched time.Time
	Plans    int
	before   time.Time // only plans from before it
	run      string    // whose rows the search goes on with
}

// changeRow is one change of one run.
type changeRow struct {
	plan.Change
	Run     *status.Run
	Outcome state
}

// executed is a run with its plan.
type executed struct {
	run     status.Run
	head    status.PlanHead
	changes int
}

// changes lists the changes of all runs that have a plan.
func (c *Console) changes(r *request) (*page, error) {
	q := r.URL.Query()
	data := &changesData{Container: q.Get("container"), Filter: planFilterOf(q), All: c.reachable(r.who),
		run: q.Get("run")}
	data.Filter.Row, data.Filter.By = string(plan.RowChange), ""
	if ms, err := strconv.ParseInt(q.Get("before"), 10, 64); err == nil {
		data.before = time.UnixMilli(ms)
	}
	runs, err := c.executed(r.Context(), data.All, data.Container)
	if err != nil {
		return nil, err
	}
	if !data.before.IsZero() {
		runs = slices.DeleteFunc(runs, func(e executed) bool { return !e.head.At.Before(data.before) })
	}
	data.Plans = len(runs)
	if f := data.Filter; f.Op+f.Kind+f.Text == "" {
		err = c.pageOfChanges(r.Context(), data, runs)
	} else {
		err = c.searchChanges(r.Context(), data, runs)
	}
	if err == nil {
		err = c.outcomes(r.Context(), data.Rows)
	}
	return &page{View: "changes", Title: "Changes", Nav: "changes", Data: data}, err
}

// executed returns the runs that wrote something and whose plans are kept, the newest first.
func (c *Console) executed(ctx context.Context, all []api.Resource, only string) ([]executed, error) {
	found := make([][]executed, len(all))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, res := range all {
		if only != "" && only != string(res.Container) {
			continue
		}
		g.Go(func() (err error) {
			found[i], err = c.executedAt(ctx, res)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := slices.Concat(found...)
	slices.SortStableFunc(out, func(a, b executed) int { return b.head.At.Compare(a.head.At) })
	return out, nil
}

func (c *Console) executedAt(ctx context.Context, res api.Resource) (out []executed, err error) {
	runs, _, err := c.cfg.Status.List(ctx, res.Container, 0, runsSearched)
	if err != nil {
		return nil, err
	}
	for _, run := range runs {
		if done, _ := run.Done(); run.DryRun || done == 0 {
			continue
		}
		head, err := c.cfg.Status.Plan(ctx, res.Container, run.ID)
		if err != nil && fault.KindOf(err) == fault.NotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		e := executed{run: run, head: head}
		if len(head.Sections) > 0 && head.Sections[0].Name == string(plan.RowChange) {
			e.changes = head.Sections[0].Kept
		}
		out = append(out, e)
	}
	return out, nil
}

// address returns what makes the address of a page of changes.
func (d *changesData) address(page int) string {
	before := ""
	if !d.before.IsZero() {
		before = strconv.FormatInt(d.before.UnixMilli(), 10)
	}
	return query("container", d.Container, "op", d.Filter.Op, "kind", d.Filter.Kind, "q", d.Filter.Text,
		"before", before, "run", d.run, "from", d.Filter.begin(), "page", strconv.Itoa(page))
}

// pageOfChanges reads a page by its number, without reading what is before it.
func (c *Console) pageOfChanges(ctx context.Context, d *changesData, runs []executed) error {
	total := 0
	for i := range runs {
		total += runs[i].changes
	}
	d.Pager = newPager(d.Filter.page, changeRows, total, d.address)
	from, left := d.Pager.From-1, d.Pager.Shown
	for i := range runs {
		if from >= runs[i].changes {
			from -= runs[i].changes
			continue
		}
		left = min(left, runs[i].changes-from)
		for row, err := range c.rows(ctx, runs[i].head, d.Filter, from, left, time.Time{}) {
			if err != nil {
				return err
			}
			d.Rows = append(d.Rows, changeRow{Change: row.Change, Run: &runs[i].run})
			if left--; left == 0 {
				break
			}
		}
		if left, from = d.Pager.Shown-len(d.Rows), 0; left <= 0 {
			return nil
		}
	}
	return nil
}

// searchChanges reads plans from the newest to the oldest until the time is over.
func (c *Console) searchChanges(ctx context.Context, d *changesData, runs []executed) error {
	if at := slices.IndexFunc(runs, func(e executed) bool { return e.run.ID == d.run }); at > 0 {
		runs = runs[at:] // Others of the same millisecond were searched.
	}
	until, n, first := time.Now().Add(searchTime), 0, (d.Filter.page-1)*changeRows
	for i := range runs {
		f := d.Filter
		if runs[i].run.ID != d.run {
			f.from = 0
		}
		if i > 0 && time.Now().After(until) {
			d.goOn(&runs[i], 0)
			break
		}
		for row, err := range c.search(ctx, runs[i].head, f, until) {
			if at, stopped := errors.AsType[stoppedAt](err); stopped {
				d.goOn(&runs[i], int(at))
				break
			}
			if err != nil {
				return err
			}
			if n++; n > first && len(d.Rows) < changeRows {
				d.Rows = append(d.Rows, changeRow{Change: row.Change, Run: &runs[i].run})
			}
		}
		if d.Older != "" {
			break
		}
	}
	d.Pager = newPager(d.Filter.page, changeRows, n, d.address)
	return nil
}

// goOn notes that the search goes on with a row of the plan of a run.
func (d *changesData) goOn(e *executed, from int) {
	older := changesData{Container: d.Container, Filter: d.Filter, run: e.run.ID,
		before: e.head.At.Truncate(time.Millisecond).Add(time.Millisecond)}
	older.Filter.from, d.Searched = from, e.head.At
	d.Older = older.address(1)
}

// outcomes finds out what each change came to, by the attempts of its entry.
func (c *Console) outcomes(ctx context.Context, rows []changeRow) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range rows {
		g.Go(func() error {
			row := &rows[i]
			ref := row.Ref
			if row.Member != nil {
				ref = *row.Member
			}
			attempts, err := c.cfg.Decisions.Attempts(ctx, row.Run.Container, ref.String())
			row.Outcome = outcomeOf(row, attempts)
			return err
		})
	}
	return g.Wait()
}

// outcomeOf returns the outcome of a change. Only the last attempts of an entry are kept. Without one, the run says
// whether everything was carried out.
func outcomeOf(row *changeRow, attempts []decisions.Attempt) state {
	for _, a := range attempts {
		if a.RunID != row.Run.ID || a.Op != row.Op.String() || row.Member != nil && a.Group != string(row.ID) {
			continue
		}
		if a.FailKind != "" {
			return state{Word: "Failed", Tone: "bad", Text: words(a.FailKind) + ": " + a.FailText}
		}
		return state{Word: "Done", Tone: "good"}
	}
	switch {
	case row.Run.State.Open():
		return state{Word: "Not yet", Tone: "run"}
	case row.Run.State == status.Completed && row.Run.FailedChanges == 0:
		return state{Word: "Done", Tone: "good"}
	}
	return state{Word: "Not known", Tone: "off", Text: "the run " + strings.TrimSuffix(failWords(row.Run), ".")}
}
