package graph

import (
	"slices"
	"strings"
)

// clause reads one comparison.
func (p *filterParser) clause() *filter {
	switch {
	case p.peek("startswith"):
		return p.affix(startsTo, hasPrefixFold)
	case p.peek("endswith"):
		p.needsAdvanced()
		return p.affix(startsTo, hasSuffixFold)
	}
	name := p.next()
	if collection, ok := strings.CutSuffix(name, "/any"); ok {
		return p.lambda(collection)
	}
	prop := p.property(name, filterEq)
	if prop == nil {
		return nothing
	}
	switch operator := strings.ToLower(p.next()); operator {
	case "eq", "ne":
		return p.equality(prop, operator == "ne")
	case "in":
		return p.in(prop)
	default:
		return p.unfilterable(prop.name)
	}
}

// property resolves the name of a property that may be filtered in this way.
func (p *filterParser) property(name string, want rule) *property {
	prop := p.kind.property(name)
	if prop == nil {
		p.fail(malformed("Invalid filter clause: Could not find a property named '%s' on type 'microsoft.graph.%s'.",
			name, p.kind.name))
		return nil
	}
	if !prop.is(want) {
		p.unfilterable(prop.name)
		return nil
	}
	return prop
}

func (p *filterParser) unfilterable(name string) *filter {
	return p.fail(unsupported("Unsupported or invalid query filter clause specified for property '%s' of resource "+
		"'%s'.", name, p.kind.title))
}

func (p *filterParser) equality(prop *property, negated bool) *filter {
	value := p.literal()
	if value == nil || negated {
		p.needsAdvanced()
	}
	if prop.typ == texts || value != nil && !fits(prop, value) {
		return p.unfilterable(prop.name)
	}
	f := &filter{match: func(props map[string]any) bool { return equal(prop, props[prop.name], value) != negated }}
	if s, ok := value.(string); ok && !negated && slices.Contains([]string{"id", byUPN, byImmutable}, prop.name) {
		f.index, f.keys = prop.name, []string{s}
	}
	return f
}

func (p *filterParser) in(prop *property) *filter {
	p.expect("(")
	var list []*filter
	for p.err == nil {
		value := p.literal()
		if value == nil || !fits(prop, value) {
			return p.unfilterable(prop.name)
		}
		f := &filter{match: func(props map[string]any) bool { return equal(prop, props[prop.name], value) }}
		f.keys = []string{value.(string)}
		list = append(list, f)
		if !p.take(",") {
			break
		}
	}
	p.expect(")")
	p.limit(len(list))
	all := &filter{match: func(props map[string]any) bool {
		return slices.ContainsFunc(list, func(f *filter) bool { return f.match(props) })
	}}
	if slices.Contains([]string{"id", byUPN, byImmutable}, prop.name) {
		all.index = prop.name
		for _, f := range list {
			all.keys = append(all.keys, f.keys...)
		}
	}
	return all
}

// lambda reads the rest of collection/any: (x:x eq 'value').
func (p *filterParser) lambda(collection string) *filter {
	p.expect("(")
	variable := strings.TrimSuffix(p.next(), ":")
	p.take(":")
	prop := p.property(collection, filterEq)
	if prop == nil || prop.typ != texts {
		return p.unfilterable(collection)
	}
	p.expect(variable)
	p.expect("eq")
	want, _ := p.literal().(string)
	p.expect(")")
	return &filter{match: func(props map[string]any) bool {
		list, _ := props[prop.name].([]string)
		return slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, want) })
	}}
}

func (p *filterParser) affix(want rule, has func(s, affix string) bool) *filter {
	p.next()
	p.expect("(")
	prop := p.property(p.next(), want)
	if prop == nil {
		return nothing
	}
	p.expect(",")
	affix, ok := p.literal().(string)
	if !ok {
		return p.syntax()
	}
	p.expect(")")
	return &filter{match: func(props map[string]any) bool { return has(textOf(props, prop.name), affix) }}
}

// literal reads a string, a boolean or null.
func (p *filterParser) literal() any {
	token := p.next()
	switch {
	case token == "null":
		return nil
	case token == "true", token == "false":
		return token == "true"
	case strings.HasPrefix(token, "'"):
		return unquote(token)
	}
	p.syntax()
	return ""
}

func fits(prop *property, value any) bool {
	_, isText := value.(string)
	_, isFlag := value.(bool)
	return prop.typ == text && isText || prop.typ == boolean && isFlag
}

// equal compares as the directory does. It ignores case, except in immutable ids.
func equal(prop *property, have, want any) bool {
	a, text := have.(string)
	b, _ := want.(string)
	if !text || prop.name == byImmutable {
		return have == want
	}
	return strings.EqualFold(a, b) && want != nil
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}

func hasSuffixFold(s, suffix string) bool {
	return len(s) >= len(suffix) && strings.EqualFold(s[len(s)-len(suffix):], suffix)
}

// scanFilter cuts a filter into words, quoted strings and punctuation.
func scanFilter(s string) ([]string, bool) {
	var tokens []string
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimLeft(s, " ") {
		n := 1
		switch {
		case s[0] == '\'':
			if n = quotedLength(s); n == 0 {
				return nil, false
			}
		case !strings.ContainsRune("(),:", rune(s[0])):
			if n = strings.IndexAny(s, " (),:'"); n < 0 {
				n = len(s)
			}
		}
		tokens = append(tokens, s[:n])
		s = s[n:]
	}
	return tokens, len(tokens) > 0
}

// quotedLength returns the length of the quoted string at the beginning, or 0 for an unterminated one.
func quotedLength(s string) int {
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			i++
			continue
		}
		return i + 1
	}
	return 0
}
