package boot_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"rollcall/container"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
	"rollcall/preview"
)

// previewed is a preview as the API shows it.
type previewed struct {
	ID     string            `json:"id"`
	State  string            `json:"state"`
	Error  string            `json:"error"`
	Result *preview.Document `json:"result"`
}

// preview sends a configuration and waits for the comparison.
func (o *office) preview(text string) previewed {
	o.Helper()
	w := o.send(text)
	if w.Code != http.StatusAccepted {
		o.Fatalf("POST /preview/ = %d: %s", w.Code, w.Body)
	}
	var p previewed
	at := strings.TrimPrefix(w.Header().Get("Location"), "/api/v3")
	testclock.Eventually(o, time.Minute, "the preview ends", func() bool {
		o.call(http.MethodGet, at, "", http.StatusOK, &p)
		return p.State == "done" || p.State == "failed"
	})
	if p.State != "done" || p.Result == nil {
		o.Fatalf("the preview ended %s: %s", p.State, p.Error)
	}
	return p
}

func (o *office) send(text string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(o.Context(), http.MethodPost, "http://localhost/api/v3/preview/",
		strings.NewReader(text))
	r.Header.Set("Content-Type", "application/yaml")
	w := httptest.NewRecorder()
	o.api.ServeHTTP(w, r)
	return w
}

// totals returns the number of entries with each effect.
func totals(p previewed, c container.ID) map[preview.Effect]int {
	out := map[preview.Effect]int{}
	for _, s := range p.Result.Containers {
		for _, g := range s.Effects {
			if s.Name == c.String() {
				out[g.Effect] = g.Total
			}
		}
	}
	return out
}

// TestPreviewByAWorker has configurations compared through the API, beside a live installation. The result is what the
// next run would do, and nothing is changed, neither at a tenant nor on Redis.
func TestPreviewByAWorker(t *testing.T) {
	t.Parallel()
	addr := redistest.URL(t)
	o := newOffice(t, officeOptions{ldif: staff(), file: true, source: onlyStaff, redis: addr})
	o.sync(corp, workspace, entra)
	file, err := os.ReadFile(filepath.Join(o.dir, "rollcall.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := string(file)
	tenants, kept := o.tenants(), o.dump()

	if p := o.preview(text); p.Result.Harmful != 0 || len(p.Result.Containers) != 3 || len(totals(p, corp)) > 0 ||
		len(totals(p, workspace)) > 0 || len(totals(p, entra)) > 0 {
		t.Errorf("the preview of the running configuration has differences: %+v", p.Result)
	}
	p := o.preview(strings.Replace(text, "    - id: 1\n", "    - id: 1\n      exclude: [ada, dot]\n", 1))
	if got := totals(p, workspace)[preview.LeavesScope]; got != 2 || len(totals(p, entra)) > 0 {
		t.Errorf("%d people leave the scope of Google, want 2: %+v", got, p.Result)
	}
	p = o.preview(strings.Replace(text, "(employeeType=staff)", "(uid=filler1*)", 1))
	for _, c := range []container.ID{corp, workspace, entra} {
		if totals(p, c)[preview.LeavesScope] < 10 {
			t.Errorf("%s: %+v, want that most people leave the scope", c, totals(p, c))
		}
	}
	if p.Result.Harmful < 30 {
		t.Errorf("%d changes are harmful, want those of the source and of both tenants", p.Result.Harmful)
	}
	if diff := cmp.Diff(tenants, o.tenants()); diff != "" {
		t.Errorf("a preview changed a tenant (-before +after):\n%s", diff)
	}
	for key, value := range o.dump() {
		if len(kept) < 10 || kept[key] != value {
			t.Errorf("a preview changed %s", key)
		}
	}

	var wrong map[string][]string
	w := o.send(strings.Replace(text, "client_secret_file: secret", "client_secret_file: /etc/passwd", 1))
	if err := json.Unmarshal(w.Body.Bytes(), &wrong); err != nil || w.Code != http.StatusBadRequest ||
		!strings.Contains(strings.Join(wrong["providers.microsoft_entra[0].client_secret_file"], ""), "rollcall preview") {
		t.Errorf("another file = %d %s, want it refused", w.Code, w.Body)
	}
	o.call(http.MethodGet, "/preview/"+uuid.NewString()+"/", "", http.StatusNotFound, &struct{}{})
}

// dump returns the local directory, the ledgers, what is kept of the tenants, and the decisions.
func (o *office) dump() map[string]string {
	o.Helper()
	out := map[string]string{}
	var keys []string
	for _, part := range []string{"dir", "ledger", "cache", "held", "seal"} {
		some, err := o.app.Redis.Keys(o.Context(), "rollcall:{*:*}:"+part+"*").Result()
		if err != nil {
			o.Fatal(err)
		}
		keys = append(keys, some...)
	}
	for _, key := range keys {
		fields, err := o.app.Redis.HGetAll(o.Context(), key).Result() // The dump of a hash has no fixed order.
		delete(fields, "clock")                                       // It only ever rises.
		out[key] = fmt.Sprint(fields)
		if err != nil {
			out[key], err = o.app.Redis.Dump(o.Context(), key).Result()
		}
		if err != nil {
			o.Fatal(err)
		}
	}
	return out
}
