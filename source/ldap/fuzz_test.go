package ldap

import (
	"context"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"rollcall/fault"
)

// FuzzFile parses anything as LDIF: it may refuse it, and never panics.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"version: 1\n\ndn: cn=a\ncn: a\n\n", "dn: cn=a\nchangetype: add\ncn: a\n\n", "dn:: Y249YQ==\ncn:: YQ==\n\n",
		"dn: cn=a\n cn: b\n\n", "# x\n y\n\n",
		"dn: cn=a\ncontrol: 1.2\n\n", "dn: cn=a\nchangetype: modify\nadd: x\n-\n\n", "search: 2\nresult: 0 Success\n\n",
		"dn: cn=a\nversion: 1\n\n", ":\n\n", "dn:\n\n", "version: 1\ndn: cn=a\n\n", "dn: cn=a\n \n\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		out := &file{path: "x.ldif", byDN: newDNIndex[int](0)}
		if out.parse(context.Background(), strings.NewReader(text)) != nil {
			return
		}
		for _, e := range out.entries {
			// A record whose DN cannot be read has none that is normalized.
			if again, err := NormalizeDN(e.DN); again != e.norm || err != nil && e.norm != "" {
				t.Errorf("NormalizeDN(%q) = %q, %v, want %q", e.DN, again, err, e.norm)
			}
		}
	})
}

// FuzzFilter compiles anything and evaluates it: what go-ldap takes, files take or refuse, and not is its own inverse.
func FuzzFilter(f *testing.F) {
	for _, seed := range []string{"(cn=a)", "(&(cn=*a*)(!(uid>=3)))", "(|)", "(cn:2.5.13.2:=A)", "(member=cn=a\\2cb)",
		"(!(userAccountControl:1.2.840.113556.1.4.803:=2))", "(cn~=x)"} {
		f.Add(seed)
	}
	e := ldap.NewEntry("cn=a", map[string][]string{"cn": {"a", "B c"}, "uid": {"7"}, "member": {"cn=a\\,b"},
		"userAccountControl": {"514"}})
	f.Fuzz(func(t *testing.T, filter string) {
		match, err := compileFilter(filter)
		if err != nil {
			return
		}
		if inverse, err := compileFilter("(!" + filter + ")"); err == nil && inverse(e) != -match(e) {
			t.Errorf("%s is %d, its negation %d", filter, match(e), inverse(e))
		}
	})
}

// endless is a value that never ends; it cancels a context on the way.
type endless struct {
	cancel context.CancelFunc
	reads  int
}

func (e *endless) Read(p []byte) (int, error) {
	if e.reads++; e.reads == 100 {
		e.cancel()
	}
	return copy(p, "dn: cn=a\n"+strings.Repeat(" a\n", 1000)), nil
}

// TestParsingIsCancelable: a context ends the reading in the middle of a value.
func TestParsingIsCancelable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	out := &file{path: "x.ldif", byDN: newDNIndex[int](0)}
	if err := out.parse(ctx, &endless{cancel: cancel}); fault.KindOf(err) != fault.Canceled {
		t.Errorf("parse() = %v, want an error of kind canceled", err)
	}
}
