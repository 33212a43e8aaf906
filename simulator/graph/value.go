package graph

import (
	"maps"
	"slices"
	"strings"
	"time"
)

// check reads the properties of a body. Annotations ("members@odata.bind") are left to the caller; nil clears.
func (k *kind) check(body map[string]any, creating bool) (map[string]any, *apiError) {
	fields := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		if strings.Contains(name, "@") {
			continue
		}
		p := k.properties[name]
		switch {
		case p == nil:
			return nil, badRequest("Invalid property '%s'.", name)
		case p.is(readOnly), p.is(fixed) && !creating:
			return nil, readOnlyProperty(name)
		case p.is(elsewhere):
			return nil, notServed()
		}
		value, err := p.convert(k, body[name])
		if err != nil {
			return nil, err
		}
		fields[name] = value
	}
	return fields, nil
}

// convert checks a JSON value and returns it as it is stored.
func (p *property) convert(k *kind, value any) (any, *apiError) {
	if value == nil {
		if p.is(required) {
			return nil, invalidValue(p.name, k)
		}
		return nil, nil
	}
	switch p.typ {
	case text:
		s, ok := value.(string)
		if !ok {
			return nil, wrongType("Edm.String")
		}
		if s == "" || p.max > 0 && len([]rune(s)) > p.max {
			return nil, invalidValue(p.name, k)
		}
		return s, nil
	case boolean:
		b, ok := value.(bool)
		if !ok {
			return nil, wrongType("Edm.Boolean")
		}
		return b, nil
	case moment:
		return convertMoment(value)
	case texts:
		return p.convertTexts(k, value)
	case complex1:
		o, ok := value.(map[string]any)
		if !ok {
			return nil, wrongType("Edm.ComplexType")
		}
		return o, nil
	}
	return nil, readOnlyProperty(p.name)
}

func wrongType(want string) *apiError {
	return malformed("Cannot convert a primitive value to the expected type '%s'. See the inner exception for more "+
		"details.", want)
}

func convertMoment(value any) (any, *apiError) {
	s, _ := value.(string)
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return nil, wrongType("Edm.DateTimeOffset")
	}
	return at.UTC(), nil
}

func (p *property) convertTexts(k *kind, value any) (any, *apiError) {
	items, ok := value.([]any)
	if !ok {
		return nil, malformed("An unexpected 'PrimitiveValue' node was found when reading from the JSON reader. A " +
			"'StartArray' node was expected.")
	}
	list := make([]string, 0, len(items))
	for _, item := range items {
		s, ok := item.(string)
		if !ok {
			return nil, wrongType("Edm.String")
		}
		if s == "" || p.max > 0 && len([]rune(s)) > p.max {
			return nil, invalidValue(p.name, k)
		}
		list = append(list, s)
	}
	if p.name == "businessPhones" && len(list) > 1 { // a collection with room for one
		return nil, invalidValue(p.name, k)
	}
	return list, nil
}

// needs refuses the creation of an object that lacks one of the properties.
func (k *kind) needs(fields map[string]any, names ...string) *apiError {
	for _, name := range names {
		if fields[name] == nil {
			return missingValue(name, k)
		}
	}
	return nil
}
