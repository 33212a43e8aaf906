package googleworkspace

import (
	"slices"
	"strings"
)

// forbiddenMarks are the ASCII characters that the help center forbids in the local part of an address, and those that
// RFC 5322 allows between quotes only.
const forbiddenMarks = "&=<>+,!\"()[]:;\\@"

// validLocalPart checks the rules for usernames and group addresses. At most 64 ASCII characters are allowed, without
// blanks and forbidden ones, and with single periods inside only.
func validLocalPart(local string) bool {
	if local == "" || len(local) > 64 || strings.Contains(local, "..") || strings.HasPrefix(local, ".") ||
		strings.HasSuffix(local, ".") {
		return false
	}
	return !strings.ContainsFunc(local, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(forbiddenMarks, r)
	})
}

func domainOf(address string) string {
	_, domain, _ := strings.Cut(address, "@")
	return strings.ToLower(domain)
}

// newAddress lower-cases a new address, or returns what is wrong with it.
func (t *Tenant) newAddress(address, field string) (string, *apiError) {
	address = strings.ToLower(address)
	local, domain, ok := strings.Cut(address, "@")
	if !ok || !validLocalPart(local) || domain == "" || strings.Contains(domain, "@") {
		return "", invalid("Invalid Input: %s", field)
	}
	d := t.domain(domain)
	switch {
	case d != nil && d.verified:
		return address, nil
	case d != nil || t.otherCustomer(domain):
		return "", forbidden()
	default:
		return "", domainNotFound()
	}
}

// ours reports whether addresses of the domain belong to this customer.
func (t *Tenant) ours(domain string) bool { return t.domain(domain) != nil }

func (t *Tenant) domain(name string) *domainRec {
	for _, d := range t.domains {
		if d.name == name {
			return d
		}
	}
	return nil
}

func (t *Tenant) otherCustomer(domain string) bool {
	return slices.ContainsFunc(t.cfg.OtherDomains, func(d string) bool { return strings.EqualFold(d, domain) })
}

// testAlias returns the address outside the customer's domains that Google gives every account of the primary one.
func (t *Tenant) testAlias(address string) (string, bool) {
	if domainOf(address) != t.domains[0].name {
		return "", false
	}
	return address + ".test-google-a.com", true
}

// customer refuses a path or query value that is not this customer.
func (t *Tenant) customer(value string) *apiError {
	if value != "my_customer" && value != t.cfg.CustomerID {
		return invalid("Invalid Input: INVALID_CUSTOMER_ID")
	}
	return nil
}
