package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"rollcall/internal/testclock"
)

// ended is what the page of a run shows at its end.
const ended = `//ol[@class="rail"]//span[starts-with(text(), "completed")]`

var updateShots = flag.Bool("screenshots", false, "write the screenshots of the documentation")

// show is a demo that runs as a process, and its output.
type show struct {
	testing.TB
	base string
	dir  string // the demo's files are below it

	mu  sync.Mutex
	out bytes.Buffer
}

// startDemo starts the demo and returns after its syncs, when it prints where it listens.
func startDemo(t testing.TB) *show {
	t.Helper()
	s := &show{TB: t, dir: t.TempDir()}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	cmd := exec.CommandContext(ctx, program(t, "rollcall"), "demo", "--listen", "127.0.0.1:0", "--metrics-listen", "off")
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	cmd.Env, cmd.Stderr = append(os.Environ(), "TMPDIR="+s.dir), t.Output()
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(); _ = cmd.Wait() })
	go s.listen(bufio.NewScanner(pipe))
	testclock.Eventually(t, 5*time.Minute, "the end of the syncs of the demo", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		at := invitation.FindSubmatch(s.out.Bytes())
		if at != nil {
			s.base = string(at[1])
		}
		return at != nil
	})
	return s
}

// invitation is what the demo prints after its syncs.
var invitation = regexp.MustCompile(`Open (http://\S+)/ in a browser\.`)

func (s *show) listen(lines *bufio.Scanner) {
	for lines.Scan() {
		s.mu.Lock()
		fmt.Fprintln(&s.out, lines.Text())
		s.mu.Unlock()
	}
}

// leave removes the first people from the directory of the demo.
func (s *show) leave(people int) {
	s.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "rollcall-demo-*", "people.ldif"))
	if err != nil || len(files) != 1 {
		s.Fatalf("the directory of the demo is %v (%v)", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		s.Fatal(err)
	}
	var kept []string
	for entry := range strings.SplitSeq(string(data), "\n\n") {
		if people > 0 && strings.Contains(entry, "objectClass: inetOrgPerson") {
			people--
			continue
		}
		kept = append(kept, entry)
	}
	if err := os.WriteFile(files[0], []byte(strings.Join(kept, "\n\n")), 0o600); err != nil {
		s.Fatal(err)
	}
}

// focused is the text of what has the focus. The body has it while a page loads.
const focused = `((at) => at && at !== document.body ? at.innerText || at.ariaLabel || "" : "")(document.activeElement)`

// tabTo presses the tab key until something with this text has the focus.
func (b *browser) tabTo(text string) {
	b.Helper()
	for range 300 {
		b.do(chromedp.KeyEvent(kb.Tab))
		if strings.Contains(says[string](b, focused), text) {
			return
		}
	}
	b.Fatalf("the tab key does not lead to %q at %s", text, says[string](b, `location + "\n" + document.body.innerText`))
}

// press goes to a link or a button with the tab key, presses enter, and waits for the page that it leads to.
func (b *browser) press(text string) {
	b.Helper()
	b.tabTo(text)
	b.leads(chromedp.KeyEvent(kb.Enter))
}

// The pages of a running demo are used with the keyboard alone. A run is watched, what it holds is approved, an
// explanation is read, a person is ordered to leave, and a run is undone. Then the same is done without script.
func TestPages(t *testing.T) {
	t.Parallel()
	s := startDemo(t)
	b := newBrowser(t, s.base)
	b.do(b.open("/"), sees(`//h1[contains(., "entries cannot be synced")]`))
	if weight := says[int](b,
		`performance.getEntries().reduce((n, e) => n + (e.transferSize || 0), 0)`); weight > 150_000 || weight < 1000 {
		t.Errorf("the first view weighs %d bytes", weight)
	}
	s.leave(16)
	b.do(b.open("/runs/ldap/corp/"), sees(`//h1[contains(., "Corporate directory")]`))
	b.press("Sync now")
	b.do(sees(ended))
	b.shot("run")
	b.approves()
	b.reads()
	b.orders()
	b.undoes()
	b.quiet()
	s.leave(16)
	b.withoutScript()
	b.quiet()
}

// approves decides about one entry, one group of changes and all that is left.
func (b *browser) approves() {
	b.Helper()
	b.press("Held")
	b.do(sees(`//h1[text()="Held"]`), sees(`//*[contains(text(), "delete 16 users and remove 58 members")]`))
	b.shot("held")
	for _, look := range [][2]string{{"print", "block"}, {"screen", "none"}} {
		media := emulation.SetEmulatedMediaParams{Media: look[0]}
		if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, media); err != nil {
			b.Fatal(err)
		}
		if got := says[string](b, `getComputedStyle(document.querySelector(".onpaper")).display`); got != look[1] {
			b.Errorf("the line for a decision on paper is displayed as %s for %s, want %s", got, look[0], look[1])
		}
	}
	b.do(b.open("/"), sees(`//h1[contains(., "74 changes wait")]`),
		sees(`//*[contains(text(), "they would delete 16 users and remove 58 members in the local copy")]`))
	b.shot("overview")
	b.press("Decide")
	b.do(sees(`//h1[text()="Held"]`))
	b.tabTo("delete ") // the first check box
	b.do(chromedp.KeyEvent(" "))
	b.press("Approve selected")
	b.do(sees(`//h1[contains(., "Approve 1 change?")]`))
	b.press("Approve 1 change")
	b.do(sees(`//*[contains(text(), "started by approval by anonymous")]`), sees(ended))
	b.press("Held")
	b.do(sees(`//h1[text()="Held"]`))
	b.press("Approve these 15")
	b.do(sees(`//h1[contains(., "Approve 15 changes?")]`))
	b.press("Approve 15 changes")
	b.do(sees(`//*[contains(text(), "started by approval by anonymous")]`), sees(ended))
	b.press("Held")
	b.do(sees(`//h1[text()="Held"]`))
	b.press("Approve all")
	b.do(sees(`//h1[contains(., "Approve")]`))
	b.press("Approve ")
	b.do(sees(`//*[contains(text(), "started by approval by anonymous")]`), sees(ended), b.open("/held/ldap/corp/"),
		sees(`//*[contains(text(), "Nothing waits for a decision")]`))
}

// reads searches a person, reads the explanation and syncs the person.
func (b *browser) reads() {
	b.Helper()
	b.press("People")
	b.do(sees(`//input[@name="q"]`))
	for range 50 {
		if says[bool](b, `document.activeElement.name === "q"`) {
			break
		}
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.do(chromedp.KeyEvent("awoj"+kb.Enter), sees(`//a[contains(., "awojcik")]`))
	b.press("awojcik")
	b.do(sees(`//*[contains(text(), "carries its anchor")]`), sees(`//h2[text()="History"]`))
	b.shot("person")
	b.press("Sync to Google Workspace now")
	b.do(sees(`//*[@role="status"]//*[contains(text(), "Synced to google_workspace:1: unchanged")]`))
	b.press("Changes")
	b.do(sees(`//h1[text()="Changes"]`), b.open("/changes/?op=suspend"), sees(`//td//*[contains(text(), "Done")]`))
	b.press("Leavers")
	b.do(sees(`//td//*[contains(text(), "Suspended")]`))
	b.shot("leavers")
}

// orders orders that a person leaves, and lifts the order.
func (b *browser) orders() {
	b.Helper()
	b.do(b.open("/people/entry/?username=awojcik"), sees(`//h2[text()="History"]`))
	b.press("Leave now…")
	b.do(sees(`//h1[contains(., "Order that awojcik leaves now?")]`))
	b.press("Suspend awojcik everywhere now")
	b.do(sees(`//*[contains(text(), "Synced to google_workspace:1: suspended")]`),
		sees(`//strong[text()="Ordered to leave"]`))
	b.press("Leavers")
	b.do(sees(`//h1[text()="Leavers"]`))
	b.press("Lift the order…")
	b.do(sees(`//h1[contains(., "Lift the order that awojcik leaves?")]`))
	b.press("Lift the order")
	b.do(sees(`//*[contains(text(), "Synced to google_workspace:1: restored")]`), sees(`//a[text()="Leave now…"]`))
}

// undoes undoes the run of the second day at Google after its preview, and lifts one of the pins.
func (b *browser) undoes() {
	b.Helper()
	b.do(b.open("/runs/google_workspace/1/"), sees(`//tr[td[contains(., "65")]]//a`))
	for range 25 {
		b.do(chromedp.KeyEvent("j"))
		if says[bool](b, `!!document.activeElement.closest("tr")?.innerText.includes("65")`) {
			break
		}
	}
	b.do(chromedp.KeyEvent(kb.Enter), sees(`//button[contains(., "Preview the undo")]`))
	b.press("Preview the undo")
	b.do(sees(`//button[contains(., "Undo it:")]`))
	b.press("Undo it:")
	b.do(sees(`//*[contains(text(), "started by undo by anonymous")]`), sees(ended))
	b.press("What it pinned")
	b.do(sees(`//h3[contains(., "pinned by an undo")]`))
	b.press("Lift the pin")
	b.do(sees(`//h3[contains(., "pinned by an undo")]`))
}

// withoutScript does with the mouse what the keyboard did, in a browser that carries out no script.
func (b *browser) withoutScript() {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled,
		emulation.SetScriptExecutionDisabledParams{Value: true}); err != nil {
		b.Fatal(err)
	}
	for path, text := range map[string]string{"/": "Sources and providers", "/held/": "Held", "/changes/": "Changes",
		"/people/?q=awoj": "awojcik", "/leavers/": "Leavers", "/people/entry/?username=awojcik": "History"} {
		b.do(b.open(path), sees(`//main//*[contains(text(), "`+text+`")]`), sees(`//footer//a[text()="Load it again"]`))
	}
	b.do(b.open("/runs/ldap/corp/"))
	b.leads(click(`//button[text()="Sync now"]`))
	b.ends("sources/ldap/corp")
	b.do(b.open("/held/ldap/corp/"))
	b.leads(click(`//a[contains(text(), "Approve these ")]`))
	b.leads(click(`//button[contains(text(), "Approve ")]`))
	b.do(sees(`//*[contains(text(), "started by approval by anonymous")]`))
	b.ends("sources/ldap/corp")
	b.do(b.open("/runs/microsoft_entra/1/"))
	b.leads(click(`//tr[td[contains(., "65")]]//a`))
	b.leads(click(`//button[contains(., "Preview the undo")]`))
	b.ends("providers/microsoft_entra/1")
	b.leads(click(`//button[contains(., "Undo it:")]`))
	b.do(sees(`//*[contains(text(), "started by undo by anonymous")]`))
	b.ends("providers/microsoft_entra/1")
}

// ends waits until no run of a source or provider is live, and looks at the page of its last run, without script.
func (b *browser) ends(at string) {
	b.Helper()
	b.idle(at)
	b.leads(click(`//footer//a[text()="Load it again"]`))
	b.do(sees(ended))
}

// idle waits until no run of a source or provider is live.
func (b *browser) idle(at string) {
	b.Helper()
	testclock.Eventually(b, 3*time.Minute, "the end of the run of "+at, func() bool {
		resp, err := http.Get(b.base + "/api/v3/" + at + "/sync/status/")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		var st struct {
			Running bool `json:"is_running"`
		}
		return json.NewDecoder(resp.Body).Decode(&st) == nil && !st.Running
	})
}

// shot writes a screenshot of the page for the documentation.
func (b *browser) shot(name string) {
	b.Helper()
	if !*updateShots {
		return
	}
	b.display(1280, "light")
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join("..", "..", "docs", "screenshots", name+".png"), png, 0o644); err != nil {
		b.Fatal(err)
	}
}

// display sets the width of the window and the theme.
func (b *browser) display(width int64, theme string) {
	b.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}}}); err != nil {
		b.Fatal(err)
	}
	if _, err := chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{
		Width: width, Height: 800, DeviceScaleFactor: 1}); err != nil {
		b.Fatal(err)
	}
}
