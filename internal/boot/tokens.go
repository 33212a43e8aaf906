package boot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"rollcall/api"
	"rollcall/internal/session"
	"rollcall/internal/tokens"
)

// Tokens opens the tokens file. Without one the process does not start unless it was told so in so many words; what is
// returned is nil then.
func (a *App) Tokens() (session.Tokens, error) {
	if a.Process.TokensFile == "" {
		if !a.Process.InsecureNoTokens {
			return nil, errors.New("ROLLCALL_TOKENS_FILE: is not set: make a token with `rollcall token NAME read,sync` and " +
				"put its line into a file; to let every program that can connect do everything, set " +
				"ROLLCALL_INSECURE_NO_TOKENS=true")
		}
		if err := checkOpen(a.Process); err != nil {
			return nil, err
		}
		a.Log.Warn("the API asks for no tokens: every client that can connect may do everything")
		return nil, nil
	}
	file, err := tokens.Open(tokens.FileConfig{Path: a.Process.TokensFile, Strict: a.Process.StrictFiles})
	if err != nil {
		return nil, fmt.Errorf("ROLLCALL_TOKENS_FILE: %w", err)
	}
	if w := file.Warning(); w != "" {
		a.Log.Warn(w)
	}
	known := &knownTokens{file: file, app: a}
	known.said.Store("")
	a.complain(file.Err(), &known.said)
	return known, nil
}

// knownTokens is the tokens file, with a word in the log when it was edited badly.
type knownTokens struct {
	file *tokens.File
	// people accepts ID tokens; nil accepts none.
	people *session.People
	app    *App
	said   atomic.Value
}

// Lookup implements session.Tokens.
func (k *knownTokens) Lookup(token string) (tokens.Identity, bool) {
	if k.people != nil && session.IsIDToken(token) {
		return k.people.Bearer(context.Background(), token)
	}
	id, ok := k.file.Lookup(token)
	k.app.complain(k.file.Err(), &k.said)
	return id, ok
}

// Recall implements session.Tokens.
func (k *knownTokens) Recall(mark string) (tokens.Identity, bool) {
	id, ok := k.file.Recall(mark)
	k.app.complain(k.file.Err(), &k.said)
	return id, ok
}

// complain logs an error in the tokens file once for each edit, and counts its lines.
func (a *App) complain(err error, said *atomic.Value) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if said.Swap(text) == text {
		return
	}
	lines := 0
	if text != "" {
		lines = 1 + strings.Count(text, "\n")
		a.Log.Error("the tokens file is wrong: a wrong line gives nothing, and an unreadable file refuses every token",
			"err", text)
	}
	a.access.FileErrors.Set(float64(lines))
}

// authenticator is known in the words of package api.
func authenticator(known session.Tokens) api.Authenticator {
	if known == nil {
		return nil
	}
	return func(token string) (api.Caller, bool) {
		id, ok := known.Lookup(token)
		c := api.Caller{Name: id.Name, Only: id.Only}
		for _, s := range id.Scopes {
			c.Scopes = append(c.Scopes, string(s))
		}
		return c, ok
	}
}
