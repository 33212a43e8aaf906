package client_test

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/client"
	"rollcall/internal/secret"
	"rollcall/provider/all"
	"rollcall/status"
)

// answers is a transport that answers by itself.
type answers func(*http.Request) (*http.Response, error)

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

func reply(code int, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: http.StatusText(code), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)),
	}
}

const (
	google = container.ID("google_workspace:1")
	token  = secret.Value("rct_nobody-may-see-this")
)

func newClient(t *testing.T, a answers) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{Token: token, Types: all.Types(), Transport: a})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAddress(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": client.DefaultAddress, "http://127.0.0.1:8080/": client.DefaultAddress,
		"http://127.0.0.1:8080/api/v3":            client.DefaultAddress,
		"https://id.example.com/rollcall/api/v3/": "https://id.example.com/rollcall",
	} {
		c, err := client.New(client.Config{Address: in})
		if err != nil || c.Address() != want {
			t.Errorf("New(%q) = %v, %v; want %q", in, c, err, want)
		}
	}
	for _, in := range []string{"localhost:8080", "ftp://example.com", "http://", "https://me:pw@example.com",
		"http://h/?x=1", "http://h:port"} {
		if _, err := client.New(client.Config{Address: in}); err == nil || fault.KindOf(err) != fault.Invalid ||
			strings.Contains(err.Error(), "pw") {
			t.Errorf("New(%q) = %v, want fault.Invalid", in, err)
		}
	}
	if _, err := client.New(client.Config{Token: "me read sha256:00"}); err == nil ||
		strings.Contains(err.Error(), "sha256") {
		t.Errorf("New with a line as a token = %v, want an error without it", err)
	}
}

// TestRequests compares the requests on the wire.
func TestRequests(t *testing.T) {
	t.Parallel()
	var got []string
	c := newClient(t, func(r *http.Request) (*http.Response, error) {
		body := ""
		if r.Body != nil {
			data, _ := io.ReadAll(r.Body)
			body = " " + string(data)
		}
		got = append(got, r.Method+" "+r.URL.RequestURI()+body)
		if auth := r.Header.Get("Authorization"); auth != "Bearer "+token.Reveal() {
			t.Errorf("Authorization: %q", auth)
		}
		return reply(http.StatusOK, "{}"), nil
	})
	ctx := t.Context()
	for _, call := range []func() error{
		func() error { _, err := c.Status(ctx, "ldap:corp"); return err },
		func() error { _, err := c.Start(ctx, google, status.Full, true); return err },
		func() error { _, err := c.Cancel(ctx, "microsoft_entra:2"); return err },
		func() error { _, err := c.Runs(ctx, google, "7", 3); return err },
		func() error { _, err := c.Run(ctx, google, "../x?y"); return err },
		func() error { _, err := c.Messages(ctx, google, "r", 5); return err },
		func() error { _, err := c.Plan(ctx, google, "r", true); return err },
		func() error { _, err := c.Held(ctx, google, 10, 20); return err },
		func() error { _, err := c.Decide(ctx, google, "d1", client.Approve, []string{"a"}); return err },
		func() error { _, err := c.Decide(ctx, google, "d1", client.Reject, nil); return err },
		func() error { _, err := c.Object(ctx, google, directory.Group, "staff"); return err },
		func() error { _, err := c.Job(ctx, google, "j"); return err },
		func() error { _, err := c.Pause(ctx, google); return err },
		func() error { _, err := c.PauseOf(ctx, "ldap:corp"); return err },
		func() error { _, err := c.Resume(ctx, google); return err },
		func() error { _, err := c.Resources(ctx); return err },
	} {
		if err := call(); err != nil {
			t.Error(err)
		}
	}
	want := `GET /api/v3/sources/ldap/corp/sync/status/
POST /api/v3/providers/google_workspace/1/sync/ {"dry_run":true}
POST /api/v3/providers/microsoft_entra/2/sync/cancel/
GET /api/v3/providers/google_workspace/1/sync/runs/?cursor=7&page_size=3
GET /api/v3/providers/google_workspace/1/sync/runs/..%2Fx%3Fy/
GET /api/v3/providers/google_workspace/1/sync/runs/r/messages/?page_size=5
GET /api/v3/providers/google_workspace/1/sync/plan/?format=text&run=r
GET /api/v3/providers/google_workspace/1/sync/held/?limit=20&offset=10
POST /api/v3/providers/google_workspace/1/sync/held/d1/approve/ {"entries":["a"]}
POST /api/v3/providers/google_workspace/1/sync/held/d1/reject/
POST /api/v3/providers/google_workspace/1/sync/object/ {"sync_object_id":"staff","sync_object_model":"authentik.core.models.Group"}
GET /api/v3/providers/google_workspace/1/sync/objects/j/
POST /api/v3/providers/google_workspace/1/sync/pause/
GET /api/v3/sources/ldap/corp/sync/pause/
POST /api/v3/providers/google_workspace/1/sync/resume/
GET /api/v3/sources/ldap/?page=1&page_size=1000`
	for _, p := range all.Types() {
		want += "\nGET /api/v3/providers/" + p.Name + "/?page=1&page_size=1000"
	}
	if text := strings.Join(got, "\n"); text != want {
		t.Errorf("requests:\n%s\nwant:\n%s", text, want)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, want string
		code             int
		kind             fault.Kind
	}{
		{"token", `{"detail":"Token invalid/expired"}`, "the API refuses the token: Token invalid/expired", 403,
			fault.Denied},
		{"scope", `{"detail":"You do not have permission to perform this action."}`, "lacks the scope", 403, fault.Denied},
		{"unauthorized", `{"code":16,"message":"x"}`, "the API refuses the token", 401, fault.Denied},
		{"unknown", `{"detail":"Not found."}`, "the API has no google_workspace:1: rollcall status says what it has", 404,
			fault.NotFound},
		{"fields", `{"b":["Second."],"a":["First.","More."]}`, "First. More. Second.", 400, fault.Invalid},
		{"off", `{"detail":"This provider is disabled."}`, "This provider is disabled.", 409, fault.Conflict},
		{"later", `{"detail":"Try again."}`, "answers, but cannot serve this now: Try again.", 503, fault.Unavailable},
		{"bug", `{"detail":"Internal server error."}`, "Internal server error.", 500, fault.Internal},
		{"proxy", `<html>`, "not like Rollcall's API", 502, fault.Unavailable},
		{"strange success", `<html>`, "not like Rollcall's API", 200, fault.Internal},
		{"empty", `{}`, "I'm a teapot", 418, fault.Internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, func(*http.Request) (*http.Response, error) { return reply(tt.code, tt.body), nil })
			_, err := c.Status(t.Context(), google)
			e, is := errors.AsType[*client.Error](err)
			if !is || e.Kind != tt.kind || !strings.Contains(e.Text, tt.want) || strings.Contains(e.Text, token.Reveal()) {
				t.Errorf("error = %v, want %v and %q", err, tt.kind, tt.want)
			}
		})
	}
}

func TestLiveRun(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(*http.Request) (*http.Response, error) {
		return reply(http.StatusConflict,
			`{"detail":"A run is live.","run":{"id":"r1","state":"running","started_at":null,"progress":[`+
				`{"object_type":"user","change_type":"create","succeeded":3,"expected":7}]}}`), nil
	})
	_, err := c.Start(t.Context(), google, status.Full, false)
	e, is := errors.AsType[*client.Error](err)
	if !is || e.Run == nil || e.Run.ID != "r1" || e.Run.State != status.Running {
		t.Fatalf("error = %#v, want the live run", err)
	}
	if done, expected := e.Run.Done(); done != 3 || expected != 7 {
		t.Errorf("Done() = %d of %d, want 3 of 7", done, expected)
	}
}

// TestAdvice checks the advice that follows when the API does not answer.
func TestAdvice(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"Is the name right?":          &net.DNSError{Err: "no such host", Name: "api.example.com"},
		"SSL_CERT_FILE":               x509.UnknownAuthorityError{},
		"for another name":            x509.HostnameError{Certificate: &x509.Certificate{}, Host: "api.example.com"},
		"has to be renewed":           x509.CertificateInvalidError{Reason: x509.Expired},
		"Is it running?":              errors.New("connection refused"),
		"What is there speaks no HTT": io.EOF,
	} {
		c := newClient(t, func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("call: %w", err) })
		if _, err := c.Status(t.Context(), google); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error = %v, want %q", err, want)
		}
	}
}

// TestRedirect checks that the token is sent to no host but the configured one.
func TestRedirect(t *testing.T) {
	t.Parallel()
	c := newClient(t, func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "127.0.0.1:8080" {
			t.Errorf("the request followed to %s", r.URL)
		}
		out := reply(http.StatusMovedPermanently, "")
		out.Header.Set("Location", "https://login.example.com/")
		return out, nil
	})
	if _, err := c.Status(t.Context(), google); err == nil ||
		!strings.Contains(err.Error(), "https://login.example.com/") {
		t.Errorf("error = %v, want one that names the place", err)
	}
}

func TestAllHeld(t *testing.T) {
	t.Parallel()
	pages := []string{`{"digest":"d1","count":3,"changes":[{"id":"a"},{"id":"b"}]}`,
		`{"digest":"d1","count":3,"changes":[{"id":"c"}]}`}
	n := 0
	c := newClient(t, func(*http.Request) (*http.Response, error) { n++; return reply(http.StatusOK, pages[n-1]), nil })
	if all, err := c.AllHeld(t.Context(), google, ""); err != nil || len(all.Changes) != 3 || all.Changes[2].ID != "c" {
		t.Errorf("AllHeld() = %+v, %v; want three changes", all, err)
	}
	n, pages[1] = 0, `{"digest":"d2","count":3,"changes":[{"id":"c"}]}`
	if all, err := c.AllHeld(t.Context(), google, ""); !errors.Is(err, client.ErrChanged) {
		t.Errorf("AllHeld() of a set that changes = %+v, %v; want ErrChanged", all, err)
	}
}
