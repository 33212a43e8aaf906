// Package remote has what the adapters of tenants share. These are the HTTP client, the classification of failures
// without an answer, and the parts of a state that do not depend on the vendor.
package remote

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
)

// Caller decorates each request. It may wait for quota before the request, and may repeat a request with an error
// that is Throttled or Unavailable. The op is the method, such as "users.create". *pace.Caller is one.
type Caller interface {
	Call(ctx context.Context, op string, cost pace.Cost, fn func(context.Context) error) error
}

// Options are the dependencies of a provider that speaks HTTP, besides its configuration. The zero value works.
type Options struct {
	// Caller decorates each request, and a batch with the cost of all its requests. Nil makes requests directly.
	Caller Caller
	// Observe is called after every request, including each item of a batch, with the HTTP status of the answer (zero
	// without one) and the error. Nil discards requests.
	Observe func(op string, status int, err error)
	// Transport carries the requests. Nil means a new transport that also trusts the configured authorities.
	Transport http.RoundTripper
	// Wrap wraps the transport. Nil leaves it as it is.
	Wrap func(http.RoundTripper) http.RoundTripper
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Client fills in the defaults and returns a client for that many concurrent requests. It trusts the certificate
// authorities of the file, which may be empty, besides those of the system.
func (o *Options) Client(caFile string, concurrency int) (*http.Client, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(string, int, error) {}
	}
	if o.Transport == nil {
		var err error
		if o.Transport, err = Transport(caFile, concurrency); err != nil {
			return nil, fault.Errorf(fault.Invalid, "ca_file: %w", err)
		}
	}
	if o.Wrap != nil {
		o.Transport = o.Wrap(o.Transport)
	}
	return Client(o.Transport), nil
}

// CheckURL allows https anywhere and plain http on this machine, so that a token never crosses a network in clear. The
// error shows no part of a URL that may have a password or token in it.
func CheckURL(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return errors.New("want a URL such as https://example.com/path, without user, password, query and fragment")
	}
	if u.Scheme == "https" || u.Scheme == "http" && secret.StaysHere(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("%q: plain http is for this machine only, use https", s)
}

// Client returns a client that follows no redirect, because a redirect would carry the token to another host. It cuts
// answers that are too large.
func Client(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: bounded{transport, mostBody},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

const (
	// mostBody is the size of the largest accepted answer. A group with 100,000 members has some 15 megabytes.
	mostBody = 128 << 20
	// MostPages bounds a list. A list of 500,000 objects has 5,000 pages of 100.
	MostPages = 20_000
)

// bounded gives each answer a largest size.
type bounded struct {
	http.RoundTripper
	most int64
}

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		res.Body = &body{res.Body, b.most}
	}
	return res, err
}

type body struct {
	io.ReadCloser
	left int64
}

// Read implements io.Reader. One byte beyond the largest size is an error.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, errors.New("the answer is too large")
	}
	return n, err
}

// Transport returns a transport that trusts the certificate authorities of a file besides those of the system. It
// keeps as many idle connections as there are concurrent requests.
func Transport(caFile string, concurrency int) (http.RoundTripper, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = concurrency + 2
	if caFile == "" {
		return transport, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file contains no certificate")
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// Refusal is an answer other than a success.
type Refusal struct {
	Status int
	// Code is the vendor's word for the reason, or empty.
	Code, Message string
}

// Error implements error.
func (r *Refusal) Error() string {
	text := strconv.Itoa(r.Status)
	if r.Code != "" {
		text += " " + r.Code
	}
	return text + ": " + r.Message
}

// Trouble classifies an error without an answer. ctx is the caller's, because the deadline of a request is not a
// cancellation by the caller. The text of the error is cleaned of secrets.
func Trouble(ctx context.Context, op string, err error, secrets ...string) error {
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return e
	}
	if ctx.Err() != nil {
		return fault.New(fault.KindOf(ctx.Err()), op, ctx.Err())
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return fault.New(fault.Unavailable, op, errors.New("no answer in time"))
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	return fault.New(fault.Unavailable, op, errors.New(Clean(err.Error(), secrets...)))
}

// TokenOp is the op of errors of the access token, as opposed to the request that needed it.
const TokenOp = "token"

// passing matches the error codes of token endpoints that pass by themselves, whatever the status (RFC 6749, section
// 4.1.2.1, and Google's own).
var passing = regexp.MustCompile(`\b(temporarily_unavailable|server_error|internal_failure|rate_limit_exceeded)\b`)

// TokenRefused classifies the answer of a token endpoint that issued no token. message contains the error code, and
// advice is for an answer that more attempts do not change.
func TokenRefused(status int, h http.Header, message, advice string, now time.Time) error {
	if message == "" {
		message = fmt.Sprintf("%d %s", status, http.StatusText(status))
	}
	switch {
	case status == http.StatusTooManyRequests:
		return &fault.Error{Kind: fault.Throttled, Op: TokenOp, Err: errors.New(message),
			RetryAfter: provider.RetryAfter(h.Get("Retry-After"), now)}
	case status >= 500, status == http.StatusRequestTimeout, status < 400, passing.MatchString(message):
		return fault.New(fault.Unavailable, TokenOp, errors.New(message))
	}
	return fault.New(fault.Denied, TokenOp, fmt.Errorf("%s: %s", message, advice))
}

// OfOneObject reports whether an error concerns only the requested object, and neither the target nor a temporary
// state.
func OfOneObject(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.NotFound, fault.Refused:
		return true
	default:
		return false
	}
}

// tokens matches parts of a text that must never be shown. A remote side may echo them.
var tokens = regexp.MustCompile(`(?i)(bearer|basic)\s+\S+|ya29\.[\w.\-]+|eyJ[\w\-]{8,}\.[\w.\-]+|` +
	`client_(secret|assertion)"?\s*[=:]\s*\S+|assertion=\S+`)

// Clean shortens a text to one line without tokens, without these secrets, and without characters that control a
// terminal or the direction of text.
func Clean(text string, secrets ...string) string {
	const most = 300
	text = plan.Clean(strings.ToValidUTF8(text, "\uFFFD"))
	for _, s := range secrets {
		if s != "" && utf8.ValidString(s) { // Another one is not in the text by now.
			text = strings.ReplaceAll(text, s, "<redacted>")
		}
	}
	text = strings.Join(strings.Fields(tokens.ReplaceAllString(text, "<redacted>")), " ")
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "…"
	}
	return text
}

// WebPage reports whether the body of a refusal is HTML or XML. Such an answer comes from a gateway or a front end. It
// says nothing about the requested object.
func WebPage(body string) bool { return strings.HasPrefix(strings.TrimSpace(body), "<") }

// FormSecrets returns the secrets that were sent to a token endpoint. Its answer may echo them.
func FormSecrets(res *http.Response) (secrets []string) {
	if res == nil || res.Request == nil || res.Request.GetBody == nil {
		return nil
	}
	sent, err := res.Request.GetBody()
	if err != nil {
		return nil
	}
	defer sent.Close()
	text, _ := io.ReadAll(sent) // It is in memory.
	form, _ := url.ParseQuery(string(text))
	for _, name := range []string{"client_secret", "client_assertion", "assertion"} {
		secrets = append(secrets, form.Get(name))
	}
	return secrets
}

// NewPassword returns a random password that is stored nowhere. People sign in by SSO, or reset it. The password has
// 240 random bits and each class of characters that a password policy may require, in 44 characters.
func NewPassword() string {
	secret := make([]byte, 30)
	_, _ = rand.Read(secret) // It never fails; crypto/rand ends the program instead.
	return "aA1-" + base64.RawURLEncoding.EncodeToString(secret)
}

// NewAddress returns the new address of the object, or "" if the change keeps the address.
func NewAddress(c *plan.Change) string {
	if slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool { return f.Name == plan.AddressField }) {
		return c.Address
	}
	return ""
}

// Unreadable returns a stand-in for an object of ours that the tenant refuses to show. The object exists and is not
// changed. An error that concerns more than this object is returned.
func Unreadable(ref directory.Ref, remoteID string, err error) (plan.Object, error) {
	if !OfOneObject(err) {
		return plan.Object{}, err
	}
	return StandIn(ref, remoteID, err), nil
}

// StandIn returns the stand-in of Unreadable for any error.
func StandIn(ref directory.Ref, remoteID string, err error) plan.Object {
	why := fmt.Sprintf("%s %s cannot be read: %v", ref.Kind, remoteID, err)
	return plan.Object{Ref: ref, RemoteID: remoteID, Active: true, Suspender: plan.Unknown, ReadOnly: why,
		Unreadable: true}
}

// SetMembers gives a group its members after a read. A group with hidden members is read-only. It is neither empty
// nor absent. An error that concerns more than this group is returned.
func SetMembers(o *plan.Object, name string, members []string, found bool, err error) error {
	switch {
	case err != nil && !OfOneObject(err):
		return err
	case err != nil:
		o.ReadOnly = fmt.Sprintf("the members of group %s cannot be read: %v", name, err)
	case !found:
		o.ReadOnly = fmt.Sprintf("the members of group %s are not found; it is new, or was deleted moments ago", name)
	}
	o.Unreadable = o.Unreadable || o.ReadOnly != ""
	o.Members, o.Size, o.Listed = members, 0, !o.Unreadable
	return nil
}

// Suspender returns who suspended an account of a tenant that has no place for our mark, so that only the ledger
// knows. An active account with our mark was activated by hand, or the tenant shows an old state. In both cases the
// mark has to be removed before the account is suspended by hand.
func Suspender(o *plan.Object, link plan.Link) plan.Suspender {
	known := o.Anchored() && link.RemoteID == o.RemoteID
	switch {
	case known && link.Suspended:
		return plan.Us
	case o.Active:
		return plan.Nobody
	case known:
		return plan.Else
	}
	return plan.Unknown
}

// Carries returns an error unless an object with the anchor id is one of those that the change may touch. An empty
// want allows an object without an anchor.
func Carries(c *plan.Change, id directory.ID, want ...directory.ID) error {
	switch {
	case slices.Contains(want, id):
		return nil
	case id == "":
		return fault.Errorf(fault.Conflict, "%s %s no longer carries our anchor", c.Kind, c.RemoteID)
	}
	return fault.Errorf(fault.Conflict, "%s %s carries the anchor of another entry (%s)", c.Kind, c.RemoteID, id)
}

// Unprotected returns an error for an object that is protected. why is the reason, or empty.
func Unprotected(c *plan.Change, why string) error {
	if why == "" {
		return nil
	}
	return fault.Errorf(fault.Conflict, "%s: %s %s is protected: %s", c.Op, c.Kind, c.RemoteID, why)
}
