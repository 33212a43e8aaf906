package entra

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"rollcall/provider"
)

// SessionsPermission is the application permission with which the sessions of a suspended account are revoked. It is
// optional, and Permissions does not have it. Entra puts every permission that was granted into each access token.
const SessionsPermission = "User.RevokeSessions.All"

const opRevoke = "users.revokeSignInSessions"

// revokeWithin bounds the attempts of a batch, because other leavers wait.
const revokeWithin = 10 * time.Second

// endsSessions reports whether the sessions of an account are revoked when it is suspended. Where the access token
// does not show its permissions, the suspension tries.
func (p *Provider) endsSessions(ctx context.Context) bool {
	if p.cfg.EndSessions == provider.SessionsOff {
		return false
	}
	token, err := p.tokens.get(ctx, "")
	return err == nil && (token.roles == nil || slices.Contains(token.roles, SessionsPermission))
}

// revokeSessions revokes the sessions of accounts that are disabled now. It comes after that, because a session that
// an active account begins in between would stay. A failure does not fail the suspension.
func (p *Provider) revokeSessions(ctx context.Context, jobs []*job) {
	var items []*item
	var disabled []*job
	for _, j := range jobs {
		if j.EndSessions && j.done && j.out.Err == nil && !j.out.Foreign {
			disabled = append(disabled, j)
			items = append(items, &item{op: opRevoke, method: http.MethodPost,
				url: "/users/" + j.RemoteID + "/revokeSignInSessions"})
		}
	}
	for some := range slices.Chunk(items, mostItems) {
		bounded, cancel := context.WithTimeout(ctx, revokeWithin)
		p.sendSome(bounded, some)
		cancel()
	}
	for i, j := range disabled {
		err := items[i].err
		if err == nil {
			err = revoked(items[i].answer.body)
		}
		if j.out.SessionsEnded = err == nil; err != nil {
			j.out.Note = "is suspended, and its sessions could not be ended: " + err.Error()
		}
	}
}

// revoked reads an answer. Its value is true, and older documentation has none.
func revoked(body []byte) error {
	var answer struct{ Value *bool }
	if json.Unmarshal(body, &answer) == nil && answer.Value != nil && !*answer.Value {
		return errors.New(opRevoke + ": Graph answers that it revoked nothing")
	}
	return nil
}

// checkSessions says whether the sessions of suspended accounts end.
func (p *Provider) checkSessions(ctx context.Context) string {
	switch {
	case p.cfg.EndSessions == provider.SessionsOff:
		return "sessions of suspended accounts do not end (end_sessions: off)"
	case p.endsSessions(ctx):
		return "the sessions of suspended accounts are revoked"
	}
	return "the sessions of suspended accounts are not revoked: the optional permission " + SessionsPermission +
		" was not granted"
}
