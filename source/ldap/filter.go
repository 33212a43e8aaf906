package ldap

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
)

// truth is the three-valued logic of filters (RFC 4511, section 4.5.1.7). Only yes selects an entry.
type truth int8

const (
	no truth = iota - 1
	undefined
	yes
)

func truthOf(b bool) truth {
	if b {
		return yes
	}
	return no
}

// predicate is a compiled filter.
type predicate func(*ldap.Entry) truth

// compileFilter compiles a filter for evaluation on a file. It refuses what it cannot evaluate: an answer of undefined
// would look like a directory without people.
func compileFilter(filter string) (predicate, error) {
	packet, err := ldap.CompileFilter(filter)
	if err != nil {
		return nil, err
	}
	return compilePacket(packet)
}

func compilePacket(p *ber.Packet) (predicate, error) {
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr:
		return compileSet(p)
	case ldap.FilterNot:
		inner, err := compilePacket(p.Children[0])
		return func(e *ldap.Entry) truth { return -inner(e) }, err
	case ldap.FilterPresent:
		attr := p.Data.String()
		return func(e *ldap.Entry) truth { return truthOf(len(valuesOf(e, attr)) > 0) }, nil
	case ldap.FilterSubstrings:
		return compileSubstrings(p), nil
	case ldap.FilterEqualityMatch, ldap.FilterApproxMatch:
		attr, value := p.Children[0].Data.String(), p.Children[1].Data.String()
		return equality(attr, ruleFor(attr), value), nil
	case ldap.FilterGreaterOrEqual, ldap.FilterLessOrEqual:
		attr, value := p.Children[0].Data.String(), p.Children[1].Data.String()
		sign := 1
		if p.Tag == ldap.FilterLessOrEqual {
			sign = -1
		}
		return some(attr, func(v string) bool { return sign*order(v, value) >= 0 }), nil
	case ldap.FilterExtensibleMatch:
		return compileExtensible(p)
	}
	return nil, fmt.Errorf("filter of type %d is not supported on files", p.Tag)
}

// compileSet builds an and, whose result is the least of its parts, or an or, whose result is the greatest. Without
// parts they are RFC 4526's true and false.
func compileSet(p *ber.Packet) (predicate, error) {
	parts := make([]predicate, len(p.Children))
	for i, child := range p.Children {
		part, err := compilePacket(child)
		if err != nil {
			return nil, err
		}
		parts[i] = part
	}
	and := p.Tag == ldap.FilterAnd
	return func(e *ldap.Entry) truth {
		result := no
		if and {
			result = yes
		}
		for _, part := range parts {
			if t := part(e); and {
				result = min(result, t)
			} else {
				result = max(result, t)
			}
		}
		return result
	}, nil
}

// some matches an entry that has a value of the attribute for which match is true. An entry without the attribute does
// not match: which attributes a server would know cannot be told from a file.
func some(attr string, match func(string) bool) predicate {
	return func(e *ldap.Entry) truth { return truthOf(slices.ContainsFunc(valuesOf(e, attr), match)) }
}

// equality compares in the prepared form. A value that the attribute cannot have makes the result undefined.
func equality(attr string, r rule, value string) predicate {
	want, ok := r(value)
	if !ok {
		return func(*ldap.Entry) truth { return undefined }
	}
	if strings.EqualFold(attr, "objectClass") {
		return some(attr, func(v string) bool { return isClass(prepare(v), want) })
	}
	return some(attr, func(v string) bool {
		got, ok := r(v)
		return ok && got == want
	})
}

// walkFilter calls each for every attribute of a filter, with the value that an equality asks for.
func walkFilter(p *ber.Packet, each func(attr, value string)) {
	switch p.Tag {
	case ldap.FilterAnd, ldap.FilterOr, ldap.FilterNot:
		for _, child := range p.Children {
			walkFilter(child, each)
		}
	case ldap.FilterPresent:
		each(p.Data.String(), "")
	case ldap.FilterExtensibleMatch:
		for _, part := range p.Children {
			if part.Tag == ldap.MatchingRuleAssertionType {
				each(part.Data.String(), "")
			}
		}
	case ldap.FilterEqualityMatch:
		each(p.Children[0].Data.String(), p.Children[1].Data.String())
	default:
		each(p.Children[0].Data.String(), "")
	}
}

func compileSubstrings(p *ber.Packet) predicate {
	attr := p.Children[0].Data.String()
	var initial, final string
	var anywhere []string
	for _, part := range p.Children[1].Children {
		// Blanks at the ends of a part count: squeeze only inside (RFC 4518, section 2.6.1).
		text := prepare("x" + part.Data.String() + "x")
		text = text[1 : len(text)-1]
		switch part.Tag {
		case ldap.FilterSubstringsInitial:
			initial = text
		case ldap.FilterSubstringsFinal:
			final = text
		default:
			anywhere = append(anywhere, text)
		}
	}
	return some(attr, func(v string) bool {
		rest, ok := strings.CutPrefix(prepare(v), initial)
		for _, part := range anywhere {
			at := strings.Index(rest, part)
			if !ok || at < 0 {
				return false
			}
			rest = rest[at+len(part):]
		}
		return ok && strings.HasSuffix(rest, final)
	})
}

// compileExtensible supports the rules that people use: Active Directory's bit rules and those of plain comparison.
func compileExtensible(p *ber.Packet) (predicate, error) {
	var attr, name, value string
	for _, part := range p.Children {
		switch part.Tag {
		case ldap.MatchingRuleAssertionMatchingRule:
			name = part.Data.String()
		case ldap.MatchingRuleAssertionType:
			attr = part.Data.String()
		case ldap.MatchingRuleAssertionMatchValue:
			value = part.Data.String()
		case ldap.MatchingRuleAssertionDNAttributes:
			return nil, fmt.Errorf("matching the parts of DNs (:dn:) is not supported on files")
		}
	}
	if attr == "" {
		return nil, fmt.Errorf("a matching rule without an attribute is not supported on files")
	}
	switch strings.ToLower(name) {
	case "1.2.840.113556.1.4.803":
		return bits(attr, value, func(v, mask int64) bool { return v&mask == mask }), nil
	case "1.2.840.113556.1.4.804":
		return bits(attr, value, func(v, mask int64) bool { return v&mask != 0 }), nil
	case "", "caseignorematch", "2.5.13.2", "caseignoreia5match", "1.3.6.1.4.1.1466.109.114.2":
		return equality(attr, ruleFor(attr), value), nil
	case "caseexactmatch", "2.5.13.5", "caseexactia5match", "1.3.6.1.4.1.1466.109.114.1":
		return equality(attr, exactRule, value), nil
	case "distinguishednamematch", "2.5.13.1":
		return equality(attr, dnRule, value), nil
	}
	return nil, fmt.Errorf("the matching rule %s is not supported on files", name)
}

func bits(attr, value string, match func(v, mask int64) bool) predicate {
	mask, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
	if err != nil {
		return func(*ldap.Entry) truth { return undefined }
	}
	return some(attr, func(v string) bool {
		n, err := strconv.ParseInt(v, 10, 64)
		return err == nil && match(n, mask)
	})
}

// order compares numbers as such and everything else as text.
func order(a, b string) int {
	x, ok1 := new(big.Int).SetString(strings.TrimSpace(a), 10)
	y, ok2 := new(big.Int).SetString(strings.TrimSpace(b), 10)
	if ok1 && ok2 {
		return x.Cmp(y)
	}
	return cmp.Compare(prepare(a), prepare(b))
}
