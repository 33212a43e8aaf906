package dashboard

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
)

// page is the one HTML page of asynqmon's interface, with marks for the values of each response.
type page string

const (
	nonceMark = "NONCE-OF-THE-ANSWER"
	whoMark   = "NAME-OF-THE-TOKEN"

	head = `<head><meta property="csp-nonce" content="` + nonceMark + `">`
	// corner shows the session in the free space of asynqmon's bar, because asynqmon does not have sessions.
	corner = `<style nonce="` + nonceMark +
		`">.rollcall-session { position: fixed; top: 22px; right: 24px; z-index: 1300; ` +
		`color: #4379ff; font: 14px/1.5 Roboto, Helvetica, Arial, sans-serif; }</style>` +
		`<a class="rollcall-session" href="` + signInPath + `">` + whoMark + `: sign out</a>`
	root = `<div id="root">`
)

// nonce returns a new nonce for a policy and the elements that it permits.
func nonce() string { return rand.Text() }

var (
	// foreignLink is a link element that refers to another host (asynqmon has two, for fonts that it does not need).
	foreignLink = regexp.MustCompile(`<link [^>]*href="(?:https?:)?//[^>]*>`)
	// manifest is removed, because browsers request it without a cookie and the dashboard is not an installable app.
	manifest = regexp.MustCompile(`<link rel="manifest"[^>]*>`)
	// outside matches references to other hosts, which the page must not have.
	outside = regexp.MustCompile(`(?:href|src)="(?:https?:)?//`)
)

// newPage takes the page from asynqmon and prepares it for a strict policy. The policy permits only the page's own
// scripts, two of which are inline, and the style elements that they make. The style elements carry the nonce of this
// meta element, a convention of JSS, the style library of asynqmon's interface.
func newPage(app http.Handler) (page, error) {
	r, err := http.NewRequest(http.MethodGet, Root, nil) //nolint:noctx // it goes nowhere
	if err != nil {
		return "", err
	}
	got := buffer{header: http.Header{}}
	app.ServeHTTP(&got, r)
	text := foreignLink.ReplaceAllString(got.String(), "")
	text = manifest.ReplaceAllString(text, "")
	text = strings.ReplaceAll(text, "<script", `<script nonce="`+nonceMark+`"`)
	text = strings.Replace(text, "<head>", head, 1)
	text = strings.Replace(text, root, corner+root, 1)
	switch {
	case !strings.Contains(text, head) || !strings.Contains(text, corner) || !strings.Contains(text, "<script"):
		return "", errors.New("dashboard: asynqmon's page has an unexpected form")
	case outside.MatchString(text):
		return "", fmt.Errorf("dashboard: asynqmon's page refers to another host: %s", outside.FindString(text))
	}
	return page(text), nil
}

// write responds with the page. The name is that of the session's token. It is empty if there is no session to end.
func (p page) write(w http.ResponseWriter, who string) {
	n, text := nonce(), string(p)
	if who == "" {
		text = strings.Replace(text, corner, "", 1)
	}
	text = strings.NewReplacer(nonceMark, n, whoMark, html.EscapeString(who)).Replace(text)
	w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'nonce-"+n+"'; style-src 'nonce-"+n+
		"'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(text)) // the client is gone
}

// buffer is an http.ResponseWriter that stores the body.
type buffer struct {
	bytes.Buffer
	header http.Header
}

// Header implements http.ResponseWriter.
func (b *buffer) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter.
func (b *buffer) WriteHeader(int) {}

// asset passes the files of asynqmon on. For a missing file asynqmon sends its page unmodified, which is recognised
// by its missing content type.
type asset struct {
	http.ResponseWriter
	missing bool
}

// Write implements http.ResponseWriter.
func (a *asset) Write(b []byte) (int, error) {
	switch {
	case a.missing:
		return len(b), nil
	case a.Header().Get("Content-Type") == "":
		a.missing = true
		http.Error(a.ResponseWriter, "Not found.", http.StatusNotFound)
		return len(b), nil
	}
	a.Header().Set("Cache-Control", "private, max-age=86400")
	return a.ResponseWriter.Write(b)
}
