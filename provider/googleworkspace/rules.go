package googleworkspace

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The pages on which Google publishes the rules for names, addresses and fields of users.
const (
	namesPage     = "https://support.google.com/a/answer/9193374"
	userReference = "https://developers.google.com/workspace/admin/directory/reference/rest/v1/users"
)

// maxLocalPart is the largest number of characters before the @ of an address.
const maxLocalPart = 64

// checkUserAddress returns why Google refuses a user with the address, or nil. Everything that the page does not
// forbid passes.
func checkUserAddress(address string) error {
	local, _, _ := strings.Cut(address, "@")
	for _, r := range local {
		if strings.ContainsRune("&=<>+,!", r) {
			return fmt.Errorf("%q in a user name is not allowed by Google, as in %q (%s)", r, address, namesPage)
		}
	}
	if local == "abuse" || local == "postmaster" {
		return fmt.Errorf("%q is reserved by Google, so that no user can have %q (%s)", local, address, namesPage)
	}
	return checkGroupAddress(address)
}

// checkGroupAddress returns why Google refuses a group with the address, or nil.
func checkGroupAddress(address string) error {
	local, _, _ := strings.Cut(address, "@")
	if n := utf8.RuneCountInString(local); n > maxLocalPart {
		return fmt.Errorf("%q has %d characters before the @, Google allows %d (%s)", address, n, maxLocalPart, namesPage)
	}
	for _, r := range local {
		if r > unicode.MaxASCII {
			return fmt.Errorf("%q in an address is not allowed by Google, as in %q (%s)", r, address, namesPage)
		}
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") {
		return fmt.Errorf("a period at the beginning or end of an address, or two in a row, is not allowed by Google, as "+
			"in %q (%s)",
			address, namesPage)
	}
	return nil
}

// checkName checks first and last names.
func checkName(name string) error {
	if i := strings.IndexAny(name, "<>"); i >= 0 {
		return fmt.Errorf("%q in a name is not allowed by Google, as in %q (%s)", rune(name[i]), name, namesPage)
	}
	return nil
}

// checkOrgUnit checks full paths of organizational units.
func checkOrgUnit(path string) error {
	if !strings.HasPrefix(path, "/") || strings.Contains(path, "//") {
		return fmt.Errorf("%q is not the full path of an organizational unit, such as /Staff/Berlin (%s)", path,
			userReference)
	}
	return nil
}

// checkPhone checks the recovery phone number.
func checkPhone(number string) error {
	digits, plus := strings.CutPrefix(number, "+")
	if !plus || digits == "" || strings.ContainsFunc(digits, func(r rune) bool { return r < '0' || r > '9' }) {
		return fmt.Errorf("%q is not in E.164 form, such as +4930123456 (%s)", number, userReference)
	}
	return nil
}
