package ldap

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"regexp"
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

// verdicts has the result codes (RFC 4511, appendix A) whose meaning we know. Any other code fails the read as
// Unavailable: nothing that is not success is part of an answer.
var verdicts = map[uint16]verdict{
	ldap.LDAPResultOperationsError:              {fault.Denied, "Active Directory says so to anonymous searches: set bind_cn"},
	ldap.LDAPResultProtocolError:                {fault.Invalid, "the server did not understand the request"},
	ldap.LDAPResultTimeLimitExceeded:            {fault.Unavailable, "the server stopped at its time limit: raise it for the bind account, or index what the filter asks for"},
	ldap.LDAPResultSizeLimitExceeded:            {fault.Invalid, "the server stopped at its size limit and gave only a part: raise it for the bind account (OpenLDAP: olcLimits; 389: nsSizeLimit and nsPagedSizeLimit)"},
	ldap.LDAPResultAuthMethodNotSupported:       {fault.Denied, "the server refuses simple binds"},
	ldap.LDAPResultStrongAuthRequired:           {fault.Denied, "the server wants TLS before a bind: use ldaps:// or start_tls"},
	ldap.LDAPResultReferral:                     {fault.Invalid, "the server sent us elsewhere instead of answering: set base_dn to what it holds, or server_uri to the server that holds it"},
	ldap.LDAPResultAdminLimitExceeded:           {fault.Invalid, "the server stopped at an administrative limit: raise it for the bind account (389: nsLookThroughLimit), or index what the filter asks for"},
	ldap.LDAPResultUnavailableCriticalExtension: {fault.Invalid, "the server lacks an extension that the request needs"},
	ldap.LDAPResultConfidentialityRequired:      {fault.Denied, "the server wants TLS: use ldaps:// or start_tls"},
	ldap.LDAPResultUndefinedAttributeType:       {fault.Invalid, "the server does not know an attribute of the filter"},
	ldap.LDAPResultInappropriateMatching:        {fault.Invalid, "the filter compares an attribute in a way that it does not have"},
	ldap.LDAPResultInvalidAttributeSyntax:       {fault.Invalid, "a value in the filter is not one that its attribute can have"},
	ldap.LDAPResultNoSuchObject:                 {fault.Invalid, "the base does not exist or the bind account may not see it: check base_dn and the additional DNs"},
	ldap.LDAPResultAliasProblem:                 {fault.Invalid, "check base_dn"},
	ldap.LDAPResultInvalidDNSyntax:              {fault.Invalid, "check base_dn and bind_cn"},
	ldap.LDAPResultInappropriateAuthentication:  {fault.Denied, "the server wants another kind of bind: check bind_cn"},
	ldap.LDAPResultInvalidCredentials:           {fault.Denied, "check bind_cn and the bind password"},
	ldap.LDAPResultInsufficientAccessRights:     {fault.Denied, "give the bind account the right to read there"},
	ldap.LDAPResultBusy:                         {fault.Unavailable, "the server is busy"},
	ldap.LDAPResultUnavailable:                  {fault.Unavailable, "the server is shutting down or offline"},
	ldap.LDAPResultUnwillingToPerform:           {fault.Unavailable, "the server refuses for now: see its log"},
	ldap.LDAPResultAuthorizationDenied:          {fault.Denied, "the bind account may not do this"},
	ldap.ErrorFilterCompile:                     {fault.Invalid, "check the filter"},
	ldap.ErrorEmptyPassword:                     {fault.Denied, "the bind password is empty"},
}

// adReasons are the sub-codes by which Active Directory explains a refused bind.
var adReasons = map[string]string{
	"525": "there is no such user", "52e": "the password is wrong", "530": "not at this hour", "531": "not from this machine",
	"532": "the password has expired", "533": "the account is disabled", "701": "the account has expired",
	"773": "the password must be changed first", "775": "the account is locked out",
}

var adSubCode = regexp.MustCompile(`AcceptSecurityContext error, data ([0-9a-f]+)`)

// classify turns what go-ldap returned for op ("search ou=… on ldap://…") into an error with a kind. ctx is the
// operation's: its cause, where it has one, is the reason for whatever the connection said afterwards.
func classify(ctx context.Context, op string, err error) error {
	switch cause := context.Cause(ctx); {
	case cause == nil:
	case errors.Is(cause, errSilent), errors.Is(cause, context.DeadlineExceeded):
		return fault.New(fault.Unavailable, op, cause)
	case fault.KindOf(cause) == fault.Internal:
		return fault.New(fault.Canceled, op, cause) // whoever cancelled said why, in plain words
	default:
		return fault.New(fault.KindOf(cause), op, cause)
	}
	if untrusted(err) {
		return fault.New(fault.Invalid, op, fmt.Errorf("the server's certificate is not trusted: check ca_file and tls_server_name: %w", err))
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
	if m := adSubCode.FindStringSubmatch(le.Err.Error()); m != nil && adReasons[m[1]] != "" {
		return fault.New(v.kind, op, &resultError{fmt.Sprintf("%s (%d): %s (data %s): %s", name, le.ResultCode, adReasons[m[1]], m[1], v.hint), le})
	}
	said := ""
	if le.Err != nil && le.Err.Error() != "" {
		said = fmt.Sprintf(": the server says %q", le.Err.Error())
	}
	return fault.New(v.kind, op, &resultError{fmt.Sprintf("%s (%d): %s%s", name, le.ResultCode, v.hint, said), le})
}

// untrusted reports whether TLS failed over a certificate. For StartTLS go-ldap leaves only the text of the cause.
func untrusted(err error) bool {
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok || err != nil && strings.Contains(err.Error(), "failed to verify certificate")
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
