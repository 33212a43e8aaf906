package mapping

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestParseDN has the examples of RFC 4514, section 4, and what directories give beside them.
func TestParseDN(t *testing.T) {
	t.Parallel()
	for dn, want := range map[string]string{
		`UID=jsmith,DC=example,DC=net`:                   "UID:jsmith|DC:example|DC:net",
		`OU=Sales+CN=J.  Smith,DC=example,DC=net`:        "OU:Sales+CN:J.  Smith|DC:example|DC:net",
		`CN=James \"Jim\" Smith\, III,DC=example,DC=net`: `CN:James "Jim" Smith, III|DC:example|DC:net`,
		`CN=Before\0dAfter,DC=example,DC=net`:            "CN:Before\rAfter|DC:example|DC:net",
		`1.3.6.1.4.1.1466.0=#04024869`:                   "1.3.6.1.4.1.1466.0:#04024869",
		`CN=Lu\C4\8Di\C4\87`:                             "CN:Lučić",
		`cn = a b , dc=c`:                                "cn:a b|dc:c",
		`cn=\ a\ ,dc=c`:                                  "cn: a |dc:c",
		`cn="a, b; c"; dc=d`:                             "cn:a, b; c|dc:d",
		`cn=,dc=c`:                                       "cn:|dc:c",
		`cn=a\=b`:                                        "cn:a=b",
		`cn=a=b`:                                         "cn:a=b",
		``:                                               "",
		`  `:                                             "",
		`nonsense`:                                       "error",
		`=a`:                                             "error",
		`cn=a,`:                                          "error",
		`cn=a,,dc=b`:                                     "error",
		`cn=a\`:                                          "error",
		`cn="a`:                                          "error",
	} {
		parts, err := parseDN(dn)
		got := render(parts)
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("parseDN(%q) = %q, want %q", dn, got, want)
		}
	}
}

func render(parts []rdn) string {
	var out []string
	for _, p := range parts {
		var one []string
		for _, a := range p {
			one = append(one, a.name+":"+a.value)
		}
		out = append(out, strings.Join(one, "+"))
	}
	return strings.Join(out, "|")
}

func TestSameDN(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"cn=A b,DC=c", "CN=a  B, dc=C", true},
		{`cn=a\, b`, `cn=a\2C b`, true},
		{"cn=a+ou=b", "OU=b+cn=A", true},
		{"cn=a+cn=a", "cn=a+cn=b", false},
		{"cn=a,dc=b", "cn=a", false},
		{"cn=a", "uid=a", false},
	} {
		a, errA := parseDN(test.a)
		b, errB := parseDN(test.b)
		if errA != nil || errB != nil || sameDN(a, b) != test.same || sameDN(b, a) != test.same {
			t.Errorf("sameDN(%q, %q) is not %v (%v, %v)", test.a, test.b, test.same, errA, errB)
		}
	}
}

func FuzzParseDN(f *testing.F) {
	for _, s := range []string{`cn=a\,b+ou="c;d",dc=\C4\8D`, `a=#04`, `a=\`, `=`, ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		parts, err := parseDN(s)
		if err != nil {
			return
		}
		for _, p := range parts {
			for _, a := range p {
				if a.name == "" || !utf8.ValidString(a.value) {
					t.Errorf("parseDN(%q) = %s", s, fmt.Sprint(parts))
				}
			}
		}
		if !sameDN(parts, parts) {
			t.Errorf("%q is not the same as itself", s)
		}
	})
}
