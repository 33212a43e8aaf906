package e2e

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"rollcall/internal/testclock"
)

// browser is a headless Chromium with one tab. It reaches only loopback, and records the hosts that pages ask for and
// the errors in them.
type browser struct {
	testing.TB
	ctx  context.Context
	base string

	mu      sync.Mutex
	asked   []string // hosts
	trouble []string // exceptions, violations of a policy, and what was written to the console as a warning or an error
}

func newBrowser(t testing.TB, base string) *browser {
	t.Helper()
	program := installed(t, "chromium", "chromium-browser", "google-chrome")
	// The allocator has a directory of its own, which it removes after the last child process has left it.
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program),
		chromedp.WindowSize(1600, 1000),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"),
		chromedp.Flag("disable-component-update", true))
	if os.Geteuid() == 0 {
		options = append(options, chromedp.NoSandbox) // which Chromium insists on
	}
	b := &browser{TB: t, base: base}
	allocator, stop := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	ctx, closeTab := chromedp.NewContext(allocator, chromedp.WithListener(b.hear))
	t.Cleanup(func() {
		if err := chromedp.Cancel(ctx); err != nil {
			t.Errorf("close the browser: %v", err)
		}
		closeTab()
		stop()
	})
	b.ctx = ctx
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start %s: %v", program, err)
	}
	if _, err := chromedp.Call(ctx, log.Enable, struct{}{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// hear is called with every event of the tab.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *network.EventRequestWillBeSent:
		if u, err := url.Parse(e.Request.URL); err != nil || u.Scheme != "data" {
			b.asked = append(b.asked, u.Host)
		}
	case *runtime.EventExceptionThrown:
		b.trouble = append(b.trouble, fmt.Sprintf("exception: %s", e.ExceptionDetails.Text))
	case *runtime.EventConsoleAPICalled:
		if kind := string(e.Type); kind == "error" || kind == "warning" || kind == "assert" {
			said := []string{"console " + kind + ":"}
			for _, a := range e.Args {
				said = append(said, string(a.Value)+a.Description)
			}
			b.trouble = append(b.trouble, strings.Join(said, " "))
		}
	case *log.EventEntryAdded:
		if level := string(e.Entry.Level); level == "error" || level == "warning" {
			b.trouble = append(b.trouble, fmt.Sprintf("%s %s: %s %s", e.Entry.Source, level, e.Entry.Text, e.Entry.URL))
		}
	}
}

// heard returns what went wrong, and which foreign hosts were asked, since it was called last.
func (b *browser) heard() (trouble, foreign []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := strings.TrimPrefix(b.base, "http://")
	foreign = slices.DeleteFunc(b.asked, func(host string) bool { return host == own })
	trouble, b.trouble, b.asked = b.trouble, nil, nil
	return trouble, foreign
}

// do carries out what a person does; each step waits for what it needs.
func (b *browser) do(steps ...chromedp.Action[chromedp.Void]) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 5*time.Minute)
	defer cancel()
	for i, step := range steps {
		if err := chromedp.Do(ctx, step); err != nil {
			text, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`location + "\n" + document.body.innerText`))
			b.Fatalf("step %d: %v; the page is %s", i+1, err, text)
		}
	}
}

// open goes to a path of the service.
func (b *browser) open(path string) chromedp.Action[chromedp.Void] {
	return chromedp.Navigate(b.base + path)
}

// sees waits for something that an XPath finds.
func sees(xpath string) chromedp.Action[chromedp.Void] {
	return again(chromedp.WaitVisible(chromedp.Search(xpath)))
}

func click(xpath string) chromedp.Action[chromedp.Void] {
	return again(chromedp.Click(chromedp.Search(xpath), chromedp.NodeVisible))
}

// leads carries out what leads to another page, and waits until that page is loaded: what is looked for there may be on
// the page before it, too.
func (b *browser) leads(action chromedp.Action[chromedp.Void]) {
	b.Helper()
	before := says[float64](b, "performance.timeOrigin")
	b.do(action)
	testclock.Eventually(b, 5*time.Minute, "another page after "+says[string](b, "location.href"), func() bool {
		now, err := chromedp.Run(b.ctx, chromedp.Evaluate[float64](
			`document.readyState === "complete" ? performance.timeOrigin : 0`))
		return err == nil && now != 0 && now != before // an error: the page was being left
	})
}

// again repeats an action whose element was replaced by a newer one, as the live parts of a page are, after it was
// found and before it was used.
func again(action chromedp.Action[chromedp.Void]) chromedp.Action[chromedp.Void] {
	return func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		for {
			v, err := action(ctx, t)
			if err == nil || !strings.Contains(err.Error(), "node with given id") || ctx.Err() != nil {
				return v, err
			}
		}
	}
}

// says evaluates JavaScript in the page.
func says[T any](b *browser, script string) T {
	b.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](script, chromedp.EvalAwaitPromise))
	if err != nil {
		b.Fatalf("%s: %v", script, err)
	}
	return v
}
