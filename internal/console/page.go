package console

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"rollcall/internal/tokens"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/*
var assetFiles embed.FS

// page is what the layout and one view show.
type page struct {
	View  string // the name of the template
	Title string
	// Status is the HTTP status; zero means 200.
	Status int
	// Nav is the entry of the navigation that the page belongs to.
	Nav string
	// Stream is the query of the stream with the live parts of the page; empty for a page without.
	Stream string
	Live   parts // of the page as it is now
	Data   any

	Who       tokens.Identity
	SignedIn  bool // there is a session to end
	MayRead   bool
	MaySync   bool
	MayDecide bool
	Held      int64 // changes that wait for a decision, everywhere
	Path      string
	Retry     bool // the page could not be made for a reason that may pass
}

// complete adds what every page has.
func (c *Console) complete(r *request, p *page) {
	p.Who, p.SignedIn = r.who, !c.cfg.Desk.Open()
	p.MaySync, p.MayDecide = r.who.May(tokens.Sync), r.who.May(tokens.Approve)
	p.Path = r.URL.RequestURI()
	if p.MayRead = r.who.May(tokens.Read); p.MayRead {
		p.Held = c.heldEverywhere(r.Context(), r.who)
	}
}

// views are the parsed templates. Every view has the layout and the shared parts.
type views map[string]*template.Template

func parseViews(c *Console) (views, error) {
	base, err := template.New("layout.html").Funcs(functions(c)).
		ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	out := views{}
	for _, file := range files {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, err
		}
		out[name] = t
	}
	return out, nil
}

// page renders a whole page.
func (v views) page(w io.Writer, p *page) error { return v.render(w, p.View, "layout.html", p) }

// render executes one template of a view. Names come from directories and may contain anything. Characters that
// control the direction of text are therefore left out of everything that is rendered.
func (v views) render(w io.Writer, view, name string, data any) error {
	var b bytes.Buffer
	if err := v[view].ExecuteTemplate(&b, name, data); err != nil {
		return err
	}
	_, err := w.Write(bytes.Map(harmless, b.Bytes()))
	return err
}

// harmless drops the controls of direction and of a terminal.
func harmless(r rune) rune {
	switch {
	case r == '\n' || r == '\t':
		return r
	case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == '\u2028', r == '\u2029':
		return -1
	}
	return r
}

// assetVersion changes with the content of the files, so that browsers may keep them for ever.
var assetVersion = func() string {
	h := sha256.New()
	names, _ := fs.Glob(assetFiles, "assets/*") // the pattern is right
	slices.Sort(names)
	for _, name := range names {
		data, _ := assetFiles.ReadFile(name) // it is embedded
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}()

// assetTypes are the media types of the files by their extension.
var assetTypes = map[string]string{
	".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}

// asset serves a style sheet, a script or an icon. These are public.
func asset(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	data, err := assetFiles.ReadFile("assets/" + name)
	if err != nil {
		http.Error(w, "Not found.", http.StatusNotFound)
		return
	}
	if r.URL.RawQuery == assetVersion {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	send(w, r, http.StatusOK, assetTypes[path.Ext(name)], data)
}

// smallest is the number of bytes from which an answer is compressed.
const smallest = 1024

var compressors = sync.Pool{New: func() any { return gzip.NewWriter(nil) }}

// send answers with a body of one media type, which is compressed for a browser that takes it.
func send(w http.ResponseWriter, r *http.Request, code int, mediaType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Add("Vary", "Accept-Encoding, Sec-Fetch-Site")
	if len(body) >= smallest && compressible(r) {
		h.Set("Content-Encoding", "gzip")
		body = compressed(body)
	}
	w.WriteHeader(code)
	_, _ = w.Write(body) // an error means that the client is gone
}

// compressible reports whether the browser takes gzip and the answer gives nothing away by its length. A page shows
// names and repeats what was searched for. Another site must not be able to have pages loaded with many searches and
// find out from their lengths which names are on them (BREACH). So a page that another site asked for, with a link or
// otherwise, stays uncompressed. A browser that does not say who asked uses no TLS, or is too old to be led so.
// No page has a token for its forms; see crossOrigin.
func compressible(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return takesGzip(r.Header.Values("Accept-Encoding"))
	}
	return false
}

// takesGzip reports whether a list of encodings (RFC 9110, section 12.5.3) has gzip with a weight above zero.
func takesGzip(encodings []string) bool {
	for part := range strings.SplitSeq(strings.Join(encodings, ","), ",") {
		name, weight, _ := strings.Cut(strings.ToLower(part), ";")
		if strings.TrimSpace(name) == "gzip" {
			_, q, _ := strings.Cut(weight, "=")
			return strings.Trim(q, " 0.") != "" || strings.TrimSpace(weight) == ""
		}
	}
	return false
}

func compressed(body []byte) []byte {
	var b bytes.Buffer
	z := compressors.Get().(*gzip.Writer) //nolint:forcetypeassert // nothing else is in the pool
	defer compressors.Put(z)
	z.Reset(&b)
	_, _ = z.Write(body) // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// pager is the position in a list.
type pager struct {
	From, To, Total, Shown int
	// Approximately follows the total where the list was not read to its end.
	Approximately string
	// The addresses of the pages beside it, and what they are called.
	Previous, Next, PreviousText, NextText string
}

// newPager returns the position of a page with numbered pages, from 1. A number past the end means the last page.
func newPager(page, size, total int, address func(page int) string) pager {
	pages := max(1, (total+size-1)/size)
	page = min(max(page, 1), pages)
	p := pager{From: (page-1)*size + 1, To: min(page*size, total), Total: total}
	p.Shown = p.To - p.From + 1
	if page > 1 {
		p.Previous = address(page - 1)
	}
	if page < pages {
		p.Next = address(page + 1)
	}
	return p
}

// pageNumber reads the number of the page from an address; 1 where there is none.
func pageNumber(q url.Values) int {
	n, err := strconv.Atoi(q.Get("page"))
	if err != nil || n < 1 {
		return 1
	}
	return n
}

// query makes a query of names and values. It leaves out empty values.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	if len(v) == 0 {
		return ""
	}
	return "?" + v.Encode()
}
