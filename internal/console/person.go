package console

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/explain"
	"rollcall/status"
)

const mostFound = 50

// Found is an entry that a search found.
type Found struct {
	directory.Ref
	Label, Name, Source string
	// Departed is when the entry left its source; zero for a present entry.
	Departed time.Time
}

// peopleData is a search for people and groups.
type peopleData struct {
	Text  string
	Found []Found
	More  bool // there are more than those
	Part  bool // not all ids were searched
}

// errEverything refuses what tells of every source and provider.
var errEverything = refusal{http.StatusForbidden,
	"This page tells of every source and provider, and your token is for some of them only."}

// people searches by the beginning of a name, an address or an id.
func (c *Console) people(r *request) (*page, error) {
	if r.who.Restricted() {
		return nil, errEverything
	}
	data := peopleData{Text: strings.TrimSpace(r.URL.Query().Get("q"))}
	if data.Text != "" {
		found, whole, err := c.cfg.Search(r.Context(), data.Text, mostFound+1)
		if err != nil {
			return nil, err
		}
		data.Found, data.More, data.Part = found[:min(len(found), mostFound)], len(found) > mostFound, !whole
	}
	return &page{View: "people", Title: "People", Nav: "people", Data: data}, nil
}

// personData is one person or group.
type personData struct {
	explain.Document
	Query explain.Query
	// Wanted is the kind of entry that the address names.
	Wanted string
	// Jobs are syncs that were asked for a moment ago.
	Jobs    []status.Job
	Order   *standingOrder // to leave; nil if none stands
	History []historyRow
	// Standings are the states at the providers.
	Standings []standing
	Problem   string // why there is no explanation
	EntryRef  directory.Ref
}

// historyRow is one attempted change at one provider.
type historyRow struct {
	explain.Outcome
	Container container.ID
}

// standing is a state, and the providers at which the entry has it.
type standing struct {
	state
	Where []container.ID
}

// mostNamed is how many providers of one state are named.
const mostNamed = 4

// Named and More are the providers that are named, and how many others there are.
func (s *standing) Named() []container.ID { return s.Where[:min(mostNamed, len(s.Where))] }
func (s *standing) More() int             { return len(s.Where) - len(s.Named()) }

// standings returns the states in the order in which the providers have them.
func standings(at []explain.Provider) []standing {
	var out []standing
	for i := range at {
		s := codeState(at[i].Code, len(at[i].Pins) > 0)
		j := slices.IndexFunc(out, func(o standing) bool { return o.state == s })
		if j < 0 {
			j, out = len(out), append(out, standing{state: s})
		}
		out[j].Where = append(out[j].Where, at[i].Container)
	}
	return out
}

// FullName is the name of a person, where the label of the entry is another text.
func (d *personData) FullName() string {
	a := d.Entry.Attributes
	if name := cmp.Or(a.Get(directory.DisplayName), a.Get(directory.CommonName)); name != d.Entry.Label {
		return name
	}
	return ""
}

// person explains one entry.
func (c *Console) person(r *request) (*page, error) {
	if r.who.Restricted() {
		return nil, errEverything
	}
	q := r.URL.Query()
	data := &personData{Query: explain.Query{By: explain.ByID, Value: strings.TrimSpace(q.Get("id"))},
		Wanted: q.Get("kind")}
	for _, by := range []explain.By{explain.ByEmail, explain.ByUserName} {
		if v := strings.TrimSpace(q.Get(string(by))); v != "" {
			data.Query = explain.Query{By: by, Value: v}
		}
	}
	if data.Query.Value == "" {
		return nil, errNoPage
	}
	doc, err := c.cfg.API.Explain(r.Context(), data.Query, c.cfg.API.Sharers(r.Request, r.who.Name)...)
	if err != nil {
		_, data.Problem = c.cfg.API.Failure(r.Request, err)
		if workers, err := c.cfg.Status.Workers(r.Context()); err == nil && len(workers) == 0 {
			data.Problem = "No worker is running, and a worker makes the explanation. Start one and try again."
		}
	}
	data.Document, data.Standings = doc, standings(doc.Providers)
	if doc.Entry != nil {
		data.EntryRef = doc.Entry.Ref
	}
	for i := range doc.Providers {
		p := &doc.Providers[i]
		for _, o := range p.Outcomes {
			data.History = append(data.History, historyRow{o, p.Container})
		}
	}
	slices.SortStableFunc(data.History, func(a, b historyRow) int { return b.At.Time().Compare(a.At.Time()) })
	data.Jobs = c.askedJobs(r, q["job"])
	if data.Order, err = c.orderFor(r, data.EntryRef); err != nil {
		return nil, err
	}
	title := data.Query.Value
	if doc.Entry != nil {
		title = cmp.Or(doc.Entry.Label, title)
	}
	return &page{View: "person", Title: title, Nav: "people", Data: data}, nil
}

// askedJobs returns the jobs that the address names by container and id. One without an id was not started, and one
// that is no longer kept is left out.
func (c *Console) askedJobs(r *request, named []string) (out []status.Job) {
	for _, name := range named {
		at, id, _ := strings.Cut(name, "/")
		if _, known := c.resource(container.ID(at)); !known {
			continue
		}
		job := status.Job{Container: container.ID(at), State: "not started", FailReason: "The next run does it."}
		if id != "" {
			var err error
			if job, err = c.cfg.Status.Job(r.Context(), container.ID(at), id); err != nil {
				continue
			}
		}
		out = append(out, job)
	}
	return out
}

// syncPerson syncs one entry to a provider and shows the outcome.
func (c *Console) syncPerson(r *request) (string, error) {
	kind := directory.User
	if r.PostFormValue("entry") == directory.Group.String() {
		kind = directory.Group
	}
	id := r.PostFormValue("id")
	job, err := c.cfg.API.SyncObject(r.Context(), r.container(), kind, id, r.who.Name)
	if job.ID != "" {
		r.detail("job", job.ID)
		r.detail("object", string(job.Kind)+"/"+job.ObjectID)
	}
	return personPath(kind, id, string(r.container())+"/"+job.ID), err
}

// codeStates give each code of an explanation its words, and the class of its shape. Of one that is missing, the words
// are its own.
var codeStates = map[any]state{
	explain.InStep: {Word: "In step", Tone: "good"}, explain.Pending: {Word: "Changes with the next run", Tone: "wait"},
	explain.LeftAlone: {Word: "Left alone", Tone: "off"}, explain.Held: {Word: "Held", Tone: "wait"},
	explain.Conflict: {Word: "In conflict", Tone: "warn"}, explain.OutOfScope: {Word: "Out of scope", Tone: "off"},
	explain.Inactive: {Word: "Disabled", Tone: "off"}, explain.Left: {Word: "Left", Tone: "off"},
	explain.NotRead: {Word: "Not read", Tone: "warn"}, explain.NotReady: {Word: "Not ready", Tone: "warn"},
	explain.Unknown: {Word: "Unknown", Tone: "bad"}, explain.SwitchedOff: {Word: "Switched off", Tone: "off"},
	explain.NotOurs: {Word: "Not ours", Tone: "warn"}, explain.Read: {Word: "Read", Tone: "good"},
	explain.Joined: {Word: "Changes with the next read", Tone: "wait"}, explain.NotAsked: {Tone: "warn"},
	explain.Leaving: {Word: "Changes with the next read", Tone: "wait"}, explain.Unusable: {Tone: "warn"},
	explain.NeverRead: {Tone: "warn"},
}

// codeState returns the state of a code of a provider or a source. What an undo pinned is kept, whatever the code.
func codeState(code any, pinned bool) state {
	if pinned {
		return state{Word: "Pinned", Tone: "wait"}
	}
	s, text := codeStates[code], words(code)
	return state{Word: cmp.Or(s.Word, strings.ToUpper(text[:1])+text[1:]), Tone: cmp.Or(s.Tone, "off")}
}

// personPath returns the path of one person or group, and of jobs for it.
func personPath(kind, id any, jobs ...string) string {
	path := "/people/entry/" + query("kind", fmt.Sprint(kind), "id", fmt.Sprint(id))
	for _, j := range jobs {
		path += "&job=" + url.QueryEscape(j)
	}
	return path
}
