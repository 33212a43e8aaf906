package entra

import (
	"fmt"
	"strings"
	"unicode"
)

// The pages on which Microsoft publishes the rules for names and fields.
const (
	upnPage   = "https://learn.microsoft.com/entra/identity/authentication/concept-sspr-policy#username-policies"
	userPage  = "https://learn.microsoft.com/graph/api/resources/user"
	groupPage = "https://learn.microsoft.com/graph/api/resources/group"
)

// The published lengths of a userPrincipalName.
const (
	longestLocal  = 64
	longestDomain = 48
)

// checkUPN returns why Entra refuses a user with the address, or nil. Everything that the page does not forbid
// passes.
func checkUPN(address string) error {
	local, domain, _ := strings.Cut(address, "@")
	for _, r := range local {
		if r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("'.-_!#^~", r) {
			return fmt.Errorf("a userPrincipalName allows only letters, digits and ' . - _ ! # ^ ~ before the @, not "+
				"%q, as in %q (%s)", r, address, upnPage)
		}
	}
	switch {
	case strings.HasSuffix(local, "."):
		return fmt.Errorf("a userPrincipalName allows no period right before the @, as in %q (%s)", address, upnPage)
	case len(local) > longestLocal:
		return fmt.Errorf("%q has %d characters before the @, a userPrincipalName allows %d (%s)", address, len(local),
			longestLocal, upnPage)
	case len(domain) > longestDomain:
		return fmt.Errorf("%q has %d characters after the @, a userPrincipalName allows %d (%s)", address, len(domain),
			longestDomain, upnPage)
	}
	return nil
}

// checkNickname returns why Entra refuses the mail nickname, or nil.
func checkNickname(nickname string) error {
	for _, r := range nickname {
		if refusedInNickname(r) {
			return fmt.Errorf(`mailNickname allows ASCII without spaces and @ ( ) \ [ ] " ; : < > , and no %q, as in %q (%s)`,
				r, nickname, groupPage)
		}
	}
	return nil
}

func refusedInNickname(r rune) bool {
	return r <= ' ' || r >= 0x7f || strings.ContainsRune("@()\\[]\";:<>,", r)
}

// checkMail checks mail addresses.
func checkMail(mail string) error {
	for _, r := range mail {
		if r > unicode.MaxASCII {
			return fmt.Errorf("mail allows no accents and no %q, as in %q (%s)", r, mail, userPage)
		}
	}
	return nil
}

// checkCountry checks the usage location.
func checkCountry(code string) error {
	if len(code) != 2 || strings.ContainsFunc(code, func(r rune) bool {
		return r > unicode.MaxASCII ||
			!unicode.IsLetter(r)
	}) {
		return fmt.Errorf("usageLocation must be a country code of two letters, such as DE, not %q (%s)", code,
			userPage)
	}
	return nil
}
