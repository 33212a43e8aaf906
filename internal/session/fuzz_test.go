package session_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"rollcall/internal/redistest"
	"rollcall/internal/session"
	"rollcall/internal/tokens"
)

// FuzzCookies has a browser send any cookies, and another program write any session to Redis. No request is signed in,
// and no answer leads to another host or begins a session.
func FuzzCookies(f *testing.F) {
	list, err := tokens.Parse([]byte(peopleFile + "ops read sha256:" + strings.Repeat("ab", 32) + "\n"))
	if err != nil {
		f.Fatal(err)
	}
	person, err := json.Marshal(map[string]any{"Name": "eve", "Values": []string{"staff"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("id", "person "+string(person), "state.nonce.verifier.L3BhZ2Vz", "?state=state&code=x", "/pages")
	f.Add("", "sig 99999999999 person "+string(person), "a.b.c.Ly9ldmlsLnRlc3Q", "?state=a&error=x%0d%0a", "//evil.test/")
	f.Add("id\"; x", " 9223372036854775808 x", "...", "?state=&iss=x", "/\\evil.test")
	f.Add("id", "right 99999999999 mark", "a.b.c.!", "?", "/\t/evil.test")
	rdb := redistest.Mini(f)
	desk := session.New(session.Config{Redis: rdb, Tokens: tokens.Fixed{List: list}, Home: "/", SignIn: "/sign-in",
		SignOut: "/sign-out", PeopleAt: "/sign-in", People: session.NewPeople(session.PeopleConfig{
			Issuer: "http://localhost:1", ClientID: "x", RedirectURL: "http://localhost/callback", Claim: "groups",
			Rights: func([]string) (tokens.Identity, bool) { return tokens.Identity{Scopes: tokens.Scopes()}, true },
		}), Signatures: func(string) ([]string, error) { return []string{"a-signature-that-nobody-guesses"}, nil }})
	f.Fuzz(func(t *testing.T, id, stored, attempt, query, next string) {
		hash := sha256.Sum256([]byte(id))
		rdb.FlushDB(t.Context())
		rdb.Set(t.Context(), "rollcall:{dashboard}:session:"+hex.EncodeToString(hash[:]), stored, 0)
		ask := func(path string, serve http.HandlerFunc) {
			r := httptest.NewRequest(http.MethodGet, "/", nil)
			r.URL.Path, r.URL.RawQuery = path, strings.TrimPrefix(query, "?")+"&next="+next
			r.Header.Set("Cookie", "rollcall_session="+id+"; rollcall_signin="+attempt)
			if who, known, err := desk.Who(r); known || err != nil {
				t.Errorf("Who() = %+v, %v with the session %q of another program", who, err, stored)
			}
			w := httptest.NewRecorder()
			serve(w, r)
			if to := w.Header().Get("Location"); to != "" && (!strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//")) {
				t.Errorf("%s leads to %q", path, to)
			}
			for _, c := range w.Result().Cookies() {
				if c.Name == "rollcall_session" && c.Value != "" {
					t.Errorf("%s begins a session", path)
				}
			}
		}
		ask("/sign-in", desk.SignIn)
		ask("/sign-in/callback", desk.Callback)
	})
}
