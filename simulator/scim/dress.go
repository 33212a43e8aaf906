package scim

import (
	"net/http"
	"strings"
	"unicode"
)

// dress changes the form of an answer, as some servers do.
func (t *Tenant) dress(a *answer) {
	if a == nil {
		return
	}
	t.mu.RLock()
	b := t.cfg.Behaviours
	t.mu.RUnlock()
	if b.OtherHost && a.location != "" {
		_, path, _ := strings.Cut(a.location, t.cfg.Base)
		a.location = "https://scim.internal.example" + t.cfg.Base + path
	}
	if b.EmptyCreate && a.status == http.StatusCreated {
		a.body = nil
	}
	if b.OtherCase && a.body != nil {
		a.body = otherCase(a.body).(map[string]any)
	}
}

// otherCase returns a value with the names of attributes and schemas in another letter case.
func otherCase(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, inner := range v {
			out[renamed(name)] = otherCase(inner)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, inner := range v {
			if urn, ok := inner.(string); ok && strings.HasPrefix(urn, "urn:") {
				inner = renamed(urn)
			}
			out = append(out, otherCase(inner))
		}
		return out
	}
	return value
}

func renamed(name string) string {
	if strings.HasPrefix(name, "urn:") {
		return strings.ToUpper(name)
	}
	first := []rune(name)
	if unicode.IsLower(first[0]) {
		first[0] = unicode.ToUpper(first[0])
	} else {
		first[0] = unicode.ToLower(first[0])
	}
	return string(first)
}
