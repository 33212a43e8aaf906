package console

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/fnv"
	"html/template"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/api"
	"rollcall/container"
	"rollcall/internal/tokens"
)

const (
	// refresh is the shortest interval at which an open page is rendered.
	refresh = time.Second
	// eachPart is what every part that is shown adds to the interval, so that many different pages cost no more than a
	// few. A part takes less than a millisecond.
	eachPart = 10 * time.Millisecond
	// patience limits one rendering, because Redis may not answer.
	patience = 5 * time.Second
)

// parts are the live parts of a page, as HTML by the id of the element.
type parts map[string]template.HTML

// tag is a short digest of one part.
func tag(id string, part template.HTML) string {
	h := fnv.New32a()
	_, _ = h.Write([]byte(id + " " + string(part))) // a hash takes everything
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// Tags returns the digests of all parts. A page hands them over when it opens its stream, and gets only what differs.
func (p parts) Tags() string {
	tags := make([]string, 0, len(p))
	for _, id := range slices.Sorted(maps.Keys(p)) {
		tags = append(tags, tag(id, p[id]))
	}
	return strings.Join(tags, ".")
}

// had returns the parts that a page with these tags has.
func (p parts) had(tags string) parts {
	known := strings.Split(tags, ".")
	out := maps.Clone(p)
	maps.DeleteFunc(out, func(id string, part template.HTML) bool { return !slices.Contains(known, tag(id, part)) })
	return out
}

// live renders the live parts of open pages. However many pages show one thing, it is rendered once a second, and only
// what changed is sent. Of many different things each is rendered less often.
type live struct {
	mu    sync.Mutex
	shows map[string]*show
}

// show is what several open pages have in common. It is guarded by live.mu.
type show struct {
	viewers map[chan<- []api.Event]*viewer
	newest  parts
	stop    context.CancelFunc
}

// viewer is what an open page has.
type viewer struct {
	has  parts  // nil before the first parts
	tags string // of the page as it was loaded
}

// renderer renders the live parts of a page.
type renderer func(context.Context) (parts, error)

// watch returns a channel with the parts that change, until ctx ends. The first ones are those that differ from what
// the tags tell.
func (l *live) watch(ctx context.Context, of, tags string, render renderer) <-chan []api.Event {
	out := make(chan []api.Event, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.shows[of]
	if s == nil {
		running, stop := context.WithCancel(context.WithoutCancel(ctx))
		s = &show{viewers: map[chan<- []api.Event]*viewer{}, stop: stop}
		l.shows[of] = s
		go l.run(running, s, render)
	}
	s.viewers[out] = &viewer{tags: tags}
	if s.newest != nil {
		s.offer(out)
	}
	context.AfterFunc(ctx, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(s.viewers, out); len(s.viewers) == 0 {
			s.stop()
			delete(l.shows, of)
		}
	})
	return out
}

// run renders until no page is left. An error, such as an outage of Redis, leaves the pages as they are.
func (l *live) run(ctx context.Context, s *show, render renderer) {
	for {
		limited, cancel := context.WithTimeout(ctx, patience)
		now, err := render(limited)
		cancel()
		l.mu.Lock()
		if err == nil {
			s.newest = now
			for out := range s.viewers {
				s.offer(out)
			}
		}
		pause := l.pause()
		l.mu.Unlock()
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// pause returns how long a show waits for its next rendering.
func (l *live) pause() time.Duration {
	shown := 0
	for _, s := range l.shows {
		shown += len(s.newest)
	}
	return max(refresh, time.Duration(shown)*eachPart)
}

// offer sends what a page does not have yet. A page that has not taken the last parts gets the newer ones next time.
func (s *show) offer(out chan<- []api.Event) {
	var changed []api.Event
	v := s.viewers[out]
	if v.has == nil {
		v.has = s.newest.had(v.tags)
	}
	for _, id := range slices.Sorted(maps.Keys(s.newest)) {
		if html := s.newest[id]; v.has[id] != html {
			changed = append(changed, api.Event{Name: "part", Data: map[string]string{"id": id, "html": string(html)}})
		}
	}
	if len(changed) == 0 {
		return
	}
	select {
	case out <- changed:
		v.has = s.newest
	default:
	}
}

// stream sends the live parts of a page as server-sent events until the browser closes it.
func (c *Console) stream(w http.ResponseWriter, r *http.Request) {
	id, _, err := c.cfg.Desk.Who(r)
	if err != nil || !id.May(tokens.Read) {
		http.Error(w, "Not signed in.", http.StatusForbidden)
		return
	}
	of := r.URL.Query()
	tags := of.Get("tags")
	of.Del("tags")
	render, known := c.rendered(of, id)
	if !known {
		http.Error(w, "Not found.", http.StatusNotFound)
		return
	}
	still := func() bool {
		now, known, err := c.cfg.Desk.Who(r)
		return err == nil && known && slices.Equal(now.Scopes, id.Scopes) && slices.Equal(now.Only, id.Only)
	}
	key := fmt.Sprintf("%s %v %v", of.Encode(), id.Scopes, id.Only)
	c.cfg.API.Stream(w, r, still, c.live.watch(r.Context(), key, tags, render))
}

// rendered returns what renders the live parts of a page. Tokens with the same rights see the same.
func (c *Console) rendered(of url.Values, who tokens.Identity) (renderer, bool) {
	id := container.ID(of.Get("container"))
	switch {
	case of.Get("of") == "overview":
		return func(ctx context.Context) (parts, error) {
			data, err := c.readOverview(ctx, who)
			if err != nil {
				return nil, err
			}
			return c.overviewParts(data)
		}, true
	case of.Get("of") == "run" && who.Reaches(id):
		return func(ctx context.Context) (parts, error) {
			return c.liveRun(ctx, id, of.Get("run"), of.Get("level"), who)
		}, true
	}
	return nil, false
}

// overviewParts renders the live parts of the overview.
func (c *Console) overviewParts(data *overviewData) (parts, error) {
	out := parts{}
	err := c.part(out, "overview", "concerns", "concerns", data)
	for i := range data.Cards {
		k := &data.Cards[i]
		err = errors.Join(err, c.part(out, "overview", "card", k.Element(), k),
			c.part(out, "overview", "cardbuttons", k.Element()+"-buttons", k))
	}
	return out, err
}

// part renders one template of a view into the parts.
func (c *Console) part(to parts, view, name, id string, data any) error {
	var b bytes.Buffer
	err := c.views.render(&b, view, name, data)
	to[id] = template.HTML(b.String()) //nolint:gosec // a template made it
	return err
}
