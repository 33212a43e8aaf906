package client

import (
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

	"rollcall/fault"
)

// Error is an answer that is a refusal, or no answer.
type Error struct {
	// Kind is Denied for a token that is refused, Unavailable where there is no answer or only for now, Conflict where
	// something stands in the way, NotFound and Invalid for what was asked.
	Kind fault.Kind
	// Status is the HTTP status, 0 where nothing answered.
	Status int
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
	text := cause.Error()
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
		return "Nobody whom this machine trusts has signed its certificate: SSL_CERT_FILE names a file with the " +
			"certificate of who has."
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

// refused makes an Error of an answer that is none of success.
func (c *Client) refused(resp *http.Response, body []byte) error {
	e := &Error{Kind: kindOf(resp.StatusCode), Status: resp.StatusCode, Body: body}
	if place := resp.Header.Get("Location"); place != "" && e.Kind == fault.Internal {
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
		e.Text = fmt.Sprintf("%s answers with %s, and not like Rollcall's API: is the address right?", c.address, resp.Status)
		return e
	}
	e.Text = cmp.Or(sentence(fields), resp.Status)
	if text, there := fields["run"]; there {
		var run Run
		if json.Unmarshal(text, &run) == nil && run.ID != "" {
			e.Run = &run
		}
	}
	switch {
	case e.Kind == fault.Denied && c.token == "":
		e.Text = "the API wants a token: name a file that has one with --token-file or ROLLCALL_TOKEN_FILE, or put it " +
			"into ROLLCALL_TOKEN"
	case e.Kind == fault.Denied && strings.Contains(e.Text, "permission"):
		e.Text = "the API refuses: the token lacks the scope for this (read looks, sync starts and cancels, approve " +
			"decides about held changes)"
	case e.Kind == fault.Denied:
		e.Text = "the API refuses the token: " + e.Text + "\nIs its line in the API's tokens file (ROLLCALL_TOKENS_FILE)? " +
			"rollcall token makes a new one."
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
