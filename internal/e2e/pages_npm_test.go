//go:build npm

package e2e

import (
	"testing"

	"rollcall/internal/npmtest"

	"github.com/chromedp/chromedp"
)

// axe-core finds nothing on any page, in both themes, on a small and a usual window. Nothing is cut off.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	axe := npmtest.Install(t).File("node_modules", "axe-core", "axe.min.js")
	s := startDemo(t)
	s.played()
	s.leave(16)
	b := newBrowser(t, s.base)
	b.do(b.open("/"), click(`//button[text()="Sync now"]`), sees(ended), chromedp.Reload(), sees(`//b[@class="badge"]`))
	paths := []string{says[string](b, "location.pathname"), "/", "/held/", "/changes/", "/people/?q=a",
		"/people/?q=nothing",
		"/people/entry/?username=awojcik", "/leavers/", "/runs/google_workspace/1/", "/held/none/none/"}
	b.do(b.open("/held/ldap/corp/"))
	paths = append(paths, says[string](b, `document.querySelector("a.button").getAttribute("href")`))
	for _, theme := range []string{"light", "dark"} {
		for _, width := range []int64{320, 1280} {
			b.display(width, theme)
			for _, path := range paths {
				b.do(b.open(path), chromedp.WaitReady("main"))
				says[bool](b, string(axe)+"; true")
				found := says[string](b,
					`axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(
					(r) => r.violations.map((v) => v.id + ": " + v.nodes.map((n) => n.html + " " + n.failureSummary).slice(0, 3).join("\n  ")).join("\n"))`)
				if found != "" {
					t.Errorf("%s, %s, %d px: %s", path, theme, width, found)
				}
				if wide := says[int64](b, "document.documentElement.scrollWidth"); wide > width {
					t.Errorf("%s, %s: %d px wide in a window of %d px", path, theme, wide, width)
				}
			}
		}
	}
}
