// Package client calls the service's API for programs that people use. It turns the names of containers into paths,
// every answer into a type and every refusal into an *Error that says in words what a person can do about it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
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
	if c.Address == "" {
		c.Address = DefaultAddress
	}
	u, err := url.Parse(c.Address)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return nil, fault.Errorf(fault.Invalid, "the API's address %q: want something like %s", c.Address, DefaultAddress)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fault.Errorf(fault.Invalid, "the API's address must have no user, query or fragment")
	}
	if strings.ContainsFunc(c.Token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, fault.Errorf(fault.Invalid,
			"the token has blanks or characters that no token has: give the token itself, not a line of the tokens file")
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

// Address returns where the API is, without the base path.
func (c *Client) Address() string { return c.address }

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
		return out, &Error{Kind: fault.Internal, Status: resp.StatusCode, Text: c.address +
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
