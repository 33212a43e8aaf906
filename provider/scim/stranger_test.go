package scim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/scim"
	simulator "rollcall/simulator/scim"
)

// reply is an answer of the tenant that a test rewrites.
type reply struct {
	*http.Request
	status int
	header http.Header
	body   string
	// before is what the resource of a PATCH was before it.
	before string
}

// edit changes the answer as JSON.
func (r *reply) edit(change func(map[string]any)) {
	var body any
	if json.Unmarshal([]byte(r.body), &body) != nil {
		return
	}
	var walk func(any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, inner := range v {
				walk(inner)
			}
			change(v)
		case []any:
			for _, inner := range v {
				walk(inner)
			}
		}
	}
	walk(body)
	text, _ := json.Marshal(body)
	r.body = string(text)
}

// rewritten opens a tenant with answers that are rewritten. Requests are repeated.
func rewritten(t *testing.T, rewrite func(*reply), setups ...setup) *world {
	t.Helper()
	w := open(t, setups...)
	inner := w.tenant.Handler()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		a := &reply{Request: r}
		if r.Method == http.MethodPatch {
			rec, get := httptest.NewRecorder(), r.Clone(r.Context())
			get.Method, get.Body = http.MethodGet, http.NoBody
			inner.ServeHTTP(rec, get)
			a.before = rec.Body.String()
		}
		rec := httptest.NewRecorder()
		inner.ServeHTTP(rec, r)
		a.status, a.header, a.body = rec.Code, rec.Header(), rec.Body.String()
		rewrite(a)
		for name, values := range a.header {
			if name != "Content-Length" {
				rw.Header()[name] = values
			}
		}
		rw.WriteHeader(a.status)
		_, _ = rw.Write([]byte(a.body))
	}))
	t.Cleanup(server.Close)
	w.cfg.Endpoint = server.URL + "/scim/v2"
	w.restart()
	return w
}

// restart opens another Provider that repeats calls.
func (w *world) restart() {
	w.t.Helper()
	p, err := scim.New(w.cfg, scim.Options{Now: w.clock.Now, Caller: unlimited()})
	if err != nil {
		w.t.Fatal(err)
	}
	w.Provider = p
}

// TestServersOfStrangers covers answers that the RFCs allow, or that real servers give, and the simulator does not.
func TestServersOfStrangers(t *testing.T) {
	t.Parallel()
	for name, rewrite := range map[string]func(*reply){
		"plain JSON": func(r *reply) { r.header.Set("Content-Type", "application/json") },
		"created without an id": func(r *reply) {
			if r.Method == http.MethodPost {
				r.body = "{}"
			}
		},
		"created without a word": func(r *reply) {
			if r.Method == http.MethodPost {
				r.status, r.body = http.StatusNoContent, ""
				r.header.Del("Location")
			}
		},
		"members by reference": func(r *reply) {
			r.edit(func(m map[string]any) {
				if _, is := m["$ref"]; is {
					delete(m, "value")
					delete(m, "type")
				}
			})
		},
		"texts for totals and booleans": func(r *reply) {
			r.edit(func(m map[string]any) {
				for name, v := range m {
					switch v := v.(type) {
					case float64:
						m[name] = jsonOf(v)
					case bool:
						m[name] = strings.ToUpper(jsonOf(v)[:1]) + jsonOf(v)[1:]
					}
				}
			})
		},
		"lists without a message": func(r *reply) {
			if strings.HasSuffix(r.URL.Path, "/ResourceTypes") || strings.HasSuffix(r.URL.Path, "/Schemas") {
				var list struct{ Resources json.RawMessage }
				_ = json.Unmarshal([]byte(r.body), &list)
				r.body = string(list.Resources)
			}
		},
		"no schemas in answers": func(r *reply) {
			r.edit(func(m map[string]any) {
				if _, list := m["totalResults"]; !list {
					delete(m, "schemas")
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := rewritten(t, rewrite)
			users, group := w.populate()
			w.live(users, group)
			if got := len(w.tenant.Users()) + len(w.tenant.Groups()); got != 5 {
				t.Errorf("%d objects, want 5", got)
			}
		})
	}
}

// TestAnAnswerMayShowWhatWasBefore covers answers to PATCH with the resource as it was. What counts is a read.
func TestAnAnswerMayShowWhatWasBefore(t *testing.T) {
	t.Parallel()
	w := rewritten(t, func(r *reply) {
		if r.Method == http.MethodPatch && r.status == http.StatusOK {
			r.body = r.before
		}
	})
	users, _ := w.populate()
	name := "User 0"
	for _, next := range []string{"A", "B", "C", "D", "E"} { // The first ones are read back in any case.
		f := field("displayName", next)
		f.Before, name = []string{name}, next
		w.must(change(plan.Update, userRef("u0"), users[0], f))
	}
}

func jsonOf(v any) string {
	text, _ := json.Marshal(v)
	return string(text)
}

// TestANameOfADeletedUser covers a server that keeps the names of deleted users and shows none of these users.
func TestANameOfADeletedUser(t *testing.T) {
	t.Parallel()
	w, users, _ := populated(t)
	w.tenant.Inject(simulator.Fault{Body: "gone@example.com", Status: http.StatusConflict, Code: "uniqueness"})
	f := field(plan.AddressField, "gone@example.com")
	renamed := change(plan.Update, userRef("u0"), users[0], f)
	renamed.Address = "gone@example.com"
	for _, c := range []plan.Change{newUser("u9", "gone@example.com"), renamed} {
		err := w.refused(c, fault.Conflict)
		if err != nil && !strings.Contains(err.Error(), "userName gone@example.com, and shows none: a deleted user may") {
			t.Errorf("Apply(%s) = %v, want the advice about deleted users", c.Op, err)
		}
	}
}

// TestARedirectIsNamed covers an endpoint that moved.
func TestARedirectIsNamed(t *testing.T) {
	t.Parallel()
	w := rewritten(t, func(r *reply) {
		r.status, r.body = http.StatusMovedPermanently, ""
		r.header.Set("Location", "https://scim.example.com/v2")
	})
	w.again()
	if err := w.readFails(fault.Unavailable); err != nil && !strings.Contains(err.Error(), "https://scim.example.com/v2") {
		t.Errorf("Read() = %v, want the new address", err)
	}
}

// TestAnExpiredCursor checks that a list with a cursor that expired is begun again.
func TestAnExpiredCursor(t *testing.T) {
	t.Parallel()
	var pages atomic.Int64
	w := rewritten(t, func(r *reply) {
		if r.URL.Query().Get("cursor") != "" && pages.Add(1) == 1 {
			r.status, r.body = http.StatusBadRequest, `{"status": "400", "scimType": "expiredCursor"}`
		}
	}, behaving(simulator.Behaviours{CursorOnly: true, PageSize: 2}))
	w.populate()
	if n := len(w.read(provider.Query{}).Objects); n != 4 || pages.Load() < 2 {
		t.Errorf("%d objects after %d pages, want 4 after one that expired", n, pages.Load())
	}
}

// TestFiltersArePlain checks that a filter has no escapes that it need not have.
func TestFiltersArePlain(t *testing.T) {
	t.Parallel()
	var seen atomic.Bool
	w := rewritten(t, func(r *reply) {
		if r.URL.Query().Get("filter") == `userName eq "r&d@example.com"` {
			seen.Store(true)
		}
	})
	if _, err := w.tenant.AddUser(map[string]any{"userName": "r&d@example.com"}); err != nil {
		t.Fatal(err)
	}
	_ = w.refused(newUser("u1", "r&d@example.com"), fault.Conflict)
	if !seen.Load() {
		t.Error("no filter asked for the name as it is")
	}
}

// TestRedirectsAreNotFollowed checks that neither a token nor a secret goes to a host that an answer names.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	for _, status := range []int{301, 302, 303, 307, 308} {
		var elsewhere, moved atomic.Bool
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Store(true) }))
		t.Cleanup(other.Close)
		w := rewritten(t, func(r *reply) {
			if moved.Load() {
				r.status, r.body = status, ""
				r.header.Set("Location", other.URL+r.URL.Path)
			}
		})
		users, group := w.populate()
		moved.Store(true)
		w.again()
		_ = w.readFails(fault.Unavailable)
		moved.Store(false)
		w.read(provider.Query{}) // The writes need not discover the server.
		moved.Store(true)
		for _, c := range []plan.Change{
			newUser("u9", "new@example.com"), change(plan.Suspend, userRef("u0"), users[0]),
			change(plan.Update, userRef("u1"), users[1], field("displayName", "New")),
			member(plan.AddMember, "g", group, "u2", users[2]), change(plan.Delete, groupRef("g"), group),
		} {
			_ = w.refused(c, fault.Unavailable)
		}
		moved.Store(false)
		secret := httptest.NewServer(http.RedirectHandler(other.URL, status))
		t.Cleanup(secret.Close)
		w.cfg.ClientID, w.cfg.ClientSecretFile, w.cfg.TokenURL = "rollcall", w.cfg.TokenFile, secret.URL
		w.cfg.TokenFile = ""
		w.again()
		if _, err := w.Read(t.Context(), provider.Query{}); err == nil || elsewhere.Load() {
			t.Errorf("%d: Read() = %v and the other host was asked: %v, want an error and no request", status, err,
				elsewhere.Load())
		}
	}
}

// TestRetryAfterMayBeADate covers a date of HTTP (RFC 9110, section 10.2.3).
func TestRetryAfterMayBeADate(t *testing.T) {
	t.Parallel()
	var busy atomic.Bool
	var w *world
	w = rewritten(t, func(r *reply) {
		if busy.Load() {
			r.status = http.StatusTooManyRequests
			r.header.Set("Retry-After", w.clock.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
		}
	})
	busy.Store(true)
	w.again()
	if after := fault.RetryAfter(w.readFails(fault.Throttled)); after < 89*time.Second || after > 90*time.Second {
		t.Errorf("RetryAfter = %v, want 90s", after)
	}
}

// TestAnInactiveStrangerKeepsTheName checks that the account is named and stays as it is.
func TestAnInactiveStrangerKeepsTheName(t *testing.T) {
	t.Parallel()
	w, _, _ := populated(t)
	guest, err := w.tenant.AddUser(map[string]any{"userName": "guest@example.com", "active": false})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.refused(newUser("u9", "guest@example.com"), fault.Conflict); err != nil &&
		!strings.Contains(err.Error(), guest) {
		t.Errorf("Apply() = %v, want the user %s named", err, guest)
	}
	if u, _ := w.tenant.User(guest); u.Active || u.ExternalID != "" {
		t.Errorf("the stranger = %+v, want it untouched", u)
	}
}

// TestGroupsByPatchAndUsersByPut covers servers such as that of Zoom.
func TestGroupsByPatchAndUsersByPut(t *testing.T) {
	t.Parallel()
	w, users, group := populated(t, configured(func(c *scim.Config) { c.Update, c.MemberUpdate = "put", "patch" }))
	w.tenant.Inject(simulator.Fault{Method: "users.patch", Status: http.StatusMethodNotAllowed})
	w.tenant.Inject(simulator.Fault{Method: "groups.put", Status: http.StatusMethodNotAllowed})
	w.must(change(plan.Update, groupRef("g"), group, field("displayName", "Everyone")))
	w.live(users, group)
	if _, renamed := w.tenant.Group("Everyone"); !renamed {
		t.Error("the group has its old name")
	}
}
