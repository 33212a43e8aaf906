package boot

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"rollcall/api"
	"rollcall/audit"
	"rollcall/container"
	"rollcall/internal/secret"
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
	known.watch()
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

// watch looks at the file until the App is closed, so that streams end with their token and an alert needs no request.
func (k *knownTokens) watch() {
	k.app.keep(func(ctx context.Context) {
		k.file.Watch(ctx, func() { k.app.complain(k.file.Err(), &k.said) })
	})
}

// tokensChanged tells package api when rights may have gone.
func tokensChanged(known session.Tokens) func() <-chan struct{} {
	if file, is := known.(*knownTokens); is {
		return file.file.Changed
	}
	return nil
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

// people returns the sign-in of people, or nil if it is not configured. From then on known accepts ID tokens, too.
func (a *App) people(known session.Tokens) *session.People {
	file, is := known.(*knownTokens)
	if a.Process.OIDCIssuer == "" || !is {
		return nil
	}
	cfg := session.PeopleConfig{
		Issuer: a.Process.OIDCIssuer, ClientID: a.Process.OIDCClientID, RedirectURL: a.Process.OIDCRedirectURL,
		Claim: a.Process.OIDCClaim, Scopes: strings.Fields(a.Process.OIDCScopes), Rights: file.file.Person,
	}
	if path := string(a.Process.OIDCSecretFile); path != "" {
		cfg.Secret = func() (string, error) {
			v, _, err := secret.FromFile(path, a.Process.StrictFiles)
			if err != nil {
				err = fmt.Errorf("ROLLCALL_OIDC_CLIENT_SECRET_FILE: %w", err)
			}
			return v.Reveal(), err
		}
	}
	file.people = session.NewPeople(cfg)
	return file.people
}

// signatures returns what signs the sessions of the pages, or nil without a key.
func (a *App) signatures() func(data string) ([]string, error) {
	if a.sign.keys == nil {
		return nil
	}
	return func(data string) ([]string, error) {
		keys, err := a.sign.keys()
		out := make([]string, len(keys))
		for i, k := range keys {
			out[i] = hex.EncodeToString(k.Sign("session", []byte(data)))
		}
		return out, err
	}
}

// auditLog opens the audit log of the API. It returns nil if there is neither a file nor a standard error, as in the
// demo.
func (a *App) auditLog(ctx context.Context) (audit.Sink, error) {
	if a.Process.AuditFile == "" && a.stderr == nil {
		return nil, nil
	}
	log, err := audit.Open(ctx, audit.Config{
		Path: a.Process.AuditFile, Writer: a.stderr, Keep: a.Process.AuditKeep, Heads: audit.RedisHeads{Redis: a.Redis},
		Now: a.Clock.Now,
	})
	if err != nil {
		return nil, err
	}
	if err := a.recall(ctx); err != nil {
		return nil, err
	}
	watched, stop := context.WithCancel(context.WithoutCancel(ctx))
	var watching sync.WaitGroup
	watching.Go(func() { a.watchAudit(watched, log) })
	closed := a.close
	a.close = func() {
		stop()
		watching.Wait()
		if err := log.Close(); err != nil {
			a.Log.Error("close the audit log", "err", err)
		}
		closed()
	}
	return func(ctx context.Context, r audit.Record, durable bool) (int64, error) {
		sequence, err := log.Write(ctx, r, durable)
		if err != nil {
			a.access.AuditFailures.Inc()
		}
		return sequence, err
	}, nil
}

// auditEvery is how often the whole audit log is checked.
const auditEvery = time.Hour

// watchAudit checks the audit log at the start and every hour, and tells of a break.
func (a *App) watchAudit(ctx context.Context, log *audit.Log) {
	tick := time.NewTicker(auditEvery)
	defer tick.Stop()
	for said, lost := "", log.Lost(); ; lost = false {
		broken, why := 0.0, ""
		err := log.Verify(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			broken, why = 1, err.Error()
		} else if lost {
			broken, why = 1, "lines at its end were missing at the start"
		}
		a.access.AuditBroken.Set(broken)
		switch {
		case why == "":
			a.Log.InfoContext(ctx, "the audit log is whole")
		case why != said:
			a.Log.ErrorContext(ctx, "the audit log is broken", "reason", why)
		}
		said = why
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// recall reads from the audit log how far the decisions of each container were, so that a loss on Redis is noticed. The
// first look at a container notes a loss for the workers.
func (a *App) recall(ctx context.Context) error {
	if a.Process.AuditFile == "" {
		return nil
	}
	sequences, err := audit.Sequences(a.Process.AuditFile)
	if err != nil {
		return err
	}
	for name, n := range sequences {
		c := container.ID(name)
		a.Decisions.Saw(c, n)
		switch kept, err := a.Decisions.Kept(ctx, c); {
		case err != nil:
			return err
		case kept.Broken != "":
			a.Log.ErrorContext(ctx, "decisions are not to be trusted", "container", c, "reason", kept.Broken)
		}
	}
	return nil
}
