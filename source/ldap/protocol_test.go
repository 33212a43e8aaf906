package ldap_test

import (
	"fmt"
	"strings"
	"testing"

	goldap "github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/source/ldap"
)

var paging = []string{goldap.ControlTypePaging}

// TestIncompleteAnswers has the ways in which a server can give less than everything. Each comes after entries.
func TestIncompleteAnswers(t *testing.T) {
	t.Parallel()
	notice := int64(0)
	for _, tc := range []struct {
		name    string
		answers []message
		kind    fault.Kind
		want    string
	}{
		{"referral", []message{done(goldap.LDAPResultReferral, "")}, fault.Invalid, "Referral (10)"},
		{"size limit", []message{done(goldap.LDAPResultSizeLimitExceeded, "")}, fault.Invalid, "Size Limit Exceeded (4)"},
		{"time limit", []message{done(goldap.LDAPResultTimeLimitExceeded, "")}, fault.Unavailable, "Time Limit Exceeded (3)"},
		{"admin limit", []message{done(goldap.LDAPResultAdminLimitExceeded, "")}, fault.Invalid, "Admin Limit Exceeded (11)"},
		{"busy", []message{done(goldap.LDAPResultBusy, "later")}, fault.Unavailable, `the server says "later"`},
		{"unavailable", []message{done(goldap.LDAPResultUnavailable, "")}, fault.Unavailable, "Unavailable (52)"},
		{"operations error", []message{done(goldap.LDAPResultOperationsError, "")}, fault.Denied, "set bind_cn"},
		{"access", []message{done(goldap.LDAPResultInsufficientAccessRights, "")}, fault.Denied,
			"Insufficient Access Rights (50)"},
		{"undefined attribute", []message{done(goldap.LDAPResultUndefinedAttributeType, "")}, fault.Invalid,
			"Undefined Attribute Type (17)"},
		{"code that nobody knows", []message{done(4242, "")}, fault.Unavailable, "(4242)"},
		{"hang-up", []message{{hangUp: true}}, fault.Unavailable, "the connection failed"},
		{"garbage", []message{{raw: []byte("\x30\x82\xff\xffHTTP/1.1 400 Bad Request\r\n\r\n")}, {hangUp: true}},
			fault.Unavailable, "the connection failed"},
		{"entry without attributes list", []message{{raw: []byte("\x30\x0a\x02\x01\x03\x64\x05\x04\x03cn=")}, page("")},
			fault.Unavailable, ""},
		{"another operation's answer", []message{result(goldap.ApplicationModifyResponse, 0, "")}, fault.Unavailable,
			"unknown tag"},
		{"notice of disconnection", []message{{op: result(goldap.ApplicationExtendedResponse, 52, "bye").op, id: &notice},
			{hangUp: true}}, fault.Unavailable,
			`Unavailable (52): the server is shutting down or offline: the server says "the server closed the connection: bye"`},
		{"notice that the account is unwelcome", []message{{op: result(goldap.ApplicationExtendedResponse, 8, "sign").op,
			id: &notice}, {hangUp: true}}, fault.Denied, "sign"},
		{"success without the paging control", []message{done(0, "")}, fault.Unavailable, "announces paging"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := &fake{announces: paging, answer: func(q query) []message {
				return append([]message{person("ada"), person("bob")}, tc.answers...)
			}}
			if err := refuse(t, open(t, f.start(t)), tc.kind); err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Read() = %v, want an error with %q", err, tc.want)
			}
		})
	}
}

// TestRefusedBindAccounts has the texts by which servers say what is wrong with the bind account.
func TestRefusedBindAccounts(t *testing.T) {
	t.Parallel()
	const ad = "80090308: LdapErr: DSID-0C09042A, comment: AcceptSecurityContext error, data %s, v3839"
	for _, tc := range []struct {
		code uint16
		said string
		want []string
	}{
		{goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "52e"), []string{"the password or the name is wrong"}},
		{goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "532"),
			[]string{"the password has expired", "set a new password"}},
		{goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "533"), []string{"the account is disabled", "enable it"}},
		{goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "701"), []string{"the account has expired", "accountExpires"}},
		{goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "773"), []string{"the password must be changed first"}},
		{goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "775"), []string{"the account is locked out", "unlock it"}},
		{goldap.LDAPResultInvalidCredentials, fmt.Sprintf(ad, "123"), []string{"check bind_cn"}},
		{goldap.LDAPResultUnwillingToPerform, "Account inactivated. Contact system administrator.",
			[]string{"the account is disabled", "enable it"}},
		{goldap.LDAPResultConstraintViolation, "Exceed password retry limit. Please try later.",
			[]string{"the account is locked out"}},
		{goldap.LDAPResultInvalidCredentials, "password expired!", []string{"the password has expired"}},
		{goldap.LDAPResultUnwillingToPerform, "NDS error: log account expired (-220)",
			[]string{"the account is disabled or has expired"}},
	} {
		f := &fake{bind: result(goldap.ApplicationBindResponse, tc.code, tc.said)}
		c := f.start(t)
		c.BindCN, c.BindPasswordEnv = "reader@example.org", "HOME"
		err := refuse(t, open(t, c), fault.Denied)
		for _, want := range append(tc.want, tc.said) {
			if !strings.Contains(fmt.Sprint(err), want) {
				t.Errorf("%q: Read() = %v, want it to say %q", tc.said, err, want)
			}
		}
	}
}

func names(snap directory.Snapshot) []string {
	var out []string
	for i := range snap.Entries {
		out = append(out, snap.Entries[i].Label())
	}
	return out
}

func TestPaging(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name      string
		announces []string
		answer    func(q query) []message
		want      []string
		fail      string
	}{
		{name: "three pages, one cookie throughout", announces: paging, answer: func(q query) []message {
			if q.n == 3 {
				return []message{person("c"), page("")}
			}
			return []message{person(string(rune('a' + q.n - 1))), page("same")}
		}, want: []string{"a", "b", "c"}},
		{name: "empty pages in between", announces: paging, answer: func(q query) []message {
			if q.n == 50 {
				return []message{person("a"), page("")}
			}
			return []message{page("go on")}
		}, want: []string{"a"}},
		{name: "nobody", announces: paging, answer: func(query) []message { return []message{page("")} }},
		{name: "no paging", announces: []string{}, answer: func(query) []message {
			return []message{person("b"),
				person("a"), done(0, "")}
		}, want: []string{"a", "b"}},
		{name: "a page without the control after a cookie", announces: []string{}, answer: func(q query) []message {
			if q.n == 1 {
				return []message{person("a"), page("x")}
			}
			return []message{done(0, "")}
		}, fail: "gave a cookie for another page"},
		{name: "hidden root DSE", answer: func(query) []message { return []message{person("a"), page("")} },
			want: []string{"a"}},
		{name: "the same page forever", announces: paging,
			answer: func(query) []message { return []message{person("a"), person("b"), page("x")} }, fail: "repeats a page"},
		{name: "a circle of pages", announces: paging, answer: func(q query) []message {
			return []message{person(string(rune('a' + q.n%3))), page(fmt.Sprint(q.n))}
		}, fail: "repeats a page"},
		{name: "empty pages forever", announces: paging,
			answer: func(q query) []message { return []message{page(fmt.Sprint(q.n))} }, fail: "empty pages in a row"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := open(t, (&fake{announces: tc.announces, answer: tc.answer}).start(t))
			if tc.fail != "" {
				if err := refuse(t, s, fault.Unavailable); !strings.Contains(fmt.Sprint(err), tc.fail) {
					t.Errorf("Read() = %v, want an error with %q", err, tc.fail)
				}
				return
			}
			if diff := cmp.Diff(tc.want, names(read(t, s))); diff != "" {
				t.Errorf("users (-want +got):\n%s", diff)
			}
		})
	}
}

// TestProgress: who reads for long shows that it does.
func TestProgress(t *testing.T) {
	t.Parallel()
	f := &fake{announces: paging, answer: func(q query) []message {
		out := make([]message, 0, 501)
		for i := range 500 {
			out = append(out, person(fmt.Sprintf("p%d-%d", q.n, i)))
		}
		if q.n < 5 {
			return append(out, page("more"))
		}
		return append(out, page(""))
	}}
	calls := 0
	s, err := ldap.New(f.start(t), nil, ldap.Options{Progress: func() { calls++ }})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(read(t, s).Entries); n != 2500 || calls != 3 {
		t.Errorf("%d entries with %d signs of progress, want 2500 with 3", n, calls)
	}
}

func TestReferencesAreNamed(t *testing.T) {
	t.Parallel()
	f := &fake{announces: paging, answer: func(q query) []message {
		if q.n == 1 {
			return []message{reference("ldap://z/"), person("a"), reference("ldap://b/"), page("x")}
		}
		return []message{reference("ldap://b/"), page("")}
	}}
	snap := read(t, open(t, f.start(t)))
	if diff := cmp.Diff([]string{"ldap://b/", "ldap://z/"}, snap.Referrals); diff != "" {
		t.Errorf("referrals (-want +got):\n%s", diff)
	}
}

// ranged answers as Active Directory does for an attribute with more values than MaxValRange: an empty attribute, the
// first values under another name, and the rest when asked for. Nothing is there from the value number end on. usn is
// the number of the entry's last change before the nth request.
// A negative number of changes stands for a group that is not there any more.
func ranged(total, perAnswer, end int, usn func(n int) int) func(q query) []message {
	values := func(from, to int) (out []string) {
		for i := from; i < min(to, end); i++ {
			out = append(out, fmt.Sprintf("uid=u%d,dc=example,dc=org", i))
		}
		return out
	}
	requests := 0
	return func(q query) []message {
		var from int
		_, err := fmt.Sscanf(q.attrs[0], "member;range=%d-*", &from)
		changes := usn(requests)
		changed := attr{"uSNChanged", []string{fmt.Sprint(changes)}}
		requests++
		switch {
		case changes < 0:
			return []message{done(goldap.LDAPResultNoSuchObject, "no such object")}
		case strings.Contains(q.filter, "person"):
			requests = 0
			return []message{person("u0"), person("u1"), person("u2"), person("u3"), page("")}
		case err != nil:
			end := done(0, "")
			if q.base == "dc=example,dc=org" {
				end = page("")
			}
			return []message{
				entryOf("cn=big,dc=example,dc=org", attr{"CN", []string{"big"}}, attr{"ENTRYUUID", []string{"G"}},
					attr{"cn;lang-de", []string{"gross"}}, changed,
					attr{"member", nil}, attr{fmt.Sprintf("member;range=0-%d", perAnswer-1), values(0, perAnswer)}), end,
			}
		}
		last := fmt.Sprint(from + perAnswer - 1)
		if from+perAnswer >= total {
			last = "*"
		}
		if from >= end {
			return []message{entryOf(q.base, changed), done(0, "")}
		}
		return []message{entryOf(q.base, attr{fmt.Sprintf("member;range=%d-%s", from, last), values(from, from+perAnswer)},
			changed), done(0, "")}
	}
}

func TestRangedMembers(t *testing.T) {
	t.Parallel()
	still := func(int) int { return 7 }
	c := (&fake{announces: paging, answer: ranged(10, 3, 10, still)}).start(t)
	c.SyncGroups = true
	snap := read(t, open(t, c, "member"))
	if len(snap.Entries) != 5 {
		t.Fatalf("entries = %v, want 5", names(snap))
	}
	big := snap.Entries[4]
	if len(big.Members) != 4 || big.ID != "g" || len(big.Attributes.Values("member")) != 10 {
		t.Errorf("members = %v, attribute with %d values, want 4 and 10", big.Members, len(big.Attributes.Values("member")))
	}
	if got := big.Attributes.Values("cn"); len(got) != 1 || got[0] != "big" {
		t.Errorf("cn = %q, want big without the tagged variant", got)
	}
	c = (&fake{announces: paging, answer: ranged(10, 3, 6, still)}).start(t)
	c.SyncGroups = true
	if err := refuse(t, open(t, c), fault.Unavailable); !strings.Contains(fmt.Sprint(err), "not the rest") {
		t.Errorf("Read() = %v, want it to say that the rest is missing", err)
	}
}

// The values of an attribute that come in several answers are one state of the entry (law 1). A group that changes
// between two answers is read again, and one that never stops changing is held.
func TestLaw1RangedMembersAreOneState(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		usn     func(n int) int
		members int
		problem string
	}{
		"changed after the list":          {func(n int) int { return min(n, 1) }, 4, ""},
		"changed between the first parts": {func(n int) int { return min(n, 2) }, 4, ""},
		"changed before the last part":    {func(n int) int { return min(n, 4) }, 4, ""},
		"changed often":                   {func(n int) int { return min(n/3, 3) }, 4, ""},
		"changes all the time":            {func(n int) int { return n }, 0, "changed during each of 5 reads"},
		"moved after the list":            {func(n int) int { return -min(n, 1) }, 0, "moved or deleted meanwhile"},
		"moved between the parts":         {func(n int) int { return -max(0, n-1) }, 0, "moved or deleted meanwhile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := (&fake{announces: paging, answer: ranged(10, 3, 10, tc.usn)}).start(t)
			c.SyncGroups = true
			snap := read(t, open(t, c, "member"))
			var members, problems int
			for _, e := range snap.Entries {
				members += len(e.Members)
			}
			for _, f := range snap.Findings {
				if f.Ref == (directory.Ref{Kind: directory.Group, ID: "g"}) && strings.Contains(f.Problem, tc.problem) {
					problems++
				}
			}
			if members != tc.members || (problems > 0) != (tc.problem != "") {
				t.Errorf("members = %d, findings %v; want %d members and %q", members, snap.Findings, tc.members, tc.problem)
			}
		})
	}
}
