package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"rollcall/container"
	"rollcall/explain"
	"rollcall/fault"
	"rollcall/status"
)

const (
	// sessionsPath lists sessions. With one more segment it names one.
	sessionsPath = "/organization-manager/v1/idp/synchronization-sessions"
	sessionParam = "sessionId"
)

// The limits of the sessions API, in characters, and its default page size.
const (
	maxContainerID  = 50
	maxSessionID    = 50
	maxPageToken    = 2000
	maxFilter       = 1000
	maxSessions     = 1000
	defaultSessions = 100
)

// sessionPage is a part of the list of sessions. An empty token marks the last part.
type sessionPage struct {
	Sessions      []session `json:"sessions"`
	NextPageToken string    `json:"nextPageToken"`
}

// sessionQuery has the parameters of a list.
type sessionQuery struct {
	container container.ID
	size      int
	token     string
	filter    string
	keep      sessionFilter
}

// sessions lists the sessions of a container, newest first.
func (a *API) sessions(r *request) (answer, error) {
	q, err := parseSessionQuery(r.URL.RawQuery)
	if err != nil {
		return answer{}, err
	}
	if !a.configured(q.container) || !r.caller.reaches(q.container) {
		return answer{status: http.StatusNotFound,
			body: detail{Detail: "subjectContainerId: there is no such container."}}, nil
	}
	var key []byte
	var before status.Cursor
	if q.token != "" {
		if key, err = a.cfg.Status.Key(r.Context(), pageKey); err != nil {
			return answer{}, err
		}
		if before, err = openPageToken(key, q); err != nil {
			return answer{}, err
		}
	}
	found, next, err := a.scan(r.Context(), q, before)
	if err != nil {
		return answer{}, err
	}
	page := sessionPage{Sessions: found}
	if next > 0 {
		if key == nil {
			if key, err = a.cfg.Status.Key(r.Context(), pageKey); err != nil {
				return answer{}, err
			}
		}
		page.NextPageToken = pageToken(key, q, next)
	}
	return ok(page), nil
}

// session returns one session of any container.
func (a *API) session(r *request) (answer, error) {
	text := r.PathValue(sessionParam)
	if utf8.RuneCountInString(text) > maxSessionID {
		return answer{}, invalidField(sessionParam, "must have at most %d characters.", maxSessionID)
	}
	unknown := answer{status: http.StatusNotFound, body: detail{Detail: "sessionId: there is no such session."}}
	if id, err := uuid.Parse(text); err != nil || id.String() != text { // nothing else becomes a part of a Redis key
		return unknown, nil
	}
	all := make([]container.ID, 0, len(a.resources))
	for _, res := range a.resources {
		if r.caller.reaches(res.Container) {
			all = append(all, res.Container)
		}
	}
	run, err := a.cfg.Status.Find(r.Context(), all, text)
	if err != nil && fault.KindOf(err) == fault.NotFound {
		return unknown, nil
	}
	return ok(map[string]session{"session": newSession(run)}), err
}

func (a *API) configured(c container.ID) bool {
	return slices.ContainsFunc(a.resources, func(res *resource) bool { return res.Container == c })
}

// parseSessionQuery parses the parameters. An unknown parameter is refused, because ignoring it would return another
// list.
func parseSessionQuery(raw string) (sessionQuery, error) {
	v, err := url.ParseQuery(raw)
	if err != nil {
		return sessionQuery{}, invalidField("query", "cannot be read: %v.", err)
	}
	q := sessionQuery{container: container.ID(v.Get("subjectContainerId")), token: v.Get("pageToken"),
		filter: v.Get("filter"), size: defaultSessions}
	wrong := invalid{}
	for _, p := range []struct {
		name string
		max  int
	}{{"subjectContainerId", maxContainerID}, {"pageToken", maxPageToken}, {"filter", maxFilter}} {
		if utf8.RuneCountInString(v.Get(p.name)) > p.max {
			wrong.add(p.name, "must have at most %d characters.", p.max)
		}
	}
	if q.container == "" {
		wrong.add("subjectContainerId", "is required.")
	}
	if text := v.Get("pageSize"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 || n > maxSessions {
			wrong.add("pageSize", "must be a number from 0 to %d.", maxSessions)
		}
		if n > 0 {
			q.size = int(min(n, maxSessions))
		}
	}
	if len(wrong["filter"]) == 0 {
		if q.keep, err = parseSessionFilter(q.filter); err != nil {
			wrong.add("filter", "%v.", err)
		}
	}
	return q, wrong.orNil()
}

// The limits of a scan: the number of sessions beyond a full page that one request reads, and its first step.
const (
	scanMore  = 1000
	scanFirst = 20
)

// nextStep estimates how many sessions to read for the wanted number of matches, from the ratio so far.
func nextStep(seen, passed, wanted int) int {
	step := 2 * max(seen, scanFirst)
	if passed > 0 {
		step = wanted*seen/passed + scanFirst
	}
	return min(step, status.MaxList)
}

// scan reads sessions until the page is full, the list ends, or the limit of one request is reached. A filter with
// few matches returns short or empty pages, so that no request takes long.
func (a *API) scan(ctx context.Context, q sessionQuery, before status.Cursor) ([]session, status.Cursor, error) {
	out := make([]session, 0, q.size)
	left, step := q.size+scanMore, max(q.size, scanFirst)
	if q.keep == nil {
		left, step = q.size, q.size
	}
	for {
		runs, next, err := a.cfg.Status.List(ctx, q.container, before, min(step, left))
		if err != nil {
			return nil, 0, err
		}
		had := len(out)
		for i, run := range runs {
			s := newSession(run)
			if q.keep != nil && !q.keep(&s) {
				continue
			}
			out = append(out, s)
			if len(out) == q.size && i < len(runs)-1 {
				return out, run.Cursor, nil
			}
		}
		left -= len(runs)
		if next == 0 || left <= 0 || len(out) == q.size {
			return out, next, nil
		}
		before, step = next, nextStep(len(runs), len(out)-had, q.size-len(out))
	}
}

// session is a run in the form of the sessions API. Its JSON follows protocol buffers: camelCase, and 64-bit integers
// as strings.
type session struct {
	SessionID       string               `json:"sessionId"`
	AgentID         string               `json:"agentId"`
	CreatedAt       stamp                `json:"createdAt"`
	ExpiresAt       *stamp               `json:"expiresAt,omitempty"` // only while it is open
	ClosedAt        *stamp               `json:"closedAt,omitempty"`  // only when it is not
	SyncMode        string               `json:"syncMode"`
	Status          status.SessionStatus `json:"status"`
	ProgressEntries []progressEntry      `json:"progressEntries"`
	FailReason      string               `json:"failReason"`
	SessionType     string               `json:"sessionType"`
}

// progressEntry counts the changes of one type of object.
type progressEntry struct {
	ObjectType string       `json:"objectType"`
	ChangeInfo []changeInfo `json:"changeInfo"`
}

// changeInfo counts one type of change.
type changeInfo struct {
	ChangeType string `json:"changeType"`
	Successful string `json:"successful"`
	Failed     string `json:"failed"`
}

// The session types. A source is a directory sync. The contract has no type for a provider.
const (
	sessionOfSource   = "AD_SYNC"
	sessionOfProvider = "SESSION_TYPE_UNSPECIFIED"
)

func newSession(r status.Run) session {
	s := session{
		SessionID: r.ID, AgentID: r.Worker, CreatedAt: stamp(r.CreatedAt), SyncMode: syncMode(r.Mode),
		Status:          r.SessionStatus(),
		ProgressEntries: progressEntries(r.Progress), FailReason: r.SessionFailReason(), SessionType: sessionOfProvider,
	}
	if r.Container.IsSource() {
		s.SessionType = sessionOfSource
	}
	if r.State.Open() {
		s.ExpiresAt = explain.MomentOf(r.ExpiresAt)
	} else {
		s.ClosedAt = explain.MomentOf(r.FinishedAt)
	}
	return s
}

func syncMode(m status.Mode) string {
	switch m {
	case status.Full:
		return "FULL_SYNC"
	case status.Delta:
		return "DELTA"
	}
	return "SYNC_MODE_UNSPECIFIED"
}

// progressEntries groups planned and executed changes by the type of object.
func progressEntries(all []status.Progress) []progressEntry {
	out := []progressEntry{}
	for _, p := range all {
		kind := strings.ToUpper(string(p.Object))
		if len(out) == 0 || out[len(out)-1].ObjectType != kind {
			out = append(out, progressEntry{ObjectType: kind})
		}
		last := &out[len(out)-1]
		last.ChangeInfo = append(last.ChangeInfo, changeInfo{
			ChangeType: strings.ToUpper(string(p.Change)),
			Successful: strconv.FormatInt(p.Succeeded, 10), Failed: strconv.FormatInt(p.Failed, 10),
		})
	}
	return out
}

// closedAt returns the end of the session; zero while it is open.
func (s *session) closedAt() time.Time {
	if s.ClosedAt == nil {
		return time.Time{}
	}
	return time.Time(*s.ClosedAt)
}

// pageKey is the name of the key that signs page tokens. Every API process uses the same key.
const pageKey = "page_tokens"

const (
	cursorSize = 8
	macSize    = 16
)

// tokenText is strict, so that a token has one spelling.
var tokenText = base64.RawURLEncoding.Strict()

// pageToken returns the token of the next page of a filtered list. The token contains a position and no page number,
// so that it stays valid when sessions are added. Its signature limits it to this list.
func pageToken(key []byte, q sessionQuery, at status.Cursor) string {
	cursor := binary.BigEndian.AppendUint64(nil, uint64(at))
	return tokenText.EncodeToString(append(cursor, sign(key, cursor, q)...))
}

// openPageToken returns the position in a token.
func openPageToken(key []byte, q sessionQuery) (status.Cursor, error) {
	raw, err := tokenText.DecodeString(q.token)
	if err == nil && len(raw) == cursorSize+macSize && hmac.Equal(raw[cursorSize:], sign(key, raw[:cursorSize], q)) {
		return status.Cursor(binary.BigEndian.Uint64(raw)), nil
	}
	return 0, invalidField("pageToken",
		"is not a token of this list: begin with the first page, and keep container and filter.")
}

// sign covers the position, the container and the filter. The position has a fixed length and the container has no
// zero byte, so that two lists never sign the same text.
func sign(key, cursor []byte, q sessionQuery) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(cursor)
	mac.Write([]byte(q.container))
	mac.Write([]byte{0})
	mac.Write([]byte(q.filter))
	return mac.Sum(nil)[:macSize]
}
