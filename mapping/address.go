package mapping

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"rollcall/directory"
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

// mostOptions bounds the cost of an attribute with very many values. An entry of Active Directory has no more of one
// attribute, but for links such as memberOf.
const mostOptions = 1300

// ordered returns the entry with the values of each attribute in an order that does not depend on the directory's,
// because LDAP has none (RFC 4511, section 4.1.7). The value that is taken where one is needed comes first. That is
// the value marked as primary (SMTP:), then the one in the entry's RDN, one in a verified domain, and the first in
// byte order.
func (v *evaluation) ordered(e *directory.Entry) *directory.Entry {
	if !slices.ContainsFunc(e.Attributes, func(a directory.Attribute) bool { return len(a.Values) > 1 }) {
		return e
	}
	out := *e
	out.Attributes = slices.Clone(e.Attributes)
	naming := namingValues(e.DN)
	for i := range out.Attributes {
		a := &out.Attributes[i]
		if len(a.Values) < 2 {
			continue
		}
		a.Values = slices.Clone(a.Values)
		slices.SortFunc(a.Values, func(x, y string) int {
			return cmp.Or(cmp.Compare(v.rank(x, naming), v.rank(y, naming)), strings.Compare(x, y))
		})
		a.Values = slices.Compact(a.Values)
	}
	return &out
}

// The ranks of a value, the best first.
const (
	rankPrimary = iota
	rankNaming
	rankVerified
	rankOther
)

func (v *evaluation) rank(value string, naming []string) int {
	_, domain, address := strings.Cut(value, "@")
	switch {
	case strings.HasPrefix(value, "SMTP:"):
		return rankPrimary
	case slices.ContainsFunc(naming, func(n string) bool { return strings.EqualFold(n, value) }):
		return rankNaming
	case address && slices.Contains(v.domains, strings.ToLower(domain)):
		return rankVerified
	}
	return rankOther
}

// namingValues returns the values in the entry's own RDN, which are those by which it is called (RFC 4512, section
// 2.3.1).
func namingValues(dn string) (out []string) {
	parts, err := parseDN(dn)
	if err != nil || len(parts) == 0 {
		return nil
	}
	for _, a := range parts[0] {
		out = append(out, a.value)
	}
	return out
}

// options returns what else the address and the fields could be if another value of an attribute came first. An account
// keeps what it has as long as it is one of these. e is ordered.
func (v *evaluation) options(s *side, e *directory.Entry, d *plan.Desired) {
	naming := namingValues(e.DN)
	for i := range e.Attributes {
		values := e.Attributes[i].Values
		named := 0
		for _, value := range values {
			if v.rank(value, naming) == rankNaming {
				named++
			}
		}
		if len(values) < 2 || named == 1 || !s.reads(e.Attributes[i].Name) {
			continue // The naming value wins, or the attribute decides about nothing: there is nothing to choose from.
		}
		for _, value := range values[1:min(len(values), mostOptions)] {
			other := *e
			other.Attributes = slices.Clone(e.Attributes)
			rest := slices.DeleteFunc(slices.Clone(values), func(x string) bool { return x == value })
			other.Attributes[i].Values = append([]string{value}, rest...)
			v.load(s, &other)
			v.option(s, e.Attributes[i].Name, d)
		}
	}
}

// option notes what the address and the fields that depend on one attribute are for the loaded entry.
func (v *evaluation) option(s *side, attribute string, d *plan.Desired) {
	alternative := plan.Desired{Ref: d.Ref}
	for i := range s.fields {
		if f := &s.fields[i]; f.reads(attribute) && !f.refers() {
			if values, err := v.field(f); err == nil {
				alternative.Fields = append(alternative.Fields, directory.Attribute{Name: f.Name, Values: values})
			}
		}
	}
	if s.address.reads(attribute) {
		v.address(s, &holder{Desired: &alternative})
	}
	d.AddOption(&alternative)
}

// reads reports whether the address or a field depends on the attribute.
func (s *side) reads(attribute string) bool {
	return s.address.reads(attribute) || slices.ContainsFunc(s.fields, func(f field) bool { return f.reads(attribute) })
}

// reads reports whether the expression depends on the attribute.
func (e *expression) reads(attribute string) bool {
	same := func(name string) bool { return strings.EqualFold(name, attribute) }
	return slices.ContainsFunc(e.attributes, same) || slices.ContainsFunc(e.variables, same) ||
		attribute == directory.Mail && slices.Contains(e.variables, "mails")
}

// illegal is a value with a character that no name and no address may contain.
type illegal struct {
	value string
	char  rune
}

// Error says what is wrong with the value.
func (e *illegal) Error() string {
	what := "a control character"
	if bidi(e.char) {
		what = "a character that turns the direction of the text around"
	}
	return fmt.Sprintf("%s contains %U, %s", quote(e.value), e.char, what)
}

// bidi reports whether a character overrides or embeds a direction of text. Such a character makes one name look like
// another.
func bidi(r rune) bool { return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 }

// checkText refuses control characters and bidi overrides. A text of several lines may contain CR, LF and TAB.
func checkText(value string, multiLine bool) error {
	if plain(value) {
		return nil
	}
	for _, r := range value {
		if multiLine && (r == '\r' || r == '\n' || r == '\t') {
			continue
		}
		if unicode.IsControl(r) || bidi(r) {
			return &illegal{value, r}
		}
	}
	return nil
}

// withhold keeps a field out of the desired state if its value contains an illegal character. The account keeps the
// value that it has. It reports whether err is about such a character.
func (v *evaluation) withhold(h *holder, name string, e *expression, required bool, err error) bool {
	bad, is := errors.AsType[*illegal](err)
	if !is {
		return false
	}
	from := e.source
	if names := v.carriers(bad.char); names != "" {
		from = "from " + names
	}
	h.Withheld = append(h.Withheld, plan.Withheld{
		Field: name, Detail: fmt.Sprintf("%s (%s): %v: correct it in the directory", e.path, from, bad), Required: required,
	})
	return true
}

// carriers names the attributes of the entry that contain a character.
func (v *evaluation) carriers(r rune) string {
	var names []string
	if v.entry == nil {
		return ""
	}
	for _, a := range v.entry.Attributes {
		if strings.ContainsRune(strings.Join(a.Values, ""), r) {
			names = append(names, a.Name)
		}
	}
	return strings.Join(names, ", ")
}

// furtherAddresses returns the mail addresses in the domains, in lower case, each once. A value of proxyAddresses
// begins with its kind, and only those of SMTP are mail addresses. Without domains every address counts.
func furtherAddresses(values, domains []string) []string {
	var out []string
	for _, value := range values {
		kind, address, typed := strings.Cut(strings.TrimSpace(value), ":")
		if !typed {
			kind, address = "smtp", kind
		}
		address = lowerASCII(address)
		_, domain, is := strings.Cut(address, "@")
		if is && strings.EqualFold(kind, "smtp") && (len(domains) == 0 || slices.Contains(domains, domain)) &&
			!slices.Contains(out, address) {
			out = append(out, address)
		}
	}
	return out
}
