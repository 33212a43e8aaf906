package graph

import (
	"slices"
	"strings"
)

// filter is a $filter expression. It has a function over properties, and the keys to which it narrows a list.
type filter struct {
	match func(props map[string]any) bool
	// keys are all values that the property named by index may have, if the expression is that simple.
	index string
	keys  []string
}

// narrow returns the objects that the filter can match, if an index has them.
func (f *filter) narrow(t *Tenant) ([]*object, bool) {
	if f == nil || f.index == "" || f.index != "id" && t.lag.Read > 0 {
		return nil, false
	}
	var list []*object
	for _, value := range f.keys {
		o := t.byID[strings.ToLower(value)]
		if f.index != "id" {
			o = t.unique.find(f.index, value)
		}
		if o != nil && !slices.Contains(list, o) {
			list = append(list, o)
		}
	}
	return list, true
}

// parseFilter reads $filter. It returns nil for none.
func parseFilter(c *call, k *kind) (*filter, *apiError) {
	expression := c.query.Get("$filter")
	if expression == "" {
		return nil, nil
	}
	tokens, ok := scanFilter(expression)
	if !ok {
		return nil, malformed("Invalid filter clause: Syntax error in '%s'.", expression)
	}
	p := &filterParser{kind: k, tokens: tokens, advanced: c.advanced()}
	f := p.or()
	if p.err == nil && len(p.tokens) > 0 {
		p.syntax()
	}
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

// filterParser is a recursive descent over $filter. The first error wins.
type filterParser struct {
	kind     *kind
	tokens   []string
	advanced bool
	err      *apiError
}

var nothing = &filter{match: func(map[string]any) bool { return false }}

func (p *filterParser) fail(err *apiError) *filter {
	if p.err == nil {
		p.err = err
	}
	return nothing
}

func (p *filterParser) syntax() *filter {
	return p.fail(malformed("Invalid filter clause: Syntax error."))
}

// needsAdvanced refuses an expression that only the advanced index supports.
func (p *filterParser) needsAdvanced() {
	if !p.advanced {
		p.fail(unsupported("Unsupported Query."))
	}
}

// peek reports whether the next token is the word, in any case.
func (p *filterParser) peek(word string) bool {
	return len(p.tokens) > 0 && strings.EqualFold(p.tokens[0], word)
}

func (p *filterParser) take(word string) bool {
	if !p.peek(word) {
		return false
	}
	p.tokens = p.tokens[1:]
	return true
}

func (p *filterParser) next() string {
	if len(p.tokens) == 0 {
		p.syntax()
		return ""
	}
	token := p.tokens[0]
	p.tokens = p.tokens[1:]
	return token
}

func (p *filterParser) expect(word string) {
	if !p.take(word) {
		p.syntax()
	}
}

const maxClauses = 15

func (p *filterParser) or() *filter {
	list := []*filter{p.and()}
	for p.err == nil && p.take("or") {
		list = append(list, p.and())
	}
	if len(list) == 1 {
		return list[0]
	}
	p.limit(len(list))
	f := &filter{index: list[0].index, match: func(props map[string]any) bool {
		return slices.ContainsFunc(list, func(f *filter) bool { return f.match(props) })
	}}
	for _, each := range list {
		if each.index != f.index {
			f.index = ""
		}
		f.keys = append(f.keys, each.keys...)
	}
	return f
}

func (p *filterParser) limit(n int) {
	if n > maxClauses {
		p.fail(unsupported("Too many child clauses specified in search filter expression containing 'OR' operators: %d. "+
			"Max allowed: %d.", n, maxClauses))
	}
}

func (p *filterParser) and() *filter {
	f := p.unary()
	for p.err == nil && p.take("and") {
		left, right := f, p.unary()
		f = &filter{match: func(props map[string]any) bool { return left.match(props) && right.match(props) },
			index: left.index, keys: left.keys}
		if f.index == "" {
			f.index, f.keys = right.index, right.keys
		}
	}
	return f
}

func (p *filterParser) unary() *filter {
	if p.take("not") {
		p.needsAdvanced()
		inner := p.unary()
		return &filter{match: func(props map[string]any) bool { return !inner.match(props) }}
	}
	if p.take("(") {
		f := p.or()
		p.expect(")")
		return f
	}
	return p.clause()
}
