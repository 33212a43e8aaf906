package api_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/yandex-cloud/go-genproto/yandex/cloud/organizationmanager/v1/idp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"rollcall/api"
	"rollcall/container"
	"rollcall/status"
)

const sessionsURL = "/organization-manager/v1/idp/synchronization-sessions"

// decode reads an answer into the types that clients have. A field that they do not know fails the test.
func decode[T proto.Message](r response, into T) T {
	r.t.Helper()
	if err := (protojson.UnmarshalOptions{DiscardUnknown: false}).Unmarshal(r.Body.Bytes(), into); err != nil {
		r.t.Fatalf("%s: %v", r.Body, err)
	}
	return into
}

// sessions lists sessions with these parameters: name, value, ….
func (h *harness) sessions(params ...string) *idp.ListSessionsResponse {
	h.t.Helper()
	return decode(h.get(sessionsQuery(params...)).want(http.StatusOK), &idp.ListSessionsResponse{})
}

func sessionsQuery(params ...string) string {
	v := url.Values{"subjectContainerId": {string(corp)}}
	for i := 0; i < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	return sessionsURL + "?" + v.Encode()
}

func sessionIDs(all []*idp.SynchronizationSession) []string {
	out := []string{}
	for _, s := range all {
		out = append(out, s.GetSessionId())
	}
	return out
}

// Every state of a run is shown as the contract says, in the list and by its id, and clients can read it.
func TestSessionsInEveryState(t *testing.T) {
	t.Parallel()
	type step func(h *harness, run status.Run)
	for _, test := range []struct {
		name   string
		do     step
		want   idp.SessionStatus
		reason string
	}{
		{"queued", func(*harness, status.Run) {}, idp.SessionStatus_PENDING, ""},
		{"running", func(h *harness, run status.Run) { h.acquire(run) }, idp.SessionStatus_OPENED, ""},
		{"deferred", func(h *harness, run status.Run) {
			if _, err := h.acquire(run).Defer(h.t.Context(), h.clock.Now().Add(time.Hour), "quota",
				status.Outage{}); err != nil {
				h.t.Fatal(err)
			}
		}, idp.SessionStatus_PENDING, ""},
		{"completed", func(h *harness, run status.Run) { h.finish(run, status.End{State: status.Completed}, nil) },
			idp.SessionStatus_COMPLETED, ""},
		{"with failures", func(h *harness, run status.Run) {
			h.finish(run, status.End{State: status.Completed}, func(r *status.Recorder) {
				r.Failed(status.User, status.Create,
					1)
				r.Held(2)
			})
		}, idp.SessionStatus_COMPLETED, ""},
		{"failed", func(h *harness, run status.Run) {
			h.finish(run, status.End{State: status.Failed, FailKind: "unavailable", FailReason: strings.Repeat("ü", 300)}, nil)
		}, idp.SessionStatus_FAILED, strings.Repeat("ü", 255) + "…"},
		{"cancelled", func(h *harness, run status.Run) {
			if _, err := h.store.Cancel(h.t.Context(), run.Container, "ops"); err != nil {
				h.t.Fatal(err)
			}
		}, idp.SessionStatus_FAILED, "cancelled by ops"},
		{"expired", func(h *harness, run status.Run) {
			h.lose(run.Container)
			h.clock.Advance(2 * time.Hour)
			if _, err := h.store.Reap(h.t.Context(), []container.ID{run.Container}, true); err != nil {
				h.t.Fatal(err)
			}
		}, idp.SessionStatus_EXPIRED, "no worker executed the run any longer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			h := newHarness(t, nil, nil)
			run := h.start(corp)
			test.do(h, run)
			list := h.sessions()
			one := decode(h.get(sessionsURL+"/"+run.ID).want(http.StatusOK), &idp.GetSessionResponse{}).GetSession()
			if len(list.GetSessions()) != 1 || !proto.Equal(list.GetSessions()[0], one) || list.GetNextPageToken() != "" {
				t.Fatalf("the list has %v, the look-up %v", list, one)
			}
			now, err := h.store.Get(t.Context(), corp, run.ID)
			if err != nil {
				t.Fatal(err)
			}
			open := now.State.Open()
			if one.GetStatus() != test.want || one.GetFailReason() != test.reason ||
				one.GetSyncMode() != idp.SyncMode_FULL_SYNC ||
				one.GetSessionType() != idp.SessionType_AD_SYNC || one.GetAgentId() != now.Worker ||
				!one.GetCreatedAt().AsTime().Equal(now.CreatedAt) {
				t.Errorf("session %v of run %+v", one, now)
			}
			if (one.GetClosedAt() != nil) == open || (one.GetExpiresAt() != nil) != open {
				t.Errorf("open %v: closed at %v, expires at %v", open, one.GetClosedAt(), one.GetExpiresAt())
			}
			if open && !one.GetExpiresAt().AsTime().Equal(now.ExpiresAt) {
				t.Errorf("expires at %v, want %v", one.GetExpiresAt().AsTime(), now.ExpiresAt)
			}
		})
	}
}

// Progress is there while the run goes on: what is expected and not yet done counts as nothing.
func TestSessionProgressIsLive(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	rec := h.acquire(h.start(google)).Recorder()
	if err := rec.Planned(t.Context(), status.Planned{Expected: []status.Expectation{{Object: status.Group,
		Change: status.Create, Count: 3}}}); err != nil {
		t.Fatal(err)
	}
	for _, c := range status.ChangeTypes() {
		rec.Succeeded(status.User, c, 1<<40)
	}
	rec.Failed(status.Membership, status.Delete, 2)
	if err := rec.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := h.sessions("subjectContainerId", string(google)).GetSessions()[0]
	if got.GetSessionType() != idp.SessionType_SESSION_TYPE_UNSPECIFIED || got.GetStatus() != idp.SessionStatus_OPENED ||
		got.GetAgentId() != "worker-1" {
		t.Errorf("session %v", got)
	}
	var lines []string
	for _, e := range got.GetProgressEntries() {
		for _, c := range e.GetChangeInfo() {
			lines = append(lines, fmt.Sprint(e.GetObjectType(), " ", c.GetChangeType(), " ", c.GetSuccessful(), " ",
				c.GetFailed()))
		}
	}
	want := []string{
		"USER CREATE 1099511627776 0", "USER UPDATE 1099511627776 0", "USER DELETE 1099511627776 0",
		"USER ACTIVATE 1099511627776 0",
		"USER DEACTIVATE 1099511627776 0", "GROUP CREATE 0 0", "MEMBERSHIP DELETE 0 2",
	}
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("progress (-want +got):\n%s", diff)
	}
}

// wantStatus checks that an answer is an error of this code with these words in its message.
func (r response) wantStatus(httpCode, code int, words ...string) {
	r.t.Helper()
	got := read[struct {
		Code    int               `json:"code"`
		Message string            `json:"message"`
		Details []json.RawMessage `json:"details"`
	}](r.want(httpCode))
	if got.Code != code || got.Details == nil || len(got.Details) != 0 || got.Message == "" {
		r.t.Errorf("error %s, want code %d, a message and no details", r.Body, code)
	}
	for _, word := range words {
		if !strings.Contains(got.Message, word) {
			r.t.Errorf("message %q does not say %q", got.Message, word)
		}
	}
}

func TestSessionsRefuseWrongParameters(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	long := func(n int) string { return strings.Repeat("ü", n) }
	for _, test := range [][2]string{
		{"subjectContainerId", ""}, {"subjectContainerId", long(51)}, {"pageSize", "-1"}, {"pageSize", "1001"},
		{"pageSize", "x"}, {"pageSize", "1.0"},
		{"pageSize", "9223372036854775808"}, {"pageToken", long(2001)}, {"pageToken", "x"},
		{"pageToken", strings.Repeat("A", 32)},
		{"filter", long(1001)}, {"filter", "status ="}, {"filter", "("},
	} {
		h.get(sessionsQuery(test[0], test[1])).wantStatus(http.StatusBadRequest, 3, test[0])
	}
	h.get(sessionsURL).wantStatus(http.StatusBadRequest, 3, "subjectContainerId")
	h.get(sessionsURL+"?subjectContainerId=ldap:corp&filter=%zz").wantStatus(http.StatusBadRequest, 3, "query")
	h.get(sessionsQuery("pageSize", "x", "filter", "!")).wantStatus(http.StatusBadRequest, 3, "pageSize", "filter")
	for _, fine := range []string{"0", "1", "1000"} {
		h.sessions("pageSize", fine)
	}
	for _, nobody := range []string{"ldap:nobody", "corp", "google_workspace:2", long(50)} {
		h.get(sessionsQuery("subjectContainerId", nobody)).wantStatus(http.StatusNotFound, 5, "subjectContainerId")
	}
	h.get(sessionsURL+"/"+strings.Repeat("x", 51)).wantStatus(http.StatusBadRequest, 3, "sessionId")
	run := h.start(corp)
	for _, id := range []string{
		"7d444840-9dc0-11d1-b245-5ffdce74fad2", "x", "%7Bldap%7D", strings.ToUpper(run.ID) + "0",
		strings.ReplaceAll(run.ID, "-", ""), run.ID + ":log",
	} {
		h.get(sessionsURL+"/"+id).wantStatus(http.StatusNotFound, 5)
	}
	for _, path := range []string{sessionsURL + "/", sessionsURL + "/" + run.ID + "/", sessionsURL + "/a%2Fb",
		sessionsURL + "s", "/organization-manager/", "/organization-manager/v1"} {
		h.get(path).wantStatus(http.StatusNotFound, 5)
	}
	h.do(http.MethodPost, sessionsURL, "{}").wantStatus(http.StatusMethodNotAllowed, 12)
	h.get("/api/v3"+sessionsURL).is(http.StatusNotFound, detailNotFound)
}

// Who gives no credentials, or bad ones, is told 401 here; who may not read, 403.
func TestSessionsAuthentication(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	for header, want := range map[string][2]int{
		"": {401, 16}, "Basic eDp5": {401, 16}, "Bearer": {401, 16}, "Bearer nonsense": {401, 16}, "Bearer " +
			syncToken: {403, 7},
	} {
		for _, path := range []string{sessionsQuery(), sessionsURL + "/x"} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			if header != "" {
				r.Header.Set("Authorization", header)
			}
			w := h.send(r)
			w.wantStatus(want[0], want[1])
			if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (want[0] == 401) {
				t.Errorf("%q: WWW-Authenticate = %q", header, challenge)
			}
		}
	}
}

func TestSessionsWithoutRedis(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	if err := h.rdb.Close(); err != nil {
		t.Fatal(err)
	}
	h.get(sessionsQuery()).wantStatus(http.StatusServiceUnavailable, 14)
}

// Pages do not shift while sessions arrive, and a token is good for its own list only.
func TestSessionPages(t *testing.T) {
	t.Parallel()
	h := newHarness(t, nil, nil)
	var want []string
	begin := func() string {
		run := h.start(corp)
		h.finish(run, status.End{State: status.Completed}, nil)
		return run.ID
	}
	for range 7 {
		want = append([]string{begin()}, want...)
	}
	var got []string
	token := ""
	for page := 0; page == 0 || token != ""; page++ {
		list := h.sessions("pageSize", "3", "pageToken", token)
		got, token = append(got, sessionIDs(list.GetSessions())...), list.GetNextPageToken()
		begin()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	token = h.sessions("pageSize", "3", "filter", "status = COMPLETED").GetNextPageToken()
	h.sessions("pageSize", "5", "filter", "status = COMPLETED", "pageToken", token)
	for i := range token {
		other := []byte(token)
		if other[i]++; other[i] == '[' || other[i] == '{' {
			other[i] = '0'
		}
		h.get(sessionsQuery("filter", "status = COMPLETED", "pageToken", string(other))).wantStatus(400, 3, "pageToken")
	}
	for _, other := range [][]string{
		{"filter", "status = FAILED"}, {}, {"filter", "status = COMPLETED", "subjectContainerId", string(google)},
		{"filter", "status = COMPLETED", "pageToken", token + "A"},
		{"filter", "status = COMPLETED", "pageToken", token[:len(token)-1]},
	} {
		h.get(sessionsQuery(append([]string{"pageToken", token}, other...)...)).wantStatus(400, 3, "pageToken")
	}
	// Another process on the same Redis takes it, one on another Redis does not.
	if list := newHarness(t, h.rdb, nil).sessions("filter", "status = COMPLETED", "pageToken",
		token); len(list.GetSessions()) == 0 {
		t.Error("another process found nothing behind the token")
	}
	newHarness(t, nil, nil).get(sessionsQuery("filter", "status = COMPLETED", "pageToken", token)).wantStatus(400, 3,
		"pageToken")
	if h := newHarness(t, nil, func(c *api.Config) { c.Resources = nil }); h.get(sessionsURL+"/"+
		want[0]).Code != http.StatusNotFound {
		t.Error("a session was found in no container")
	}
}
