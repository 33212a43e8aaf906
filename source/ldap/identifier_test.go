package ldap

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"
)

func TestIdentifier(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		attr      string
		values    []string
		want      string
		assertion string
		problem   string
	}{
		{attr: "entryUUID", values: []string{"AAAAAAAA-0000-4000-8000-00000000000F"},
			want: "aaaaaaaa-0000-4000-8000-00000000000f", assertion: "aaaaaaaa-0000-4000-8000-00000000000f"},
		{
			attr: "objectGUID", values: []string{"\x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff"},
			want: "00112233-4455-6677-8899-aabbccddeeff", assertion: `\33\22\11\00\55\44\77\66\88\99\aa\bb\cc\dd\ee\ff`,
		},
		{attr: "objectguid", values: []string{"short"}, problem: "5 bytes, want 16"},
		{
			attr: "objectSid",
			values: []string{"\x01\x05\x00\x00\x00\x00\x00\x05\x15\x00\x00\x00\x01\x00\x00\x00" +
				"\xff\xff\xff\xff\x03\x00\x00\x00\xf4\x01\x00\x00"},
			want:      "S-1-5-21-1-4294967295-3-500",
			assertion: `\01\05\00\00\00\00\00\05\15\00\00\00\01\00\00\00\ff\ff\ff\ff\03\00\00\00\f4\01\00\00`,
		},
		{attr: "objectSid", values: []string{"\x01\x05\x00"}, problem: "not a SID"},
		{attr: "nsUniqueId", values: []string{"66446001-1dd211b2-82ed9f8b-8a3c0000"},
			want: "66446001-1dd211b2-82ed9f8b-8a3c0000", assertion: "66446001-1dd211b2-82ed9f8b-8a3c0000"},
		{attr: "uid", values: []string{"A*(b)"}, want: "A*(b)", assertion: `A\2a\28b\29`},
		{attr: "uid", problem: "it has no uid"},
		{attr: "uid", values: []string{""}, problem: "it has no uid"},
		{attr: "uid", values: []string{"a", "b"}, problem: "2 values"},
		{attr: "uid", values: []string{"\xff"}, problem: "not UTF-8"},
	} {
		i := identifierFor(tc.attr, standardSchema)
		var raw [][]byte
		for _, v := range tc.values {
			raw = append(raw, []byte(v))
		}
		id, problem := i.of(raw)
		if string(id) != tc.want || !strings.Contains(problem, tc.problem) || (problem == "") != (tc.problem == "") {
			t.Errorf("%s of %q = %q, %q, want %q, %q", tc.attr, tc.values, id, problem, tc.want, tc.problem)
		}
		if tc.want == "" {
			continue
		}
		if got, err := i.assertion(tc.want); got != tc.assertion || err != nil {
			t.Errorf("%s assertion of %q = %q, %v, want %q", tc.attr, tc.want, got, err, tc.assertion)
		}
	}
	for attr, ids := range map[string][]string{
		"objectGUID": {"", "x", "00112233-4455-6677-8899-aabbccddeef", "00112233x4455-6677-8899-aabbccddeeff",
			"zz112233-4455-6677-8899-aabbccddeeff"},
		"objectSid": {"", "S-1", "S-1-x", "T-1-5-21", "S-1-5-4294967296", "S-1-5--1", "S-999-5"},
	} {
		for _, id := range ids {
			if got, err := identifierFor(attr, standardSchema).assertion(id); err == nil {
				t.Errorf("%s assertion of %q = %q, want an error", attr, id, got)
			}
		}
	}
}

func TestActive(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	const day = 24 * 60 * 60
	today := now.Unix() / day
	ticks := func(at time.Time) string { return itoa((at.Unix() + 11_644_473_600) * 10_000_000) }
	for _, tc := range []struct {
		name string
		a    activity
		want bool
	}{
		{"nothing said", activity{}, true},
		{"AD, enabled", activity{userAccountControl: {"512"}}, true},
		{"AD, disabled", activity{userAccountControl: {"514"}}, false},
		{"AD, locked out", activity{userAccountControl: {"528"}}, true},
		{"AD, disabled, many flags", activity{userAccountControl: {"66050"}}, false},
		{"AD, nonsense", activity{userAccountControl: {"x"}}, true},
		{"AD, a hexadecimal number, nonsense", activity{userAccountControl: {"0x202"}}, true},
		{"AD, expiry nonsense", activity{userAccountControl: {"512"}, accountExpires: {"never"}}, true},
		{"AD, never expires", activity{userAccountControl: {"512"}, accountExpires: {"0"}}, true},
		{"AD, never expires, largest", activity{userAccountControl: {"512"}, accountExpires: {"9223372036854775807"}}, true},
		{"AD, expired a second ago", activity{userAccountControl: {"512"}, accountExpires: {ticks(now.Add(-time.Second))}},
			false},
		{"AD, expires in a second",
			activity{userAccountControl: {"512"}, accountExpires: {ticks(now.Add(time.Second))}}, true},
		{"AD goes before shadow", activity{userAccountControl: {"512"}, shadowExpire: {"1"}}, true},
		{"IPA, locked", activity{nsAccountLock: {"TRUE"}}, false},
		{"IPA, locked, lower case", activity{nsAccountLock: {"true"}}, false},
		{"IPA, not locked", activity{nsAccountLock: {"FALSE"}}, true},
		{"IPA, nonsense", activity{nsAccountLock: {"yes"}}, true},
		{"eDirectory, nonsense", activity{loginDisabled: {"1"}}, true},
		{"eDirectory, expiry nonsense", activity{loginExpirationTime: {"tomorrow"}}, true},
		{"eDirectory, expired", activity{loginExpirationTime: {"20250101000000Z"}}, false},
		{"ppolicy, by an administrator", activity{pwdAccountLockedTime: {"000001010000Z"}}, false},
		{"ppolicy, wrong passwords", activity{pwdAccountLockedTime: {"20260504115900Z"}}, true},
		{"ppolicy, by an administrator, with seconds", activity{pwdAccountLockedTime: {"00000101000000.0Z"}}, false},
		{"ppolicy, nonsense", activity{pwdAccountLockedTime: {"0000"}}, true},
		{"no userAccountControl, expired", activity{accountExpires: {ticks(now)}}, false},
		{"AD LDS, disabled", activity{userAccountDisabled: {"TRUE"}}, false},
		{"OpenDJ, disabled", activity{pwpAccountDisabled: {"true"}}, false},
		{"FreeIPA, expired", activity{krbPrincipalExpiration: {"20260504120000Z"}}, false},
		{"FreeIPA, expires in a minute", activity{krbPrincipalExpiration: {"202605041301+01"}}, true},
		{"FreeIPA, a fraction of an hour, nonsense", activity{krbPrincipalExpiration: {"2026050413,5+0230"}}, true},
		{"shadow, today", activity{shadowExpire: {itoa(today)}}, false},
		{"shadow, tomorrow", activity{shadowExpire: {itoa(today + 1)}}, true},
		{"shadow, never", activity{shadowExpire: {"-1"}}, true},
		{"shadow, zero", activity{shadowExpire: {"0"}}, true},
		{"shadow, nonsense", activity{shadowExpire: {"x"}}, true},
	} {
		if got := tc.a.active(now); got != tc.want {
			t.Errorf("%s: active() = %v, want %v", tc.name, got, tc.want)
		}
		if got := tc.a.unreadable(); (got != "") != strings.HasSuffix(tc.name, "nonsense") {
			t.Errorf("%s: unreadable() = %q", tc.name, got)
		}
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

func TestRangeAndSuffix(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"member;range=0-1499": "member 1500", "member;range=1500-*": "member last", "Member;lang-de;Range=0-9": "Member 10",
		"member": "", "cn;lang-de": "", "member;range=x": "", "member;range=0-x": "",
	} {
		base, next, last, ok := parseRange(name)
		got := ""
		switch {
		case ok && last:
			got = base + " last"
		case ok:
			got = base + " " + itoa(int64(next))
		}
		if got != want {
			t.Errorf("parseRange(%q) = %q, want %q", name, got, want)
		}
	}
	for value, want := range map[string]string{
		"cn=a,dc=b#'0101'B": "cn=a,dc=b", "cn=a,dc=b#''B": "cn=a,dc=b", "cn=a,dc=b": "cn=a,dc=b",
		"cn=a#'012'B": "cn=a#'012'B", "'B": "'B", "cn='01'B": "cn='01'B",
	} {
		if got := withoutUID(value); got != want {
			t.Errorf("withoutUID(%q) = %q, want %q", value, got, want)
		}
	}
}

func TestFamilies(t *testing.T) {
	t.Parallel()
	for want, attrs := range map[family]map[string][]string{
		activeDirectory: {"supportedCapabilities": {"1.2.840.113556.1.4.1670", "1.2.840.113556.1.4.800"}},
		openLDAP:        {"objectClass": {"top", "OpenLDAProotDSE"}},
		freeIPA:         {"vendorName": {"389 Project"}, "namingContexts": {"cn=changelog", "o=ipaca", "dc=ipa,dc=test"}},
		directory389:    {"vendorName": {"389 Project"}, "vendorVersion": {"389-Directory/2.3.1"}},
		unknownFamily:   {"vendorName": {"Example"}},
	} {
		if got := parseRootDSE(ldap.NewEntry("", attrs)).family; got != want {
			t.Errorf("family of %v = %s, want %s", attrs, got, want)
		}
	}
	foreign := map[string][]string{"vendorName": {"389 Project"}, "namingContexts": {"dc=ipa,dc=test"},
		"supportedExtension": {"1.3.6.1.4.1.4203.1.11.1", "2.16.840.1.113730.3.8.10.1"}}
	if got := parseRootDSE(ldap.NewEntry("", foreign)).family; got != freeIPA {
		t.Errorf("family of a FreeIPA domain with a foreign authority = %s", got)
	}
}

// TestGlobalCatalog: its ports are refused on Active Directory and mean nothing elsewhere.
func TestGlobalCatalog(t *testing.T) {
	t.Parallel()
	for port, want := range map[string]bool{"389": false, "636": false, "3268": true, "3269": true} {
		for family, applies := range map[family]bool{activeDirectory: true, openLDAP: false} {
			s := &session{server: server{scheme: "ldap", addr: "dc1.example.org:" + port}, root: &rootDSE{family: family}}
			if err := s.refuseCatalog(); (err != nil) != (want && applies) {
				t.Errorf("%s on port %s: %v", family, port, err)
			}
		}
	}
}
