package googleworkspace

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// The limits of the Users reference.
const (
	maxName        = 60
	maxDisplayName = 256
	minPassword    = 8
	maxPassword    = 100
)

// fieldSize is "the maximum allowed data size for this field" in bytes of JSON.
var fieldSize = map[string]int{
	"addresses": 10 << 10, "emails": 10 << 10, "organizations": 10 << 10, "locations": 10 << 10,
	"phones": 1 << 10, "gender": 1 << 10, "keywords": 1 << 10, "languages": 1 << 10, "name": 1 << 10,
	"externalIds": 2 << 10, "relations": 2 << 10, "websites": 2 << 10, "ims": 2 << 10,
}

// elementTypes are the documented values of an element's type; "custom" goes with a customType.
var elementTypes = map[string][]string{
	"addresses":     {"custom", "home", "other", "work"},
	"emails":        {"custom", "home", "other", "work"},
	"externalIds":   {"account", "custom", "customer", "login_id", "network", "organization"},
	"locations":     {"custom", "default", "desk"},
	"organizations": {"custom", "domain_only", "school", "unknown", "work"},
	"relations": {"admin_assistant", "assistant", "brother", "child", "custom", "domestic_partner", "dotted_line_manager",
		"exec_assistant", "father", "friend", "manager", "mother", "parent", "partner", "referred_by", "relative",
		"sister", "spouse"},
	"phones": {"assistant", "callback", "car", "company_main", "custom", "grand_central", "home", "home_fax", "isdn",
		"main", "mobile",
		"other", "other_fax", "pager", "radio", "telex", "tty_tdd", "work", "work_fax", "work_mobile", "work_pager"},
}

// checkUser applies the common rules of insert and update.
func (t *Tenant) checkUser(body map[string]any) *apiError {
	if err := checkName(body); err != nil {
		return err
	}
	if err := checkPassword(body); err != nil {
		return err
	}
	if _, given := body["orgUnitPath"]; given && t.orgUnit(str(body, "orgUnitPath")) == nil {
		return invalid("Invalid Input: INVALID_OU_ID")
	}
	if p := str(body, "recoveryPhone"); p != "" && !strings.HasPrefix(p, "+") {
		return invalid("Invalid Input: recovery_phone")
	}
	if err := t.checkCustom(body); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(body)) {
		limit, limited := fieldSize[name]
		if body[name] != nil && limited && len(encodeJSON(body[name])) > limit {
			return invalid("Invalid Input: %s", name)
		}
		if types, typed := elementTypes[name]; typed {
			if err := checkElements(body, name, types); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkName(body map[string]any) *apiError {
	value, given := body["name"]
	if !given {
		return nil
	}
	name, _ := value.(map[string]any)
	for _, part := range []struct{ field, shown string }{{"familyName", "FamilyName"}, {"givenName", "GivenName"}} {
		v, given := name[part.field]
		s, ok := v.(string)
		if value == nil || given && (!ok || strings.TrimSpace(s) == "" || utf8.RuneCountInString(s) > maxName) {
			return invalid("Invalid Given/Family Name: %s", part.shown)
		}
	}
	if utf8.RuneCountInString(str(name, "displayName")) > maxDisplayName {
		return invalid("Invalid Input: display_name")
	}
	for field := range name {
		if !slices.Contains([]string{"givenName", "familyName", "fullName", "displayName"}, field) {
			return invalid("Invalid JSON payload received. Unknown name %q at 'user.name': Cannot find field.", field)
		}
	}
	return nil
}

// checkPassword requires 8 to 100 ASCII characters, or a hash in one of three forms.
func checkPassword(body map[string]any) *apiError {
	hash := str(body, "hashFunction")
	if hash != "" && hash != "MD5" && hash != "SHA-1" && hash != "crypt" {
		return invalid("Invalid Input: hash_function")
	}
	if _, given := body["password"]; !given {
		return nil
	}
	password := str(body, "password")
	size := map[string]int{"MD5": 32, "SHA-1": 40}[hash]
	_, err := hex.DecodeString(password)
	switch {
	case size > 0 && len(password) == size && err == nil:
		return nil
	case hash == "crypt" && len(password) >= 13:
		return nil
	case hash == "" && len(password) >= minPassword && len(password) <= maxPassword:
		return nil
	}
	return invalid("Invalid Password")
}

func checkElements(body map[string]any, name string, types []string) *apiError {
	list, _ := body[name].([]any)
	for _, e := range list {
		o, ok := e.(map[string]any)
		if !ok {
			return invalid("Invalid Input: %s", name)
		}
		kind, given := o["type"]
		if given && !slices.Contains(types, str(o, "type")) {
			return invalid("Invalid Input: %s: type %v", name, kind)
		}
		if str(o, "type") == "custom" && str(o, "customType") == "" {
			return invalid("Invalid Input: %s: customType", name)
		}
	}
	return nil
}
