package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/decisions"
	"rollcall/internal/redistest"
	"rollcall/status"
)

// startGallery starts an API with 100 sources and providers, each with 30 runs and a held change, and no worker. It
// returns the address of the API, its process and its Redis.
func startGallery(t testing.TB) (base string, api *process, rdb *redis.Client) {
	t.Helper()
	addr, _ := redistest.TCP(t)
	dir := t.TempDir()
	var yaml strings.Builder
	fmt.Fprintf(&yaml, configuration, "ldap://127.0.0.1:1", "cn=reader", "none", "", "http://127.0.0.1:1", "")
	all := []container.ID{"ldap:corp", "google_workspace:1"}
	for i := 2; i < 100; i++ {
		fmt.Fprintf(&yaml, "    - {id: %d, name: Tenant %d, sources: [corp], delegated_subject: admin@example.org,\n"+
			"       credentials_file: google.json, default_group_email_domain: example.org}\n", i, i)
		all = append(all, container.ID(fmt.Sprintf("google_workspace:%d", i)))
	}
	config := filepath.Join(dir, "rollcall.yaml")
	if err := os.WriteFile(config, []byte(yaml.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	rdb = redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() { _ = rdb.Close() })
	fillContainer(t, rdb, all[0])
	copyContainer(t, rdb, all[0], all[1:])
	api = launch(t, "api", "ROLLCALL_REDIS_URL=redis://"+addr, "ROLLCALL_CONFIG="+config, "ROLLCALL_LISTEN=127.0.0.1:0",
		"ROLLCALL_INSECURE_NO_TOKENS=true")
	return "http://" + api.says(t, "api listens")["addr"].(string), api, rdb
}

func fillContainer(t testing.TB, rdb *redis.Client, c container.ID) {
	t.Helper()
	runs := status.New(rdb, status.Config{})
	for range 30 {
		run, err := runs.Start(t.Context(), status.StartRequest{Container: c,
			Trigger: status.Trigger{Kind: status.BySchedule}})
		if err != nil {
			t.Fatal(err)
		}
		lease, err := runs.Acquire(t.Context(), c, run.ID, run.Epoch, "worker-1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := lease.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
			t.Fatal(err)
		}
	}
	held := decisions.HeldSet{Digest: "d1", At: time.Now(), Changes: []decisions.HeldChange{{Fingerprint: "f",
		Op: "suspend", Kind: "user", ID: "u", Label: "ada", Guard: "limit"}}}
	if err := decisions.New(rdb, decisions.Config{}).SetHeld(t.Context(), c, held); err != nil {
		t.Fatal(err)
	}
}

// copyContainer gives other containers what Redis has of one.
func copyContainer(t testing.TB, rdb *redis.Client, from container.ID, to []container.ID) {
	t.Helper()
	keys, err := rdb.Keys(t.Context(), "*"+string(from)+"*").Result()
	if err != nil || len(keys) < 30 {
		t.Fatalf("%d keys of %s: %v", len(keys), from, err)
	}
	_, err = rdb.Pipelined(t.Context(), func(p redis.Pipeliner) error {
		for _, c := range to {
			for _, key := range keys {
				p.Copy(t.Context(), key, strings.ReplaceAll(key, string(from), string(c)), 0, true)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// painted is when the page showed something, in milliseconds after the navigation began.
const painted = `new Promise((done) => new PerformanceObserver((list) => {
	for (const e of list.getEntriesByName("first-contentful-paint")) done(e.startTime);
}).observe({ type: "paint", buffered: true }))`

// The overview of 100 sources and providers is there within 200 ms, or within eight times what the browser needs for a
// page of one word. Such a page takes 20 ms on an idle machine. A busy machine disturbs one of the two more than the
// other, so a series that is too slow is repeated.
func TestFirstPaint(t *testing.T) {
	base, _, _ := startGallery(t)
	bare := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "<!doctype html><title>Bare</title>Bare")
	}))
	t.Cleanup(bare.Close)
	b := newBrowser(t, base)
	const bound, series = 200, 5
	times := 8.0
	if underRace { // The browser is as fast as ever, and the API is not.
		times *= 4
	}
	for n := 1; ; n++ {
		took, least := b.paints(base+"/", bare.URL+"/")
		if took <= max(bound, times*least) {
			break
		}
		if n == series {
			t.Fatalf("the first paint took %.0f ms, and that of a bare page %.0f ms", took, least)
		}
	}
	b.do(b.open("/"), sees(`//h1[contains(., "No worker is running")]`))
	if cards := says[int](b, `document.querySelectorAll("article").length`); cards != 100 {
		t.Errorf("%d cards, want 100", cards)
	}
}

// paints opens two pages nine times each, and returns the medians of their first paints.
func (b *browser) paints(page, other string) (one, two float64) {
	b.Helper()
	took := map[string][]float64{}
	for range 9 {
		for _, at := range []string{page, other} {
			b.do(chromedp.Navigate(at))
			took[at] = append(took[at], says[float64](b, painted))
		}
	}
	for _, all := range took {
		slices.Sort(all)
	}
	b.Logf("%s %v ms, %s %v ms", page, took[page], other, took[other])
	return took[page][4], took[other][4]
}

// The progress of a run moves on an open page, and the links of the page stay the same elements. The place in the page
// and the focus on a link are kept.
func TestALivePageMoves(t *testing.T) {
	t.Parallel()
	base, _, rdb := startGallery(t)
	runs, source := status.New(rdb, status.Config{}), container.ID("ldap:corp")
	run, err := runs.Start(t.Context(), status.StartRequest{Container: source,
		Trigger: status.Trigger{Kind: status.ByAPI}})
	if err != nil {
		t.Fatal(err)
	}
	lease, err := runs.Acquire(t.Context(), source, run.ID, run.Epoch, "worker-1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lease.Close)
	record := lease.Recorder()
	if err := record.Planned(t.Context(), status.Planned{Digest: "d2",
		Expected: []status.Expectation{{Object: status.User, Change: status.Create, Count: 90}}}); err != nil {
		t.Fatal(err)
	}
	b := newBrowser(t, base)
	b.do(b.open("/"), sees(`//progress[@value="0" and @max="90"]`))
	links := says[int](b, `(window.links = [...document.querySelectorAll("main h3 a")]).length`)
	for _, done := range []string{"30", "60", "90"} {
		record.Succeeded(status.User, status.Create, 30)
		if err := record.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.do(sees(`//progress[@value="` + done + `" and @max="90"]`))
	}
	if _, err := lease.Finish(t.Context(), status.End{State: status.Completed}); err != nil {
		t.Fatal(err)
	}
	b.do(chromedp.WaitNotPresent(chromedp.Search(`//progress`)))
	if kept := says[int](b, `window.links.filter((a) => a.isConnected).length`); links != 100 || kept != links {
		t.Errorf("%d of %d links are the elements that they were, want all of 100", kept, links)
	}
}
