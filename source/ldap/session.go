package ldap

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"rollcall/fault"
)

// request is one search. base is as configured, for people to read.
type request struct {
	base   string
	scope  int
	filter string
	attrs  []string
	// paged asks for pages; a search for one entry needs none.
	paged bool
	// limit and seconds, where they are not zero, are what the server may give and take: it says so when it stops.
	limit, seconds int
	// sample, where it is not nil, ends the search after the first page and is set when there is more.
	sample *bool
}

// searcher is an open directory, which is a session on a server or a file. search calls each for every entry, in the
// server's order. It returns an error unless it gave all of them. each is not called concurrently, must not search,
// and may keep the values of an entry but not the entry.
type searcher interface {
	search(ctx context.Context, r request, each func(*ldap.Entry) error) error
	// referrals returns the search result references so far, sorted and unique.
	referrals() []string
	// about returns what the directory says about itself.
	about() *rootDSE
	// String names the directory in errors.
	String() string
	close()
}

// session is one bound connection.
//
// go-ldap's own request timeout is never set: when it passes while we are still busy with earlier entries, go-ldap
// drops an entry and goes on. Here a timer, or the caller's context, closes the socket instead.
type session struct {
	server   server
	raw      *wiretap
	tap      *entryTap
	alone    sync.RWMutex // held by searches; alone by a tapped one
	conn     *ldap.Conn
	timeout  time.Duration
	pageSize uint32
	root     *rootDSE
	// cut is set when an answer was not read to its end, which closes the connection.
	cut atomic.Bool

	mu   sync.Mutex
	refs map[string]struct{}
}

func newSession(raw net.Conn, srv server, timeout time.Duration, pageSize uint32) *session {
	wire := &wiretap{Conn: raw}
	tap := &entryTap{Conn: wire}
	_, encrypted := raw.(*tls.Conn)
	conn := ldap.NewConn(tap, encrypted)
	conn.Start()
	return &session{server: srv, raw: wire, tap: tap, conn: conn, timeout: timeout, pageSize: pageSize,
		refs: map[string]struct{}{}}
}

// wiretap keeps the end of what the server sent. go-ldap drops the unsolicited notification with which a server says
// why it is about to close the connection (RFC 4511, section 4.4.1). The wiretap still has it.
type wiretap struct {
	net.Conn
	mu   sync.Mutex
	tail []byte
}

// Read implements net.Conn.
func (w *wiretap) Read(p []byte) (int, error) {
	const kept = 4096
	n, err := w.Conn.Read(p)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tail = append(w.tail, p[max(0, n-kept):n]...)
	if more := len(w.tail) - kept; more > 0 {
		w.tail = append(w.tail[:0], w.tail[more:]...)
	}
	return n, err
}

// notice returns the server's notice of disconnection as a result, or nil. Such a notice is an extended response with
// the message ID 0.
func (w *wiretap) notice() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := bytes.LastIndex(w.tail, []byte{byte(ber.TagInteger), 1, 0, 0x60 | ldap.ApplicationExtendedResponse})
	if at < 0 {
		return nil
	}
	op, err := ber.DecodePacketErr(w.tail[at+3:])
	if err != nil || len(op.Children) < 3 {
		return nil // these bytes are no notice
	}
	code, _ := op.Children[0].Value.(int64)
	said := "the server closed the connection"
	if text := op.Children[2].Data.String(); text != "" {
		said += ": " + text
	}
	return &ldap.Error{ResultCode: uint16(code), Err: errors.New(said)} // result codes are small
}

var _ searcher = (*session)(nil)

// String implements searcher.
func (s *session) String() string { return s.server.String() }

// close says goodbye, if the server still listens, and frees the socket.
func (s *session) close() {
	_ = s.raw.SetDeadline(time.Now().Add(time.Second))
	_ = s.conn.Unbind()
	_ = s.raw.Close()
	_ = s.conn.Close()
}

// referrals implements searcher.
func (s *session) referrals() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.refs))
}

// about implements searcher.
func (s *session) about() *rootDSE { return s.root }

// search implements searcher with simple paged results (RFC 2696).
func (s *session) search(ctx context.Context, r request, each func(*ldap.Entry) error) error {
	op := fmt.Sprintf("search %s on %s", r.base, s)
	req := ldap.NewSearchRequest(r.base, r.scope, ldap.NeverDerefAliases, r.limit, r.seconds, false, r.filter, r.attrs,
		nil)
	if !r.paged {
		_, err := s.page(ctx, op, req, each)
		return err
	}
	paging := ldap.NewControlPaging(s.pageSize)
	req.Controls = []ldap.Control{paging}
	var loop loopGuard
	for {
		loop.fresh = true
		cookie, err := s.page(ctx, op, req, func(e *ldap.Entry) error {
			if err := loop.entry(e.DN); err != nil {
				return fault.New(fault.Unavailable, op, err)
			}
			return each(e)
		})
		if err != nil {
			return err
		}
		if len(cookie) == 0 {
			return nil
		}
		if r.sample != nil && !loop.fresh {
			*r.sample = true
			return nil
		}
		if err := loop.next(); err != nil {
			return fault.New(fault.Unavailable, op, err)
		}
		paging.SetCookie(cookie)
	}
}

// page runs one search operation to its end and returns the cookie of the next page.
func (s *session) page(ctx context.Context, op string, req *ldap.SearchRequest,
	each func(*ldap.Entry) error) ([]byte, error) {
	var paging *ldap.ControlPaging
	entries := 0
	err := s.exchange(ctx, op, req, len(req.Controls) > 0, func(e *ldap.Entry, _ []ldap.Control) error {
		entries++
		return each(e)
	}, func(c ldap.Control) error {
		if p, ok := c.(*ldap.ControlPaging); ok {
			paging = p
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if paging == nil {
		return nil, s.unpaged(op, req, entries)
	}
	return paging.Cookie, nil
}

// exchange runs one search operation to its end. entry gets each entry with its controls, and control each control of
// the end and of intermediate responses. An error of either ends the operation and the session. A tapped search is for
// many entries. It has the session to itself.
func (s *session) exchange(parent context.Context, op string, req *ldap.SearchRequest, tap bool,
	entry func(*ldap.Entry, []ldap.Control) error, control func(ldap.Control) error) error {
	ctx, cancel := context.WithCancelCause(parent)
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() { s.raw.Close() })
	defer stop()
	silence := time.AfterFunc(s.timeout, func() { cancel(errSilent) })
	defer silence.Stop()

	var tapped tapped
	if tap {
		s.alone.Lock()
		defer s.alone.Unlock()
		tapped.each, entry = entry, tapped.take
		s.tap.tapEntries(func(e *ldap.Entry) {
			silence.Reset(s.timeout)
			if err := tapped.take(e, nil); err != nil {
				cancel(err)
			}
		})
		defer s.tap.untap()
	} else {
		s.alone.RLock()
		defer s.alone.RUnlock()
	}
	res := s.conn.SearchAsync(ctx, req, 64)
	for res.Next() {
		silence.Reset(s.timeout)
		// A true Next is an entry, a reference or the controls of the end or of an intermediate response.
		var err error
		if e := res.Entry(); e != nil {
			err = entry(e, res.Controls())
		} else if ref := res.Referral(); ref != "" {
			s.mu.Lock()
			s.refs[ref] = struct{}{}
			s.mu.Unlock()
		} else {
			for _, c := range res.Controls() {
				err = cmp.Or(err, control(c))
			}
		}
		if err != nil {
			s.cut.Store(true)
			cancel(err)
			return err
		}
	}
	if tap {
		s.tap.untap()
		if tapped.err != nil {
			s.cut.Store(true)
			return tapped.err
		}
	}
	if err := s.ended(ctx, res); err != nil {
		return classify(ctx, op, s.explained(err))
	}
	return nil
}

// tapped calls each for the entries of one search, whichever goroutine they come from, until it returns an error.
type tapped struct {
	mu   sync.Mutex
	each func(*ldap.Entry, []ldap.Control) error
	err  error
}

func (t *tapped) take(e *ldap.Entry, controls []ldap.Control) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = t.each(e, controls)
	}
	return t.err
}

// ended returns an error if a search stopped before its end. In three cases go-ldap closes the channel without an
// error: when the context ends, when the connection is already closing, and when it recovered from a panic.
func (s *session) ended(ctx context.Context, res ldap.Response) error {
	switch err := res.Err(); {
	case err != nil:
		return err
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.conn.GetLastError() != nil:
		return s.conn.GetLastError()
	case s.conn.IsClosing():
		return errors.New("the server closed it")
	}
	return nil
}

// explained returns the server's own reason for the end of the connection in place of err, where it gave one.
func (s *session) explained(err error) error {
	if le, ok := errors.AsType[*ldap.Error](err); ok && le.ResultCode < ldap.ErrorNetwork {
		return err // a result, which the server gave for this very operation
	}
	if notice := s.raw.notice(); notice != nil {
		return notice
	}
	return err
}

// unpaged judges an end without a paging control. A server that does not page gives everything at once. A server that
// gave a cookie, or announces paging, stopped early: only a control with an empty cookie says that the list is complete
// (RFC 2696, section 3).
func (s *session) unpaged(op string, req *ldap.SearchRequest, entries int) error {
	if len(req.Controls) == 0 {
		return nil
	}
	const incomplete = "%s: the server %s and ended a page without its control: the answer may be incomplete"
	if paging, ok := req.Controls[0].(*ldap.ControlPaging); ok && len(paging.Cookie) > 0 {
		return fault.Errorf(fault.Unavailable, incomplete, op, "gave a cookie for another page")
	}
	if entries > 0 && s.root.supports(ldap.ControlTypePaging) {
		return fault.Errorf(fault.Unavailable, incomplete, op, "announces paging")
	}
	return nil
}

// loopGuard notices a server whose pages do not lead to an end. Cookies prove nothing (389 Directory Server keeps the
// same one throughout): pages that begin alike and endless empty pages do.
type loopGuard struct {
	firsts map[string]struct{}
	fresh  bool // no entry of this page has been seen
	empty  int  // empty pages in a row
}

// maxEmptyPages is generous: Active Directory may give empty pages while it works through what the filter rejects.
const maxEmptyPages = 1000

func (g *loopGuard) entry(dn string) error {
	if !g.fresh {
		return nil
	}
	g.fresh, g.empty = false, 0
	if _, seen := g.firsts[dn]; seen {
		return fmt.Errorf("the server repeats a page: a second one begins with %q", dn)
	}
	if g.firsts == nil {
		g.firsts = map[string]struct{}{}
	}
	g.firsts[dn] = struct{}{}
	return nil
}

func (g *loopGuard) next() error {
	if g.fresh {
		g.empty++
	}
	if g.empty > maxEmptyPages {
		return fmt.Errorf("the server gave %d empty pages in a row", g.empty)
	}
	return nil
}
