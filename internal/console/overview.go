package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/api"
	"rollcall/container"
	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/tokens"
	"rollcall/ledger"
	"rollcall/provider/pace"
	"rollcall/status"
)

// The limits of the overview.
const (
	sparkRuns    = 30 // runs in a sparkline
	atOnce       = 16 // containers that are read concurrently
	mostConcerns = 5  // concerns below the worst one
	atOneView    = 12 // cards that keep the order of the configuration; of more, those with problems come first
)

// overviewData is the overview.
type overviewData struct {
	Cards []card
	// Concerns are what a person has to do, the worst first.
	Concerns []concern
	InStep   int // containers in step
	Shown    int // enabled containers
}

// card is one source or provider.
type card struct {
	api.Resource
	Title    string // the type, for people
	Standing status.Standing
	Runs     []status.Run // the newest first, without dry runs
	Held     int64
	Does     map[string]int64 // what is held, by action and kind
	Facts    ledger.Facts
	Quotas   []pace.State
	Now      time.Time
	// Pause keeps everything from writing to it; nil if none does.
	Pause *decisions.Pause
	// Problem is why the card has no data.
	Problem string
	MaySync bool
	worst   int // the rank of its worst concern
}

// concern is something that a person has to do.
type concern struct {
	rank  int
	size  int64
	Text  string
	Then  string // what follows
	Href  string
	Press string // the label of the link
	Tone  string
}

// The ranks of concerns, the worst first.
const (
	rankNoWorker = iota
	rankUnknown
	rankFailed
	rankSilent
	rankPaused
	rankServer
	rankLeavers
	rankHeld
	rankWarning
	rankConflict
	rankNever
	rankNone // a card without a concern
	rankOff  // a card that is switched off
)

// lateLeaver is how long a leaver may wait for the suspension before a person should know.
const lateLeaver = time.Hour

func (c *Console) overview(r *request) (*page, error) {
	data, err := c.readOverview(r.Context(), r.who)
	if err != nil {
		return nil, err
	}
	now, err := c.overviewParts(data)
	return &page{View: "overview", Title: "Overview", Nav: "overview", Stream: "of=overview", Live: now, Data: data}, err
}

// readOverview reads every container that a token reaches. One that cannot be read is a card that says why.
func (c *Console) readOverview(ctx context.Context, who tokens.Identity) (*overviewData, error) {
	all := c.reachable(who)
	out := &overviewData{Cards: make([]card, len(all))}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, res := range all {
		g.Go(func() error {
			out.Cards[i] = c.readCard(ctx, res)
			out.Cards[i].MaySync = who.May(tokens.Sync)
			return ctx.Err()
		})
	}
	workers, err := c.cfg.Status.Workers(ctx)
	orders, unread := c.cfg.API.Orders(ctx)
	if err := errors.Join(g.Wait(), err); err != nil {
		return nil, err
	}
	if len(workers) == 0 {
		idle := concern{rank: rankNoWorker, Tone: "bad", Text: "No worker is running, so nothing is synced",
			Then: "A worker reads the directories and writes to the tenants: start one."}
		if !who.Restricted() {
			idle.Href, idle.Press = "/asynqmon/", "Show the queues"
		}
		out.Concerns = append(out.Concerns, idle)
	}
	if (unread != nil || len(orders.Untrusted) > 0) && !who.Restricted() { // An order is for every provider.
		says := plural(len(orders.Untrusted), "order") + " to leave without effect"
		if unread != nil {
			says = "The orders to leave cannot be read (" + fault.KindOf(unread).String() + ")"
		}
		out.Concerns = append(out.Concerns, concern{rank: rankFailed, Tone: "bad", Text: says, Href: "/leavers/",
			Press: "Show the reason"})
	}
	for i := range out.Cards {
		k := &out.Cards[i]
		if k.worst = rankOff; k.Disabled {
			continue
		}
		out.Shown++
		if k.State().Word == inStep {
			out.InStep++
		}
		k.worst = rankNone
		for _, n := range k.concerns() {
			k.worst = min(k.worst, n.rank)
			out.Concerns = append(out.Concerns, n)
		}
	}
	slices.SortStableFunc(out.Concerns, func(a, b concern) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.size, a.size))
	})
	out.together()
	if len(out.Cards) > atOneView {
		slices.SortStableFunc(out.Cards, func(a, b card) int { return cmp.Compare(a.worst, b.worst) })
	}
	return out, nil
}

// together makes one concern of several cards that were never synced. They are the last concerns.
func (d *overviewData) together() {
	first := slices.IndexFunc(d.Concerns, func(n concern) bool { return n.rank == rankNever })
	if first < 0 || first == len(d.Concerns)-1 {
		return
	}
	n := &d.Concerns[first]
	n.Text = fmt.Sprintf("%s and %s more%s", strings.TrimSuffix(n.Text, " was"+neverSynced),
		count(len(d.Concerns)-1-first), " were"+neverSynced)
	d.Concerns = d.Concerns[:first+1]
}

func (c *Console) readCard(ctx context.Context, res api.Resource) card {
	k := card{Resource: res, Title: c.title(res.Container), Now: c.now()}
	if res.Disabled {
		return k
	}
	if err := c.fillCard(ctx, &k); err != nil && ctx.Err() == nil {
		k.Problem = fault.KindOf(err).String()
		c.cfg.Log.WarnContext(ctx, "container cannot be read", "container", res.Container, "err", err)
	}
	return k
}

func (c *Console) fillCard(ctx context.Context, k *card) (err error) {
	id := k.Container
	if k.Standing, err = c.cfg.Status.Standing(ctx, id); err != nil {
		return err
	}
	runs, _, err := c.cfg.Status.List(ctx, id, 0, sparkRuns)
	if err != nil {
		return err
	}
	k.Runs = slices.DeleteFunc(runs, func(r status.Run) bool { return r.DryRun || r.State.Open() })
	if k.Pause, err = c.cfg.Decisions.PauseOf(ctx, id); err != nil {
		return err
	}
	counts, err := c.cfg.Decisions.HeldCounts(ctx, id)
	if err != nil {
		return err
	}
	k.Held, k.Does = sum(slices.Collect(maps.Values(counts.Guards))...), counts.Does
	if k.Facts, err = c.cfg.Ledger(id).Facts(ctx); err != nil || id.IsSource() || c.cfg.Quotas == nil {
		return err
	}
	k.Quotas, err = c.cfg.Quotas(ctx, id)
	return err
}

// heldEverywhere counts what waits for a decision. A container that cannot be read counts as zero, because the
// overview names it.
func (c *Console) heldEverywhere(ctx context.Context, who tokens.Identity) int64 {
	var n atomic.Int64
	var g errgroup.Group
	g.SetLimit(atOnce)
	for _, res := range c.reachable(who) {
		if res.Disabled {
			continue
		}
		g.Go(func() error {
			counts, err := c.cfg.Decisions.HeldCounts(ctx, res.Container)
			n.Add(sum(slices.Collect(maps.Values(counts.Guards))...))
			return err
		})
	}
	_ = g.Wait() // the overview names what cannot be read
	return n.Load()
}

// reachable returns the configured sources and providers that a token reaches.
func (c *Console) reachable(who tokens.Identity) []api.Resource {
	return slices.DeleteFunc(c.cfg.API.Resources(), func(res api.Resource) bool { return !who.Reaches(res.Container) })
}

// state is a word with the class that gives it a colour and a shape.
type state struct {
	Word, Tone, Text string
	Since            time.Time
}

const neverSynced = " never synced"

// inStep is the state of a container if its last run left nothing open.
const inStep = "In step"

// State says whether the container is in step, and since when.
func (k *card) State() state {
	last := k.Standing.Last
	switch {
	case k.Disabled:
		return state{Word: "Switched off", Tone: "off"}
	case k.Problem != "":
		return state{Word: "Unknown", Tone: "bad"}
	case k.Pause != nil:
		return state{Word: "Paused", Tone: "wait", Since: k.Pause.At}
	case last == nil:
		return state{Word: "Never synced", Tone: "off"}
	}
	s := state{Since: k.streak(last.TaskStatus())}
	switch {
	case last.TaskStatus() == status.TaskError:
		s.Word, s.Tone = "Failed", "bad"
	case k.Facts.Positions.Pending != nil:
		s.Word, s.Tone = "In doubt", "bad"
	case k.Held > 0:
		s.Word, s.Tone = "Waits for a decision", "wait"
	case last.TaskStatus() == status.TaskWarning:
		s.Word, s.Tone = "Not in step", "warn"
	default:
		s.Word, s.Tone = inStep, "good"
	}
	return s
}

// streak returns the end of the first of the last runs that all ended alike.
func (k *card) streak(as status.TaskStatus) time.Time {
	since := k.Standing.LastAt
	for i := range k.Runs {
		if k.Runs[i].TaskStatus() != as {
			break
		}
		since = k.Runs[i].FinishedAt
	}
	return since
}

// Conflicts counts the entries about which nothing can be done until their cause is gone.
func (k *card) Conflicts() int64 {
	return sum(slices.Collect(maps.Values(k.Standing.HeldEntries))...)
}

// name is the name of the container for people, with its type.
func (k *card) name() string { return k.Called() + " (" + k.Title + ")" }

// concerns says what a person has to do about the container.
func (k *card) concerns() (out []concern) {
	add := func(rank int, size int64, tone, href, press, format string, args ...any) {
		out = append(out, concern{rank, size, fmt.Sprintf(format, args...), "", href, press, tone})
	}
	if k.Problem != "" {
		add(rankUnknown, 0, "bad", home(k.Container), "Show its runs", "%s cannot be read from Redis (%s)", k.name(),
			k.Problem)
		return out
	}
	if k.Pause != nil {
		add(rankPaused, 0, "wait", home(k.Container), "See the pause", "Nothing is written to %s: %s", k.name(),
			k.Pause.Text())
	}
	last, open := k.Standing.Last, k.Standing.Open
	if open != nil && open.State == status.Deferred && open.Outage.Times > 1 { // Once is no news.
		add(rankSilent, 0, "bad", home(k.Container, open.ID), "See why", "%s: the sync has waited for %s because %s",
			k.name(), lasting(k.Now.Sub(open.Outage.Since)), open.DeferReason)
	}
	if last == nil {
		if open == nil {
			add(rankNever, 0, "off", home(k.Container), "Start its first sync", "%s was"+neverSynced, k.name())
		}
		return out
	}
	if last.TaskStatus() == status.TaskError {
		add(rankFailed, 0, "bad", home(k.Container, last.ID), "See why", "%s: the last sync %s", k.name(), failWords(last))
	}
	if p := k.Facts.Positions.Pending; p != nil {
		add(rankServer, 0, "bad", home(k.Container), "Compare the servers",
			"%s was read from a server that may be behind, so changes wait", k.name())
	}
	if since := k.Standing.LeaverSince; !since.IsZero() && k.Now.Sub(since) > lateLeaver {
		add(rankLeavers, 0, "bad", "/leavers/", "Show the leavers", "%s: a leaver has waited for suspension for %s", k.name(),
			lasting(k.Now.Sub(since)))
	}
	if k.Held > 0 {
		add(rankHeld, k.Held, "wait", heldPath(k.Container), "Decide", "%s: %s %s for a decision", k.name(),
			plural(k.Held, "change"), waits(k.Held))
		if does := consequence(k.Does); does != "" {
			out[len(out)-1].Then = "Approved, they would " + does + inCopy(k.Container) + "."
		}
	}
	if last.FailedChanges > 0 {
		add(rankWarning, last.FailedChanges, "warn", home(k.Container, last.ID), "See what failed", "%s: %s failed",
			k.name(), plural(last.FailedChanges, "change"))
	}
	if n := k.Conflicts(); n > 0 {
		add(rankConflict, n, "warn", heldPath(k.Container)+"#conflicts", "Show them", "%s: %s cannot be synced as %s",
			k.name(), plural(n, "entry"), map[bool]string{true: "it is", false: "they are"}[n == 1])
	}
	return out
}

// inCopy says that the changes of a source concern the local copy, and not the directory itself.
func inCopy(c container.ID) string {
	if c.IsSource() {
		return " in the local copy, and the tenants would follow"
	}
	return ""
}

func waits(n int64) string {
	if n == 1 {
		return "waits"
	}
	return "wait"
}

// failWords say how a run failed, without a final full stop.
func failWords(r *status.Run) string {
	why := strings.TrimSuffix(r.FailReason, ".")
	switch {
	case r.State == status.Expired:
		return "was given up"
	case why == "":
		return "failed"
	}
	return "failed: " + why
}

func heldPath(c container.ID) string { return "/held/" + c.Kind() + "/" + c.Name() + "/" }

// Worst returns the concern for the sentence at the top, or nil.
func (d *overviewData) Worst() *concern {
	if len(d.Concerns) == 0 {
		return nil
	}
	return &d.Concerns[0]
}

// Others returns the concerns after the worst one, and how many more there are.
func (d *overviewData) Others() []concern {
	return d.Concerns[min(1, len(d.Concerns)):min(1+mostConcerns, len(d.Concerns))]
}

// More counts the concerns that are not shown.
func (d *overviewData) More() int { return max(0, len(d.Concerns)-1-mostConcerns) }
