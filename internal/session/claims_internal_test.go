package session

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
)

// FuzzClaims reads the claims of ID tokens. A name has no control characters, and both name and groups are bounded.
func FuzzClaims(f *testing.F) {
	f.Add("u-1", `{"email":"ada@example.com","email_verified":true,"groups":["staff",""]}`, "groups")
	f.Add("u-1", `{"email":"ada@example.com","email_verified":"true"}`, "email")
	f.Add("\x00\u202e", `{"preferred_username":"\u001b[2J","groups":"staff"}`, "groups")
	f.Add("", `{"groups":[{"a":null}]}`, "groups")
	f.Fuzz(func(t *testing.T, subject, text, claim string) {
		var claims map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &claims) != nil {
			return
		}
		who, err := personOf(subject, claims, claim)
		if err != nil {
			return
		}
		if who.Name == "" || len([]rune(who.Name)) > 2*maxText+3 || strings.ContainsFunc(who.Name, unicode.IsControl) ||
			len(who.Values) > maxValues {
			t.Errorf("personOf(%q, %s) = %+v", subject, text, who)
		}
		if claim == "email" && len(who.Values) > 0 && string(claims["email_verified"]) != "true" {
			t.Errorf("personOf(%q, %s) = %+v, want no address that is not verified", subject, text, who)
		}
	})
}
