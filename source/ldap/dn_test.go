package ldap

import (
	"strings"
	"testing"
)

func TestNormalizeDN(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, in, want string }{
		{"empty", "", ""},
		{"plain", "uid=ada,ou=people,dc=example,dc=org", "uid=ada,ou=people,dc=example,dc=org"},
		{"case", "UID=Ada,OU=People,DC=Example,DC=ORG", "uid=ada,ou=people,dc=example,dc=org"},
		{"blanks around separators", " uid = ada , ou=people,  dc=example , dc=org ", "uid=ada,ou=people,dc=example,dc=org"},
		{"inner blanks", "cn=Ada   King,dc=org", "cn=ada king,dc=org"},
		{"one inner blank", "CN=Ada King,DC=org", "cn=ada king,dc=org"},
		{"blank before comma", "cn=Ada King ,dc=org", "cn=ada king,dc=org"},
		{"escaped blank at the ends", `cn=\ ada\ ,dc=org`, "cn=ada,dc=org"},
		{"escaped comma", `cn=King\, Ada,dc=org`, `cn=king\, ada,dc=org`},
		{"hex comma", `cn=King\2C Ada,dc=org`, `cn=king\, ada,dc=org`},
		{"hex comma, lower case", `cn=King\2c Ada,dc=org`, `cn=king\, ada,dc=org`},
		{"quoted comma", `CN="King, Ada",dc=org`, `cn=king\, ada,dc=org`},
		{"escape that is not needed", `cn=\go\=x,dc=org`, "cn=go=x,dc=org"},
		{"equals in a value", "cn=a=b,dc=org", "cn=a=b,dc=org"},
		{"escaped equals", `cn=a\=b,dc=org`, "cn=a=b,dc=org"},
		{"octet string", "cn=#0403416461,dc=org", "cn=ada,dc=org"},
		{"utf8 string", "cn=#0c03416461,dc=org", "cn=ada,dc=org"},
		{"bmp string", "cn=#1e0600410064006 1,dc=org", ""},
		{"bmp string, whole", "cn=#1e06004100640061,dc=org", "cn=ada,dc=org"},
		{"integer", "1.2.3=#020105,dc=org", "1.2.3=#020105,dc=org"},
		{"escaped number sign", `cn=\#1,dc=org`, `cn=\#1,dc=org`},
		{"inner number sign", `cn=a#1,dc=org`, `cn=a#1,dc=org`},
		{"several values, order", "uid=ada+cn=Ada,dc=org", "cn=ada+uid=ada,dc=org"},
		{"several values, blanks", "cn=Ada + uid=ada,dc=org", "cn=ada+uid=ada,dc=org"},
		{"OID", "2.5.4.3=Ada,0.9.2342.19200300.100.1.25=org", "cn=ada,dc=org"},
		{"OID prefix", "OID.2.5.4.3=Ada,dc=org", "cn=ada,dc=org"},
		{"long names", "commonName=Ada,domainComponent=org", "cn=ada,dc=org"},
		{"semicolons", "cn=Ada;dc=org", "cn=ada,dc=org"},
		{"umlaut", "cn=JÜRGEN,dc=org", "cn=jürgen,dc=org"},
		{"umlaut, escaped", `cn=J\C3\9CRGEN,dc=org`, "cn=jürgen,dc=org"},
		{"umlaut, decomposed", "cn=Ju\u0308rgen,dc=org", "cn=jürgen,dc=org"},
		{"sharp s", "cn=Strauß,dc=org", "cn=strauss,dc=org"},
		{"ligature", "cn=ﬁn,dc=org", "cn=fin,dc=org"},
		{"no-break space", "cn=Ada\u00a0King,dc=org", "cn=ada king,dc=org"},
		{"soft hyphen", "cn=A\u00adda,dc=org", "cn=ada,dc=org"},
		{"fullwidth", "cn=Ａｄａ,dc=org", "cn=ada,dc=org"},
		{"not UTF-8", `cn=A\ffb,dc=org`, `cn=a\ffb,dc=org`},
		{"trailing backslash in value", `cn=a\\,dc=org`, `cn=a\\,dc=org`},
		{"empty value", "cn=,dc=org", "cn=,dc=org"},
		{"empty last value", "cn=a,dc=", "cn=a,dc="},
		{"deleted object", `CN=Ada\0ADEL:1f,DC=org`, "cn=ada del:1f,dc=org"},
		{"no type", "ada,dc=org", ""},
		{"control character in the type", "a\x10=0", ""},
		{"no equals", "cn", ""},
		{"trailing comma", "cn=a,", ""},
		{"double comma", "cn=a,,dc=org", ""},
		{"trailing plus", "cn=a+", ""},
		{"incomplete escape", `cn=a\`, ""},
		{"half a hex escape", `cn=a\4,dc=org`, ""},
		{"open quote", `cn="a,dc=org`, ""},
		{"odd hex", "cn=#040,dc=org", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got, err := NormalizeDN(tc.in)
			if got != tc.want || (err != nil) != (tc.want == "" && tc.in != "") {
				t.Errorf("NormalizeDN(%q) = %q, %v, want %q", tc.in, got, err, tc.want)
			}
		})
	}
}

func TestUnder(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		dn, base string
		want     bool
	}{
		{"dc=org", "dc=org", true}, {"cn=a,dc=org", "dc=org", true}, {"cn=a,ddc=org", "dc=org", false},
		{"dc=org", "cn=a,dc=org", false}, {"cn=a", "", true}, {`cn=a\,ou=b,dc=org`, "ou=b,dc=org", false},
		{`cn=a\\,ou=b,dc=org`, "ou=b,dc=org", true}, {`cn=a\\\,ou=b,dc=org`, "ou=b,dc=org", false},
	} {
		if got := under(tc.dn, tc.base); got != tc.want {
			t.Errorf("under(%q, %q) = %v, want %v", tc.dn, tc.base, got, tc.want)
		}
	}
}

func FuzzNormalizeDN(f *testing.F) {
	for _, seed := range []string{
		"uid=ada,ou=people,dc=org", "CN=Ada  King+UID=a, DC=org", `cn=\2C\20#,dc=org`, `cn="a,b";dc=x`, "cn=#0403416461",
		"cn=Strauß,dc=ﬁ",
		`cn=a\ff,dc=\00`, "2.5.4.3=#02\u0130", "cn=\u1e9e\u0345\u03b1\u0301", "cn= a", "cn=a\u00a0", "o=\u2000", `cn=\e2\80`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, dn string) {
		once, err := NormalizeDN(dn)
		if err != nil {
			return
		}
		twice, err := NormalizeDN(once)
		if err != nil || twice != once {
			t.Errorf("NormalizeDN(%q) = %q, and again %q, %v", dn, once, twice, err)
		}
		if slow := slowNormal(t, dn); once != slow {
			t.Errorf("NormalizeDN(%q) = %q, the parser alone says %q", dn, once, slow)
		}
		if near, err := closeDN(dn); err != nil || looseDN(near) != once {
			t.Errorf("closeDN(%q) = %q, %v, which is %q in the other form, want %q", dn, near, err, looseDN(near), once)
		}
	})
}

// slowNormal normalises without the fast path.
func slowNormal(t *testing.T, dn string) string {
	t.Helper()
	p := dnParser{rest: strings.Trim(dn, " \t\r\n"), prepare: prepare}
	var parts []string
	for p.rest != "" || p.more {
		var out strings.Builder
		if err := p.rdn(&out); err != nil {
			t.Fatalf("%q: %v", dn, err)
		}
		parts = append(parts, out.String())
	}
	return strings.Join(parts, ",")
}

func BenchmarkNormalizeDN(b *testing.B) {
	for _, tc := range []struct{ name, dn string }{
		{"lower", "uid=u000123,ou=people,dc=example,dc=org"},
		{"mixed", "CN=Ada King,OU=People,OU=Berlin,DC=example,DC=org"},
		{"escaped", `CN=King\, Ada,OU=People,OU=Berlin,DC=example,DC=org`},
		{"unicode", "CN=Jürgen Groß,OU=Köln,DC=example,DC=org"},
	} {
		b.Run(tc.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := NormalizeDN(tc.dn); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
