package e2e

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"rollcall/internal/testclock"
)

// An operator whose source sync failed signs in to the dashboard with a token and finds the task among the archived
// ones. Running it again begins a new run of the source. Then a token with the scope read may look and not act.
func TestDashboard(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{slapd: small()})
	password, err := os.ReadFile(w.ldap.PasswordFile)
	if err != nil {
		t.Fatal(err)
	}
	write(t, w.ldap.PasswordFile, "not-the-password\n")
	failed := w.finish(corp)
	if failed.FailKind != "denied" {
		t.Fatalf("the run is %s (%s): %s", failed.State, failed.FailKind, failed.Reason)
	}
	write(t, w.ldap.PasswordFile, string(password))

	b := newBrowser(t, w.base)
	b.do(b.open("/asynqmon/"), sees(`//label[text()="API token"]`))
	b.signIn("rct_nonsense")
	b.do(sees(`//*[@role="alert" and text()="This token is not known."]`))
	if _, foreign := b.heard(); len(foreign) > 0 { // that the page came with a 403 is worth a line in the console
		t.Errorf("the form asks %q", foreign)
	}

	b.signIn(w.token)
	b.do(sees(`//a[text()="full"]`), sees(`//a[text()="objects"]`), sees(`//a[text()="tester: sign out"]`))
	if cookies := says[string](b, "document.cookie"); cookies != "" {
		t.Errorf("scripts can read the cookies %q", cookies)
	}
	for path, heading := range map[string]string{"servers": "Servers", "schedulers": "Scheduler Entries",
		"redis": "Redis Info", "settings": "Settings"} {
		b.do(b.open("/asynqmon/"+path), sees(`//main//*[text()="`+heading+`"]`))
	}
	b.do(b.open("/asynqmon/"), click(`//a[text()="full"]`),
		click(`//*[contains(@class, "MuiChip-label") and contains(., "Archived")]`),
		click(`//td[contains(text(), "Invalid Credentials")]`))
	b.do(sees(`//main//*[text()="Task Info"]`), sees(`//main//*[starts-with(text(), "`+failed.ID+`:")]`),
		sees(`//main//*[text()="archived"]`))
	b.do(chromedp.NavigateBack(), click(`(//tbody//td)[last()]//button`), click(`//button[@title="Run"]`))
	again := w.after(failed)
	if again.Trigger.Kind != "rerun" || again.State != "completed" || again.Read["user"] == 0 {
		t.Errorf("the new run is %+v", again)
	}
	b.do(chromedp.WaitNotPresent(chromedp.Search(`//td[contains(text(), "Invalid Credentials")]`)))
	b.quiet()

	b.do(click(`//a[text()="tester: sign out"]`), click(`//button[text()="Sign out"]`),
		sees(`//label[text()="API token"]`))
	b.do(b.open("/asynqmon/queues/full?status=archived"), sees(`//label[text()="API token"]`))
	b.signIn(w.reader) // It leads back to the page that was asked for.
	b.do(sees(`//a[text()="reader: sign out"]`), b.open("/asynqmon/"))
	b.do(sees(`//a[text()="objects"]`), chromedp.WaitNotPresent(chromedp.Search(`//th[text()="Actions"]`)))
	b.quiet()
	if code := says[int](
		b, `fetch("/asynqmon/api/queues/full:pause", {method: "POST"}).then(r => r.status)`); code != 403 {
		t.Errorf("who may only read pauses a queue: %d", code)
	}
	w.both()
}

// signIn submits the form.
func (b *browser) signIn(token string) {
	b.Helper()
	b.do(chromedp.SendKeys(chromedp.ID("token"), token), click(`//button[text()="Sign in"]`))
}

// quiet fails the test if anything went wrong in a page, a violation of its policy say, or if it asked another host.
func (b *browser) quiet() {
	b.Helper()
	trouble, foreign := b.heard()
	if len(trouble) > 0 || len(foreign) > 0 {
		b.Errorf("other hosts asked: %q; trouble:\n%s", foreign, strings.Join(trouble, "\n"))
	}
}

// after waits for the end of the run that came after one.
func (w *world) after(r run) (next run) {
	w.Helper()
	var page struct{ Results []run }
	testclock.Eventually(w, 2*time.Minute, "a run after "+r.ID, func() bool {
		w.get(corp+"sync/runs/", &page)
		return len(page.Results) > 0 && page.Results[0].ID != r.ID && !page.Results[0].open()
	})
	return page.Results[0]
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
