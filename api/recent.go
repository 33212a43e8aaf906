package api

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/plan"
	"rollcall/status"
)

// recent returns the sync status of a container: its state, with the open run, if there is one, and the last finished
// runs. A run can start or end while the runs are read. All is then repeated, so that the response is consistent.
func (a *API) recent(ctx context.Context, f *family, c container.ID) ([]byte, error) {
	const attempts = 3
	for n := 1; ; n++ {
		g, err := a.cfg.Status.Glance(ctx, c, closedTasks+1, decisions.PauseKey(c))
		if err != nil {
			return nil, err
		}
		if kept := a.closed.of(c, g.Version, a.now()); kept.text != nil && kept.glance == g.Text {
			return kept.text, nil
		}
		rows, same, err := a.rows(ctx, f, c, g)
		if err != nil {
			return nil, err
		}
		if !same && n < attempts {
			continue
		}
		text, err := statusText(g, rows)
		if same && err == nil {
			a.closed.keepText(c, g, text)
		}
		return text, err
	}
}

// rows returns the rows of each run as JSON. It reads only the runs whose rows are not kept. It reports whether all
// runs were there, and the newest one was open if the container is live.
func (a *API) rows(ctx context.Context, f *family, c container.ID, g status.Glance) (out [][]byte, same bool,
	err error) {
	notices, err := a.notices(c, g)
	if err != nil {
		return nil, false, err
	}
	noticed := func(id string) bool { return len(notices) > 0 && id == g.Runs[0] }
	now := a.now()
	kept := a.closed.of(c, g.Version, now)
	read := slices.DeleteFunc(slices.Clone(g.Runs), func(id string) bool { return kept.rows[id] != nil && !noticed(id) })
	runs, pages, err := a.cfg.Status.Runs(ctx, c, read, a.cfg.TaskMessages)
	if err != nil {
		return nil, false, err
	}
	next, open, gone := closedRuns{version: kept.version, at: kept.at, rows: map[string][]byte{}}, false, false
	for _, id := range g.Runs {
		if len(read) == 0 || id != read[0] {
			next.rows[id] = kept.rows[id]
			out = append(out, kept.rows[id])
			continue
		}
		run, page := runs[0], pages[0]
		read, runs, pages = read[1:], runs[1:], pages[1:]
		if run.ID == "" {
			gone = true
			continue
		}
		rows := runRows{f, run, g.Live, now, shown(run, page)}.rows()
		if noticed(id) {
			rows[0].Messages = append(rows[0].Messages, notices...)
		}
		text, err := json.Marshal(rows)
		if err != nil {
			return nil, false, err
		}
		text = text[1 : len(text)-1] // without the brackets
		if open = open || id == g.Runs[0] && run.State.Open(); !run.State.Open() && !noticed(id) {
			next.rows[id] = text
		}
		out = append(out, text)
	}
	if !open && len(out) > closedTasks {
		out = out[:closedTasks]
	}
	a.closed.keep(c, next)
	return out, !gone && open == g.Live, nil
}

// notices returns, as messages, what an operator has to know about a container apart from its runs.
func (a *API) notices(c container.ID, g status.Glance) (out []logEvent, err error) {
	add := func(text string) {
		if text != "" {
			out = append(out, logEvent{Timestamp: stamp(a.now()), LogLevel: "warning", Logger: apiLogger, Event: text,
				Attributes: map[string]any{"notice": true}})
		}
	}
	if a.cfg.Notice != nil {
		add(a.cfg.Notice(c, g.Configuration))
	}
	if takes := plan.Lasting(g.Takes); takes != "" && !g.Live {
		add("The newest plan was not carried out. " + takes)
	}
	if g.Beside != nil {
		p, err := a.cfg.Decisions.ReadPause(c, *g.Beside)
		if err != nil {
			return nil, err
		}
		add(p.Text())
	}
	return out, nil
}

const (
	// keptFor is how long rows are kept. It bounds how late the status shows that a message has expired, or a count that
	// came without a message after the end of its run.
	keptFor = time.Minute
	// mostKept is how many bytes of rows are kept.
	mostKept = 16 << 20
)

// closedRuns are the rows of the closed runs of one container that were shown last.
type closedRuns struct {
	version string // see status.Glance
	at      time.Time
	rows    map[string][]byte // the rows of a run as JSON, by its id
	// text is the whole response for a glance; nil where it says more than these rows.
	text   []byte
	glance string
}

func (r closedRuns) size() (n int) {
	for _, rows := range r.rows {
		n += len(rows)
	}
	return n + len(r.text)
}

// closedCache keeps rows of closed runs. A closed run never opens again and gets a message rarely, and clients ask for
// the same runs again and again. Which runs there are, and whether one has a new message, is read from Redis each time.
type closedCache struct {
	mu    sync.Mutex
	runs  map[container.ID]closedRuns
	bytes int
}

// of returns the kept rows of a container for a version. It has no rows if they are of another version or too old.
func (k *closedCache) of(c container.ID, version string, now time.Time) closedRuns {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r := k.runs[c]; r.version == version && now.Sub(r.at).Abs() < keptFor {
		return r
	}
	return closedRuns{version: version, at: now}
}

// keep replaces the kept rows of a container. The rows of all others are dropped if there are too many.
func (k *closedCache) keep(c container.ID, r closedRuns) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.bytes += r.size() - k.runs[c].size(); k.bytes > mostKept || k.runs == nil {
		k.runs, k.bytes = map[container.ID]closedRuns{}, r.size()
	}
	k.runs[c] = r
}

// keepText keeps the response for a glance. An open run and notices have no kept rows, and no kept response either.
func (k *closedCache) keepText(c container.ID, g status.Glance, text []byte) {
	k.mu.Lock()
	r := k.runs[c]
	k.mu.Unlock()
	if r.version == g.Version && len(r.rows) == len(g.Runs) && !g.Live {
		r.text, r.glance = text, g.Text
		k.keep(c, r)
	}
}
