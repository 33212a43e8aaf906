package console

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"rollcall/api"
	"rollcall/container"
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
	HeldBy   map[string]int64
	Facts    ledger.Facts
	Quotas   []pace.State
	Now      time.Time
	// Problem is why the card has no data.
	Problem string
	MaySync bool
}

// concern is something that a person has to do.
type concern struct {
	rank  int
	size  int64
	Text  string
	Href  string
	Press string // the label of the link
	Tone  string
}

// The ranks of concerns, the worst first.
const (
	rankNoWorker = iota
	rankUnknown
	rankFailed
	rankServer
	rankLeavers
	rankHeld
	rankWarning
	rankConflict
	rankNever
)

// lateLeaver is how long a leaver may wait for the suspension before a person should know.
const lateLeaver = time.Hour

func (c *Console) overview(r *request) (*page, error) {
	data, err := c.readOverview(r.Context(), r.who)
	return &page{View: "overview", Title: "Overview", Nav: "overview", Stream: "of=overview", Data: data}, err
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
	if err := g.Wait(); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if len(workers) == 0 {
		idle := concern{rank: rankNoWorker, Tone: "bad", Text: "No worker is running, so nothing is synced"}
		if !who.Restricted() {
			idle.Href, idle.Press = "/asynqmon/", "Show the queues"
		}
		out.Concerns = append(out.Concerns, idle)
	}
	for i := range out.Cards {
		k := &out.Cards[i]
		if k.Disabled {
			continue
		}
		out.Shown++
		if k.State().Word == inStep {
			out.InStep++
		}
		out.Concerns = append(out.Concerns, k.concerns()...)
	}
	slices.SortStableFunc(out.Concerns, func(a, b concern) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(b.size, a.size))
	})
	return out, nil
}

func (c *Console) readCard(ctx context.Context, res api.Resource) card {
	k := card{Resource: res, Title: c.title(res.Container), Now: c.now()}
	if res.Disabled {
		return k
	}
	if err := c.fillCard(ctx, &k); err != nil {
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
	if k.HeldBy, err = c.cfg.Decisions.HeldCounts(ctx, id); err != nil {
		return err
	}
	for _, n := range k.HeldBy {
		k.Held += n
	}
	if k.Facts, err = c.cfg.Facts(id).Facts(ctx); err != nil || id.IsSource() || c.cfg.Quotas == nil {
		return err
	}
	k.Quotas, err = c.cfg.Quotas(ctx, id)
	return err
}

// heldEverywhere counts what waits for a decision. A container that cannot be read counts as zero, because the
// overview names it.
func (c *Console) heldEverywhere(ctx context.Context, who tokens.Identity) (n int64) {
	for _, res := range c.reachable(who) {
		if res.Disabled {
			continue
		}
		counts, err := c.cfg.Decisions.HeldCounts(ctx, res.Container)
		if err != nil {
			return n
		}
		for _, held := range counts {
			n += held
		}
	}
	return n
}

// reachable returns the configured sources and providers that a token reaches.
func (c *Console) reachable(who tokens.Identity) []api.Resource {
	return slices.DeleteFunc(c.cfg.API.Resources(), func(res api.Resource) bool { return !who.Reaches(res.Container) })
}

// title names the type of a container.
func (c *Console) title(id container.ID) string {
	if id.IsSource() {
		return "LDAP directory"
	}
	return c.cfg.API.TypeTitle(id.Kind())
}

// called returns the name of a configured source or provider for people.
func (c *Console) called(id container.ID) string {
	res, _ := c.resource(id)
	return cmp.Or(res.Name, id.Name())
}

// state is a word with the class that gives it a colour and a shape.
type state struct {
	Word, Tone string
	Since      time.Time
}

// inStep is the state of a container whose last run left nothing open.
const inStep = "In step"

// State says whether the container is in step, and since when.
func (k *card) State() state {
	last := k.Standing.Last
	switch {
	case k.Disabled:
		return state{Word: "Switched off", Tone: "off"}
	case k.Problem != "":
		return state{Word: "Unknown", Tone: "bad"}
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
func (k *card) Conflicts() (n int64) {
	for _, v := range k.Standing.HeldEntries {
		n += v
	}
	return n
}

// name is the name of the container for people, with its type.
func (k *card) name() string { return cmp.Or(k.Name, k.Container.Name()) + " (" + k.Title + ")" }

// concerns says what a person has to do about the container.
func (k *card) concerns() (out []concern) {
	add := func(rank int, size int64, tone, href, press, format string, args ...any) {
		out = append(out, concern{rank, size, fmt.Sprintf(format, args...), href, press, tone})
	}
	if k.Problem != "" {
		add(rankUnknown, 0, "bad", home(k.Container), "Show its runs", "%s cannot be read from Redis (%s)", k.name(),
			k.Problem)
		return out
	}
	last := k.Standing.Last
	if last == nil {
		if k.Standing.Open == nil {
			add(rankNever, 0, "off", home(k.Container), "Start its first sync", "%s was never synced", k.name())
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
	if len(d.Concerns) == 0 || d.Concerns[0].rank == rankConflict && len(d.Concerns) == 0 {
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

// bar is one run in a sparkline. Changes rise from the base line with their logarithm, so that one large run does not
// flatten the others. The duration is a mark on its own scale.
type bar struct {
	X, Y, Height int
	Mark         int
	Tone         string
	Run          *status.Run
}

// The size of a sparkline in units of its view box.
const (
	sparkHeight = 40
	sparkStep   = 8
)

// Spark returns the runs as bars, the oldest first.
func (k *card) Spark() []bar {
	out := make([]bar, 0, len(k.Runs))
	longest := time.Second
	for i := range k.Runs {
		longest = max(longest, k.Runs[i].Duration(k.Now))
	}
	for i := len(k.Runs) - 1; i >= 0; i-- {
		r := &k.Runs[i]
		done, _ := r.Done()
		height := min(sparkHeight, 2+bits(done)*3)
		mark := sparkHeight - int(r.Duration(k.Now)*(sparkHeight-2)/longest) - 1
		out = append(out, bar{X: (sparkRuns - 1 - i) * sparkStep, Y: sparkHeight - height, Height: height, Mark: mark,
			Tone: runTone(r), Run: r})
	}
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
			out.Text = "Nothing is read yet"
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
