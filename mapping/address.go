package mapping

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"rollcall/plan"
)

// checkAddress returns why an address cannot be used, or "". Remote sides refuse what is refused here; saying so
// beforehand costs no call and names the entry.
func checkAddress(address string, domains []string) (plan.Reason, string) {
	local, domain, ok := strings.Cut(address, "@")
	bad := func(format string, args ...any) (plan.Reason, string) {
		return plan.NoAddress, quote(address) + " is no address: " + fmt.Sprintf(format, args...)
	}
	switch {
	case !ok:
		return bad("it has no @")
	case strings.Contains(domain, "@"):
		return bad("it has more than one @")
	case local == "":
		return bad("nothing stands before the @")
	case domain == "":
		return bad("nothing stands after the @")
	case strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, ".."):
		return bad("the domain has an empty part")
	}
	for _, r := range address {
		if unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`<>(),;:"[]\`, r) {
			return bad("%q cannot be part of one", r)
		}
	}
	if len(domains) > 0 && !slices.Contains(domains, domain) {
		return plan.ForeignDomain, fmt.Sprintf("the domain of %s is not one of the tenant's verified domains (%s)",
			address, someOf(domains))
	}
	return "", ""
}

// someOf lists names, the first ten of them where there are more.
func someOf(names []string) string {
	sorted := slices.Sorted(slices.Values(names))
	if len(sorted) > 10 {
		return fmt.Sprintf("%s and %d more", strings.Join(sorted[:10], ", "), len(sorted)-10)
	}
	return strings.Join(sorted, ", ")
}

// lowerASCII folds only the letters that every mail system folds. The Kelvin sign (U+212A) is not a k.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
