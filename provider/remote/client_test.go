package remote_test

import (
	"errors"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"rollcall/provider/remote"
)

type endless struct{ read int64 }

// Read implements io.Reader.
func (e *endless) Read(p []byte) (int, error) {
	e.read += int64(len(p))
	return len(p), nil
}

type answer func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (a answer) RoundTrip(r *http.Request) (*http.Response, error) { return a(r) }

// TestAnswersHaveALargestSize checks that an answer without an end is an error before it fills the memory.
func TestAnswersHaveALargestSize(t *testing.T) {
	t.Parallel()
	body := &endless{}
	client := remote.Client(answer(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Body: io.NopCloser(body), Request: r}, nil
	}))
	res, err := client.Get("http://localhost/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("reading an endless answer = %v, want that it is too large", err)
	}
	if most := int64(256 << 20); body.read > most {
		t.Errorf("%d bytes were read, want at most %d", body.read, most)
	}
}

// TestTheClientFollowsNoRedirect checks that no other host gets what was sent to a tenant.
func TestTheClientFollowsNoRedirect(t *testing.T) {
	t.Parallel()
	client := remote.Client(answer(func(r *http.Request) (*http.Response, error) {
		if r.URL.Host != "localhost" {
			return nil, errors.New("the redirect was followed")
		}
		return &http.Response{StatusCode: 307, Body: http.NoBody, Request: r,
			Header: http.Header{"Location": {"http://elsewhere.test/"}}}, nil
	}))
	res, err := client.Post("http://localhost/", "text/plain", strings.NewReader("a secret"))
	if err != nil || res.StatusCode != 307 {
		t.Fatalf("Post() = %v, %v, want the redirect itself", res, err)
	}
	_ = res.Body.Close()
}

var secretForm = regexp.MustCompile(`^[\w.~+/-]{12,}$`)

// TestARefusedURLIsNotShown: a URL with a password or a token is refused, and the error shows neither.
func TestARefusedURLIsNotShown(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"https://u:hunter2@host", "https://u:hunter2%zz@host", "https://host/?token=hunter2",
		"https://host/#hunter2", "http://u:hunter2@host:port", "hunter2"} {
		if err := remote.CheckURL(text); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("CheckURL(%q) = %v, want an error without it", text, err)
		}
	}
}

// FuzzClean cleans what a tenant says. The result is one short line of plain text without the secret.
func FuzzClean(f *testing.F) {
	f.Add("it said: s3cr3t-of-tenant\x1b[2J\u202e and\nmore", "s3cr3t-of-tenant")
	f.Add("Bearer abc.def client_secret=x\xff eyJhbGciOi.eyJpc3Mi.x", "")
	f.Add(strings.Repeat("\u2028ü", 200), "ü")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := remote.Clean(text, secret)
		if strings.ContainsAny(got, "\n\r\t\x1b\u0085\u2028\u202e") || !utf8.ValidString(got) ||
			utf8.RuneCountInString(got) > 301 {
			t.Errorf("Clean(%q) = %q", text, got)
		}
		if secretForm.MatchString(secret) && strings.Contains(got, secret) {
			t.Errorf("Clean(%q) = %q, which has the secret %q", text, got, secret)
		}
	})
}
