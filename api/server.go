package api

import (
	"context"

	"rollcall/directory"
	"rollcall/ledger"
)

// Facts are the stored facts with which the runs of one container compare their reads.
type Facts interface {
	Facts(ctx context.Context) (ledger.Facts, error)
	SetFacts(ctx context.Context, f ledger.Facts) error
}

// serverView names the server of a read and its position.
type serverView struct {
	Text        string              `json:"text"`
	Reference   directory.Position  `json:"reference,omitzero"`
	Pending     *directory.Position `json:"pending,omitempty"`
	PendingText string              `json:"pending_text"`
	// PolledAt is when the source last told its changes, and PollReason why the last poll did not.
	PolledAt   *stamp `json:"polled_at,omitempty"`
	PollReason string `json:"poll_reason,omitempty"`
}

// acceptedView is the response to an acceptance.
type acceptedView struct {
	Accepted directory.Position `json:"accepted"`
	Text     string             `json:"text"`
}

// server shows the position of the last trusted read, and of a read that is in doubt.
func (a *API) server(r *request) (answer, error) {
	if a.cfg.Facts == nil {
		return notFound(), nil
	}
	f, err := a.cfg.Facts(r.container()).Facts(r.Context())
	if err != nil {
		return answer{}, err
	}
	poll, err := a.cfg.Status.Poll(r.Context(), r.container())
	if err != nil {
		return answer{}, err
	}
	view := serverView{Reference: f.Positions.Reference, Pending: f.Positions.Pending, PolledAt: orNull(poll.At),
		PollReason: poll.Reason}
	if !view.Reference.IsZero() {
		view.Text = view.Reference.String()
	}
	if view.Pending != nil {
		view.PendingText = view.Pending.String()
	}
	return ok(view), nil
}

// acceptServer makes the server in doubt the reference for the next reads.
func (a *API) acceptServer(r *request) (answer, error) {
	if a.cfg.Facts == nil {
		return notFound(), nil
	}
	accepted, err := a.AcceptServer(r.Context(), r.container(), r.by())
	if err != nil {
		return answer{}, err
	}
	return ok(acceptedView{accepted, accepted.String()}), nil
}
