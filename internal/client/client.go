// Package client calls the service's API for programs that people use. It turns the names of containers into paths,
// every answer into a type and every refusal into an *Error that says in words what a person can do about it.
package client

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/secret"
	"rollcall/provider"
)

// DefaultAddress is where the API listens when nothing else was said.
const DefaultAddress = "http://127.0.0.1:8080"

// Config says where the API is and who calls it.
type Config struct {
	// Address is the API's URL, with or without the base path /api/v3; DefaultAddress where it is empty.
	Address string
	// Token is the caller's; none is sent where it is empty.
	Token secret.Value
	// Insecure permits a token over plain HTTP to another host.
	Insecure bool
	// Types are the types of provider to list.
	Types []provider.Type
	// Transport carries requests; http.DefaultTransport where it is nil.
	Transport http.RoundTripper
}

// Client calls one API. It is safe for concurrent use.
type Client struct {
	address string // without a slash at its end
	token   secret.Value
	types   []provider.Type
	http    *http.Client
}

const (
	basePath = "/api/v3"
	// callTime is how long one call may take. The sync of one object may be waited for on the other side.
	callTime   = 30 * time.Second
	objectTime = 3 * time.Minute
	// explainTime is for an answer for which the other side asks directories and tenants.
	explainTime = 90 * time.Second
	// maxBody is more than any answer has.
	maxBody = 256 << 20
)

// New returns a client. The error is fault.Invalid and says what is wrong with the address or the token.
func New(c Config) (*Client, error) {
	c.Address = cmp.Or(c.Address, DefaultAddress)
	u, err := url.Parse(c.Address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		shown := c.Address[strings.LastIndex(c.Address, "@")+1:] // A password may come before it.
		return nil, fault.Errorf(fault.Invalid, "the API's address %q: want something like %s", shown, DefaultAddress)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fault.Errorf(fault.Invalid, "the API's address must have no user, query or fragment")
	}
	if strings.ContainsFunc(c.Token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fault.Errorf(fault.Invalid,
			"the token has blanks or characters that no token has: give the token itself, not a line of the tokens "+
				"file")
	}
	if u.Scheme == "http" && c.Token != "" && !c.Insecure && !secret.StaysHere(u.Hostname()) {
		return nil, fault.Errorf(fault.Invalid,
			"the token would cross the network in the clear to %s: give an https address, or --insecure", u.Host)
	}
	address := strings.TrimSuffix(strings.TrimRight(c.Address, "/"), basePath)
	return &Client{
		address: strings.TrimRight(address, "/"), token: c.Token, types: c.Types,
		// A redirect could send the request, and its token, to a host that the operator did not name.
		http: &http.Client{Transport: c.Transport, CheckRedirect: func(*http.Request,
			[]*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}, nil
}

// Answer is an answer of the API, decoded and as received.
type Answer[T any] struct {
	Value T
	Body  []byte
	// Status is the HTTP status, 2xx.
	Status int
}

// Text is an answer that is handed on without being read.
type Text string

// pathOf returns the path of a container below the base path.
func pathOf(c container.ID) string {
	family := "/providers/" + string(c.Kind())
	if c.IsSource() {
		family = "/sources/" + string(c.Kind())
	}
	return family + "/" + url.PathEscape(c.Name()) + "/"
}

func get[T any](ctx context.Context, c *Client, path string, q url.Values) (Answer[T], error) {
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	return call[T](ctx, c, http.MethodGet, path, nil, callTime)
}

func post[T any](ctx context.Context, c *Client, path string, body any, within time.Duration) (Answer[T], error) {
	return call[T](ctx, c, http.MethodPost, path, body, within)
}

// call sends one request and reads the answer.
func call[T any](ctx context.Context, c *Client, method, path string, body any, within time.Duration) (out Answer[T],
	err error) {
	limited, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	r, err := c.request(limited, method, path, body)
	if err != nil {
		return out, err
	}
	resp, err := c.http.Do(r)
	if err != nil {
		return out, c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	out.Status = resp.StatusCode
	if out.Body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody)); err != nil {
		return out, c.unreachable(ctx, err)
	}
	const ok, redirects = 200, 300
	if resp.StatusCode < ok || resp.StatusCode >= redirects {
		return out, c.refused(resp, out.Body)
	}
	if text, is := any(&out.Value).(*Text); is {
		*text = Text(out.Body)
		return out, nil
	}
	if err := json.Unmarshal(out.Body, &out.Value); err != nil {
		return out, &Error{Kind: fault.Internal, Text: c.address +
			" answers, but not like Rollcall's API: is the address right?", Err: err}
	}
	return out, nil
}

func (c *Client) request(ctx context.Context, method, path string, body any) (*http.Request, error) {
	var content io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		content = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.address+basePath+path, content)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	r.Header.Set("Accept", "application/json")
	r.Header.Set("User-Agent", "rollcall")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token.Reveal())
	}
	return r, nil
}

// Error is an answer that is a refusal, or no answer.
type Error struct {
	// Kind is Denied for a refused token, and Unavailable if there is no answer or the server refuses for now. It is
	// Conflict if the state of a run or entry forbids the request. NotFound and Invalid concern the request itself.
	Kind fault.Kind
	// Text is what a person should read.
	Text string
	// Body is the answer as it is.
	Body []byte
	// Run is the live run that stands in the way, if one does.
	Run *Run
	Err error
}

// Error implements error.
func (e *Error) Error() string { return e.Text }

// Unwrap returns what was behind it.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of an error of this package, and Internal for others.
func KindOf(err error) fault.Kind {
	if e, is := errors.AsType[*Error](err); is {
		return e.Kind
	}
	return fault.KindOf(err)
}

// unreachable says why nothing answered.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &Error{Kind: fault.Canceled, Text: "interrupted", Err: ctx.Err()}
	}
	cause := err
	if u, is := errors.AsType[*url.Error](err); is { // It repeats the URL.
		cause = u.Err
	}
	text := c.hide(cause.Error())
	if errors.Is(err, context.DeadlineExceeded) {
		text = "no answer in time"
	}
	return &Error{Kind: fault.Unavailable, Err: err, Text: fmt.Sprintf("cannot reach the API at %s: %s\n%s", c.address,
		text, advice(cause))}
}

// advice says what to do about an API that does not answer.
func advice(err error) string {
	_, foreign := errors.AsType[x509.UnknownAuthorityError](err)
	_, wrongName := errors.AsType[x509.HostnameError](err)
	_, unusable := errors.AsType[x509.CertificateInvalidError](err)
	_, unknown := errors.AsType[*net.DNSError](err)
	switch {
	case foreign:
		return "Its certificate is not signed by an authority that this machine trusts: SSL_CERT_FILE names a file " +
			"with the certificate of that authority."
	case wrongName:
		return "Its certificate is for another name: use the one that it has, with --api or ROLLCALL_API."
	case unusable:
		return "Its certificate cannot be used: it has to be renewed."
	case strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return "It speaks plain HTTP: the address begins with http://, not https://."
	case unknown:
		return "Is the name right? --api or ROLLCALL_API says where the API is."
	case errors.Is(err, io.EOF):
		return "What is there speaks no HTTP: is it https://? --api or ROLLCALL_API says where the API is."
	}
	return "Is it running? --api or ROLLCALL_API says where it is."
}

// hide returns a text without the token. What stands before the API may repeat the request that it was sent.
func (c *Client) hide(text string) string {
	if c.token == "" {
		return text
	}
	return strings.ReplaceAll(text, c.token.Reveal(), secret.Redacted)
}

// refused makes an Error of an answer that is none of success.
func (c *Client) refused(resp *http.Response, body []byte) error {
	body = []byte(c.hide(string(body)))
	e := &Error{Kind: kindOf(resp.StatusCode), Body: body}
	if place := c.hide(resp.Header.Get("Location")); place != "" && e.Kind == fault.Internal {
		e.Text = fmt.Sprintf("%s sends callers on to %s: use the address of the API itself", c.address, place)
		return e
	}
	var fields map[string]json.RawMessage
	if json.Unmarshal(body, &fields) != nil {
		e.Body = nil
		if e.Text = fmt.Sprintf("%s speaks HTTPS: the address begins with https://, not http://",
			c.address); strings.Contains(string(body), "HTTPS server") {
			return e
		}
		e.Text = fmt.Sprintf("%s answers with %s, and not like Rollcall's API: is the address right?", c.address,
			c.hide(resp.Status))
		return e
	}
	e.Text = cmp.Or(sentence(fields), c.hide(resp.Status))
	if text, there := fields["run"]; there {
		var run Run
		if json.Unmarshal(text, &run) == nil && run.ID != "" {
			e.Run = &run
		}
	}
	switch {
	case e.Kind == fault.Denied && c.token == "":
		e.Text = "the API wants a token: name a file that has one with --token-file or ROLLCALL_TOKEN_FILE, or put " +
			"it into ROLLCALL_TOKEN"
	case e.Kind == fault.Denied && strings.Contains(e.Text, "permission"):
		e.Text = "the API refuses: the token lacks the scope for this (read looks, sync starts and cancels, approve " +
			"decides about held changes)"
	case e.Kind == fault.Denied:
		e.Text = "the API refuses the token: " + e.Text + "\nIs its line in the API's tokens file " +
			"(ROLLCALL_TOKENS_FILE)? rollcall token makes a new one."
	case e.Kind == fault.Unavailable:
		e.Text = fmt.Sprintf("the API at %s answers, but cannot serve this now: %s", c.address, e.Text)
	}
	return e
}

func kindOf(code int) fault.Kind {
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fault.Denied
	case http.StatusNotFound:
		return fault.NotFound
	case http.StatusConflict:
		return fault.Conflict
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType:
		return fault.Invalid
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return fault.Unavailable
	}
	return fault.Internal
}

// sentence puts the body of an error into words: {"detail": "…"}, or a list of complaints for each field.
func sentence(fields map[string]json.RawMessage) string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		var one string
		var many []string
		switch {
		case name == "run" || name == "code":
		case json.Unmarshal(fields[name], &one) == nil:
			lines = append(lines, one)
		case json.Unmarshal(fields[name], &many) == nil:
			lines = append(lines, many...)
		}
	}
	return strings.Join(lines, " ")
}
