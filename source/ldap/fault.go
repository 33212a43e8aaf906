package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/fault"
)

// errSilent is the cause when a server did not answer in time.
var errSilent = errors.New("the server was silent for longer than request_timeout")

// verdict says what a result code means to the caller and what a person can do about it.
type verdict struct {
	kind fault.Kind
	hint string
}

// verdicts has the result codes (RFC 4511, appendix A) with a known meaning. Any other code fails the read as
// Unavailable: nothing that is not success is part of an answer.
var verdicts = map[uint16]verdict{
	ldap.LDAPResultOperationsError: {fault.Denied, "Active Directory says so to anonymous searches: set bind_cn"},
	ldap.LDAPResultProtocolError:   {fault.Invalid, "the server did not understand the request"},
	ldap.LDAPResultTimeLimitExceeded: {fault.Unavailable, "the server stopped at its time limit: raise it " +
		"for the bind account, or index what the filter asks for"},
	ldap.LDAPResultSizeLimitExceeded: {fault.Invalid, "the server stopped at its size limit and gave only " +
		"a part: raise it for the bind account (OpenLDAP: olcLimits; 389: nsSizeLimit and nsPagedSizeLimit)"},
	ldap.LDAPResultAuthMethodNotSupported: {fault.Denied, "the server refuses simple binds"},
	ldap.LDAPResultStrongAuthRequired:     {fault.Denied, "the server wants TLS before a bind: use ldaps:// or start_tls"},
	ldap.LDAPResultReferral: {fault.Invalid, "the server sent us elsewhere instead of answering: " +
		"set base_dn to what it holds, or server_uri to the server that holds it"},
	ldap.LDAPResultAdminLimitExceeded: {fault.Invalid, "the server stopped at an administrative limit: " +
		"raise it for the bind account (389: nsLookThroughLimit), or index what the filter asks for"},
	ldap.LDAPResultUnavailableCriticalExtension: {fault.Invalid, "the server lacks an extension that the request needs"},
	ldap.LDAPResultConfidentialityRequired:      {fault.Denied, "the server wants TLS: use ldaps:// or start_tls"},
	ldap.LDAPResultUndefinedAttributeType:       {fault.Invalid, "the server does not know an attribute of the filter"},
	ldap.LDAPResultInappropriateMatching: {fault.Invalid, "the filter compares an attribute in a way that it " +
		"does not have"},
	ldap.LDAPResultInvalidAttributeSyntax: {fault.Invalid, "a value in the filter is not one that its " +
		"attribute can have"},
	ldap.LDAPResultNoSuchObject: {fault.Invalid, "the base does not exist or the bind account may " +
		"not see it: check base_dn and the additional DNs"},
	ldap.LDAPResultAliasProblem:                {fault.Invalid, "check base_dn"},
	ldap.LDAPResultInvalidDNSyntax:             {fault.Invalid, "check base_dn and bind_cn"},
	ldap.LDAPResultInappropriateAuthentication: {fault.Denied, "the server wants another kind of bind: check bind_cn"},
	ldap.LDAPResultInvalidCredentials:          {fault.Denied, "check bind_cn and the bind password"},
	ldap.LDAPResultInsufficientAccessRights:    {fault.Denied, "give the bind account the right to read there"},
	ldap.LDAPResultBusy:                        {fault.Unavailable, "the server is busy"},
	ldap.LDAPResultUnavailable:                 {fault.Unavailable, "the server is shutting down or offline"},
	ldap.LDAPResultUnwillingToPerform:          {fault.Unavailable, "the server refuses for now: see its log"},
	ldap.LDAPResultAuthorizationDenied:         {fault.Denied, "the bind account may not do this"},
	ldap.ErrorFilterCompile:                    {fault.Invalid, "check the filter"},
	ldap.ErrorEmptyPassword:                    {fault.Denied, "the bind password is empty"},
}

// refusal is one way in which a server refuses a bind account, told by a part of the server's own text.
type refusal struct{ text, reason, advice string }

// refusals has the texts that say more than the result code. These are the sub-codes of Active Directory ([MS-ERREF],
// section 2.2, in hexadecimal), and the texts of 389 Directory Server, FreeIPA and eDirectory. With any of them the
// server has refused the account, whatever its result code is: 389 answers a disabled account with unwillingToPerform
// (53).
var refusals = []refusal{
	{"data 525,", "there is no such account", "check bind_cn"},
	{"data 52e,", "the password or the name is wrong", "check bind_cn and the bind password"},
	{"data 530,", "the account may not sign in at this hour", "widen its logon hours"},
	{"data 531,", "the account may not sign in from this machine", "allow this machine in its logon workstations"},
	{"data 532,", "the password has expired", "set a new password, and let the password of a service account not expire"},
	{"data 533,", "the account is disabled", "enable it, or use another bind_cn"},
	{"data 701,", "the account has expired", "set its expiry date (accountExpires) later or to never"},
	{"data 773,", "the password must be changed first", "clear \"must change password at next logon\" or set a new " +
		"password"},
	{"data 775,", "the account is locked out", "unlock it, and find out which machine tries a wrong password"},
	{"Account inactivated", "the account is disabled", "enable it (dsidm account unlock, ipa user-enable), or use " +
		"another bind_cn"},
	{"Exceed password retry limit", "the account is locked out", "unlock it, and find out which machine tries a " +
		"wrong password"},
	{"password expired", "the password has expired", "set a new password, and let the password of a service account " +
		"not expire"},
	{"(-220)", "the account is disabled or has expired", "enable it in eDirectory, or use another bind_cn"},
	{"(-197)", "the account is locked after wrong passwords", "unlock it in eDirectory"},
}

// refused returns what is wrong with the bind account, where the server says so.
func refused(err *ldap.Error) (refusal, bool) {
	if err.Err == nil {
		return refusal{}, false
	}
	said := strings.ToLower(err.Err.Error())
	for _, r := range refusals {
		if strings.HasPrefix(r.text, "data ") && !strings.Contains(said, "acceptsecuritycontext error") {
			continue
		}
		if strings.Contains(said, strings.ToLower(r.text)) {
			return r, true
		}
	}
	return refusal{}, false
}

// classify turns what go-ldap returned for op ("search ou=… on ldap://…") into an error with a kind. ctx is the
// operation's: its cause, where it has one, is the reason for all later errors of the connection.
func classify(ctx context.Context, op string, err error) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
	case errors.Is(cause, errSilent), errors.Is(cause, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, op, cause)
	case fault.KindOf(cause) == fault.Internal:
		return fault.New(fault.Canceled, op, cause) // the cause of the cancellation is in plain words
	default:
		return fault.New(fault.KindOf(cause), op, cause)
	}
	if text := untrusted(err); text != "" {
		return fault.New(fault.Invalid, op, fmt.Errorf("%s: %w", text, err))
	}
	var le *ldap.Error
	if !errors.As(err, &le) || le.ResultCode == ldap.ErrorNetwork {
		return fault.New(fault.Unavailable, op, fmt.Errorf("the connection failed: %w", err))
	}
	v, known := verdicts[le.ResultCode]
	if !known {
		v = verdict{fault.Unavailable, "see the server's log"}
	}
	name := ldap.LDAPResultCodeMap[le.ResultCode]
	if r, ok := refused(le); ok {
		return fault.New(fault.Denied, op, &resultError{fmt.Sprintf("%s (%d): the bind account is refused, %s: %s: the "+
			"server says %q",
			name, le.ResultCode, r.reason, r.advice, le.Err.Error()), le})
	}
	said := ""
	if le.Err != nil && le.Err.Error() != "" {
		said = fmt.Sprintf(": the server says %q", le.Err.Error())
	}
	return fault.New(v.kind, op, &resultError{fmt.Sprintf("%s (%d): %s%s", name, le.ResultCode, v.hint, said), le})
}

// untrusted says why a certificate was refused; "" for any other error.
func untrusted(err error) string {
	if errors.Is(err, errPin) {
		return err.Error()
	}
	// Package tls has no type for a certificate that cannot be parsed, and pinning it does not help.
	if strings.Contains(err.Error(), "failed to parse certificate from server") {
		return "the server's certificate is malformed: give the server another one"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); !ok {
		return ""
	}
	if host, ok := errors.AsType[x509.HostnameError](err); ok {
		if c := host.Certificate; len(c.DNSNames)+len(c.IPAddresses) == 0 {
			return fmt.Sprintf("the server's certificate (subject %q) has no subjectAltName and is valid for no name: give "+
				"the server a certificate with its host name there, or pin this one with tls_pin_sha256", c.Subject)
		}
		return "the server's certificate is for other names: use one of them in server_uri, or set tls_server_name"
	}
	return "the server's certificate is not trusted: check ca_file and tls_server_name, or pin the certificate with " +
		"tls_pin_sha256"
}

// resultError is a result code in our words.
type resultError struct {
	text  string
	cause *ldap.Error
}

func (e *resultError) Error() string { return e.text }
func (e *resultError) Unwrap() error { return e.cause }

// hasCode reports whether err is a result with one of the codes.
func hasCode(err error, codes ...uint16) bool { return ldap.IsErrorAnyOf(err, codes...) }
