package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"rollcall/internal/secret"
)

func TestValueIsNeverPrinted(t *testing.T) {
	t.Parallel()
	const text = "hunter2"
	type config struct {
		Password secret.Value `json:"password" yaml:"password"`
	}
	c := config{text}
	var out strings.Builder
	for _, verb := range []string{"%s", "%v", "%+v", "%#v", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&out, verb+" "+verb+"\n", c, c.Password)
	}
	for _, marshal := range []func(any) ([]byte, error){json.Marshal, yaml.Marshal} {
		b, err := marshal([]config{c})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(b)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "password", c.Password)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "password", c.Password)
	out.Write(log.Bytes())
	for _, leak := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("output shows %q:\n%s", leak, out.String())
		}
	}
	if got := c.Password.Reveal(); got != text {
		t.Errorf("Reveal() = %q, want %q", got, text)
	}
	if got := secret.Value("").String(); got != "" {
		t.Errorf("String() of an empty value = %q, want an empty text", got)
	}
}

func TestFromFile(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, content string
		mode          os.FileMode
		strict        bool
		want          secret.Value
		warn, fail    string
	}{
		{name: "newline", content: "s3cret\n", mode: 0o600, want: "s3cret"},
		{name: "crlf", content: "s3cret\r\n", mode: 0o600, want: "s3cret"},
		{name: "one newline only", content: " s3cret \n\n", mode: 0o600, strict: true, want: " s3cret \n"},
		{name: "group", content: "s3cret", mode: 0o640, strict: true, want: "s3cret"},
		{name: "readable", content: "s3cret", mode: 0o644, want: "s3cret", warn: "read by every user"},
		{name: "readable, strict", content: "s3cret", mode: 0o644, strict: true, fail: "read by every user"},
		{name: "writable", content: "s3cret", mode: 0o602, fail: "written by every user"},
		{name: "empty", content: "\n", mode: 0o600, fail: "is empty"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "secret")
			if err := os.WriteFile(path, []byte(tc.content), tc.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, tc.mode); err != nil {
				t.Fatal(err)
			}
			got, warning, err := secret.FromFile(path, tc.strict)
			if got != tc.want {
				t.Errorf("FromFile() = %q, want %q", got.Reveal(), tc.want.Reveal())
			}
			if !strings.Contains(warning, tc.warn) || (tc.warn == "") != (warning == "") {
				t.Errorf("warning = %q, want one with %q", warning, tc.warn)
			}
			if (err != nil) != (tc.fail != "") || err != nil && !strings.Contains(err.Error(), tc.fail) {
				t.Errorf("error = %v, want one with %q", err, tc.fail)
			}
		})
	}
	if _, _, err := secret.FromFile(filepath.Join(t.TempDir(), "missing"), false); err == nil {
		t.Error("FromFile(missing) gives no error")
	}
}
