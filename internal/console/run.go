package console

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/tokens"
	"rollcall/plan"
	"rollcall/status"
)

const (
	runsShown     = 25
	messagesShown = 40
)

// runsData is the runs of one container.
type runsData struct {
	api.Resource
	Runs  []status.Run
	Pager pager
	Pause *decisions.Pause // nil if nothing is paused
}

// runs lists the runs of a container, the newest first.
func (c *Console) runs(r *request) (*page, error) {
	res, known := c.resource(r.container())
	if !known {
		return nil, errNoPage
	}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) // zero, the newest, for anything else
	runs, next, err := c.cfg.Status.List(r.Context(), res.Container, status.Cursor(before), runsShown)
	if err != nil {
		return nil, err
	}
	total, err := c.cfg.Status.Count(r.Context(), res.Container)
	if err != nil {
		return nil, err
	}
	pause, err := c.cfg.Decisions.PauseOf(r.Context(), res.Container)
	if err != nil {
		return nil, err
	}
	data := runsData{Resource: res, Runs: runs, Pager: pager{Shown: len(runs), Total: int(total)}, Pause: pause}
	if next > 0 {
		data.Pager.Next, data.Pager.NextText = query("before", strconv.FormatInt(int64(next), 10)), "Older"
	}
	if before > 0 {
		data.Pager.Previous, data.Pager.PreviousText = home(res.Container), "Newest"
	}
	return &page{View: "runs", Title: "Runs of " + res.Called(), Nav: "overview", Data: data}, nil
}

// runData is one run.
type runData struct {
	api.Resource
	Run      status.Run
	Messages []status.Message // the newest first
	Total    int64            // of the messages
	Level    string
	Plan     *planData
	NoPlan   string // why there is no plan
	MaySync  bool
	MayUndo  bool
}

func (c *Console) run(r *request) (*page, error) {
	data, err := c.readRun(r.Context(), r.container(), r.PathValue("run"), r.URL.Query().Get("level"))
	if err != nil {
		return nil, err
	}
	now, err := c.runParts(data, r.who)
	if err != nil {
		return nil, err
	}
	if err := c.readPlan(r.Context(), data, planFilterOf(r.URL.Query())); err != nil {
		return nil, err
	}
	stream := ""
	if data.Run.State.Open() {
		stream = query("of", "run", "container", data.Container.String(), "run", data.Run.ID, "level", data.Level)[1:]
	}
	return &page{View: "run", Title: data.Heading(), Nav: "overview", Stream: stream, Live: now, Data: data}, nil
}

// readRun reads a run and its newest messages. Only a UUID may become part of a key.
func (c *Console) readRun(ctx context.Context, id container.ID, run, level string) (*runData, error) {
	res, known := c.resource(id)
	if _, err := uuid.Parse(run); err != nil || !known {
		return nil, errNoPage
	}
	data := &runData{Resource: res, Level: level}
	var err error
	if data.Run, err = c.cfg.Status.Get(ctx, id, run); err != nil {
		if fault.KindOf(err) == fault.NotFound {
			return nil, errNoPage
		}
		return nil, err
	}
	data.Total = data.Run.Messages
	limit := messagesShown
	if level != "" {
		limit = status.MaxList
	}
	all, _, err := c.cfg.Status.Messages(ctx, id, run, "", limit)
	data.Messages = slices.DeleteFunc(all, func(m status.Message) bool {
		return level != "" && cmp.Or(m.Level, status.Info) == status.Info
	})
	data.Messages = data.Messages[:min(len(data.Messages), messagesShown)]
	return data, err
}

// liveRun renders the live parts of a run's page.
func (c *Console) liveRun(ctx context.Context, id container.ID, run, level string, who tokens.Identity) (parts, error) {
	data, err := c.readRun(ctx, id, run, level)
	if err != nil {
		return nil, err
	}
	out, err := c.runParts(data, who)
	if err != nil {
		return nil, err
	}
	switch { // The page may have been loaded before there was a plan.
	case data.Run.State.Open() && !data.Run.PlannedAt.IsZero():
		return out, c.part(out, "run", "planready", "planready", data)
	case data.Run.State.Open():
		return out, nil
	}
	if err := c.readPlan(ctx, data, planFilter{page: 1}); err != nil || data.Plan == nil {
		return out, err
	}
	return out, c.part(out, "run", "plan", "planready", data)
}

// runParts renders the parts of a run's page that are always there.
func (c *Console) runParts(data *runData, who tokens.Identity) (parts, error) {
	data.MaySync, data.MayUndo = who.May(tokens.Sync), who.May(tokens.Approve)
	out := parts{}
	for _, name := range []string{"runhead", "runbuttons", "runmessages"} {
		if err := c.part(out, "run", name, name, data); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Heading names the run.
func (d *runData) Heading() string {
	what := map[bool]string{true: "Dry run", false: "Run"}[d.Run.DryRun]
	return fmt.Sprintf("%s of %s", what, d.Called())
}

// phase is one step of a run.
type phase struct {
	Name, Text, Tone string
	At               time.Time
	Now              bool
}

// Phases returns the steps of the run in order. One of them is under way while the run is open.
func (d *runData) Phases() []phase {
	r := &d.Run
	done, expected := r.Done()
	out := []phase{
		{Name: "Queued", At: r.CreatedAt, Text: "started by " + r.Trigger.Cause()},
		{Name: "Read", At: r.StartedAt},
		{Name: "Planned", At: r.PlannedAt},
		{Name: "Applied", At: r.FinishedAt},
		{Name: "End", At: r.FinishedAt},
	}
	if r.Read[status.User]+r.Read[status.Group] > 0 {
		out[1].Text = plural(r.Read[status.User], "person") + ", " + plural(r.Read[status.Group], "group")
	}
	if !r.PlannedAt.IsZero() {
		out[2].Text = plural(expected, "change")
		if r.Held > 0 {
			out[2].Text += ", " + count(r.Held) + " held or in conflict"
		}
		out[3].Text = fmt.Sprintf("%s of %s", count(done), count(expected))
		if r.DryRun {
			out[3].Text = "a dry run writes nothing"
		}
	}
	if !r.State.Open() {
		out[4].Name, out[4].Tone, out[4].Text = "Ended", runTone(r), stateWords(r)
	}
	at := 0
	for i := range out {
		if !out[i].At.IsZero() {
			at = i
		}
	}
	if r.PlannedAt.IsZero() && !r.State.Open() { // It ended before it had a plan.
		out = slices.Delete(out, 2, 4)
		return out
	}
	if r.State.Open() {
		if at == 2 {
			at = 3 // The plan is being applied.
		}
		out[at].Now = true
	}
	return out
}

// Undoes returns the run that this dry run would undo; empty for any other run.
func (d *runData) Undoes() string {
	if d.Run.Trigger.Kind == status.ByRevert && d.Run.DryRun && d.Run.State == status.Completed {
		return d.Run.Trigger.Of
	}
	return ""
}

// CanUndo reports whether the run wrote something that can be taken back.
func (d *runData) CanUndo() bool {
	done, _ := d.Run.Done()
	return !d.Run.State.Open() && !d.Run.DryRun && done > 0 && !d.Container.IsSource()
}

// planData is one page of a plan.
type planData struct {
	Head    status.PlanHead
	Summary plan.Summary
	Filter  planFilter
	Rows    []plan.Row
	Groups  []planGroup // where the filter groups
	Pager   pager
	// Rest leads to what was not searched; empty where the plan was searched to its end.
	Rest string
}

// planGroup is what a plan does to one person or one group.
type planGroup struct {
	Label, ID, Kind string
	Rows            []plan.Row
}

// opSum counts the changes of one operation.
type opSum struct {
	Op    plan.Op
	Tally plan.Tally
}

// Sums orders the counts of a summary by the harm of the operation.
func (*planData) Sums(counts map[plan.Op]plan.Tally) (out []opSum) {
	for _, op := range harm {
		if t, is := counts[op]; is {
			out = append(out, opSum{op, t})
		}
	}
	return out
}

// readPlan reads the page of the plan that a filter asks for, or why there is no plan.
func (c *Console) readPlan(ctx context.Context, d *runData, f planFilter) error {
	head, err := c.cfg.Status.Plan(ctx, d.Container, d.Run.ID)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		d.NoPlan = api.NoPlan(&d.Run)
		return nil
	}
	if err != nil {
		return err
	}
	p := &planData{Head: head, Filter: f}
	if err := json.Unmarshal(head.Summary, &p.Summary); err != nil {
		return fmt.Errorf("summary of a plan: %w", err)
	}
	d.Plan = p
	return c.fillPlan(ctx, p)
}

// Attributes writes the attributes of a message on one line.
func attributes(m status.Message) string {
	var texts []string
	for _, name := range slices.Sorted(maps.Keys(m.Attributes)) {
		texts = append(texts, fmt.Sprintf("%s=%v", name, m.Attributes[name]))
	}
	return strings.Join(texts, "  ")
}

// start starts a full sync and shows it.
func (c *Console) start(r *request) (string, error) {
	run, err := c.cfg.API.Start(r.Context(), r.container(), status.Full, r.PostFormValue("dry_run") == "true", r.who.Name)
	r.detail("run", run.ID)
	return home(r.container(), run.ID), err
}

// cancel ends the live run and shows it.
func (c *Console) cancel(r *request) (string, error) {
	run, err := c.cfg.API.Cancel(r.Context(), r.container(), r.who.Name)
	r.detail("run", run.ID)
	return home(r.container(), run.ID), err
}

// pause keeps everything from writing to a container.
func (c *Console) pause(r *request) (string, error) {
	_, err := c.cfg.API.Pause(r.Context(), r.container(), r.who.Name)
	return home(r.container()), err
}

// resume ends the pause, and shows the run that follows.
func (c *Console) resume(r *request) (string, error) {
	run, err := c.cfg.API.Resume(r.Context(), r.container(), r.who.Name)
	if err != nil || run == nil {
		return home(r.container()), err
	}
	r.detail("run", run.ID)
	return home(r.container(), run.ID), nil
}

// undo starts the undo of a run, or its preview, and shows it.
func (c *Console) undo(r *request) (string, error) {
	if _, err := uuid.Parse(r.PathValue("run")); err != nil {
		return "", errNoPage
	}
	run, err := c.cfg.API.Revert(r.Context(), r.container(), r.PathValue("run"), r.PostFormValue("dry_run") == "true",
		r.who.Name)
	r.detail("undo", run.ID)
	return home(r.container(), run.ID), err
}
