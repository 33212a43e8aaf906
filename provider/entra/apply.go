package entra

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
)

// Estimate implements reconcile.Estimator. Twenty members of a group are one write.
func (p *Provider) Estimate(changes []plan.Change) time.Duration {
	writes := 0.0
	for i := range changes {
		if changes[i].Op == plan.AddMember {
			writes += 1.0 / mostMembers
		} else {
			writes++
		}
	}
	return pace.Takes(p.cfg.Rates(), pace.Cost{pace.Writes: writes})
}

// job is one change with its result.
type job struct {
	*plan.Change
	out  provider.Result
	done bool
}

// fail ends a job.
func (j *job) fail(err error) { j.out.Err, j.done = err, true }

// succeed ends a job. note is information for the operator.
func (j *job) succeed(note string) { j.out.Err, j.out.Note, j.done = nil, note, true }

// end ends a job with the outcome of its request.
func (j *job) end(it *item) {
	j.out.RequestID = it.answer.requestID()
	j.out.Err, j.done = it.named(), true
}

// open returns the jobs that have not ended.
func open(jobs []*job) []*job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.done })
}

// Apply implements provider.Provider. Changes of one kind are sent together, in batches.
func (p *Provider) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	jobs := make([]*job, len(batch))
	for i := range batch {
		jobs[i] = &job{Change: &batch[i], out: provider.Result{RemoteID: batch[i].RemoteID}}
	}
	p.seen.note()
	for from := 0; from < len(jobs); {
		to := from + 1
		for to < len(jobs) && jobs[to].Op == jobs[from].Op && jobs[to].Kind == jobs[from].Kind {
			to++
		}
		p.apply(ctx, jobs[from:to])
		from = to
	}
	results := make([]provider.Result, len(jobs))
	for i, j := range jobs {
		switch {
		case !j.done:
			j.fail(fault.Errorf(fault.Internal, "%s of %s has no result", j.Op, j.Ref))
		case j.out.Err != nil:
			j.out.Err = p.ofObject(ctx, j)
		}
		results[i] = j.out
	}
	return results
}

// ofObject converts the error of a job to an error of its object, if Graph refused the object. A refusal below 500
// that repeating the request did not cure does not concern the target.
func (p *Provider) ofObject(ctx context.Context, j *job) error {
	r, kind := refused(j.out.Err), fault.KindOf(j.out.Err)
	switch {
	case r == nil:
	case kind == fault.Refused && r.forbidden() && j.Kind == directory.User && !j.Op.Membership() &&
		slices.Contains(p.known(ctx).Admins, j.RemoteID):
		return fault.Errorf(fault.Refused, "user %s is an administrator, which the app may not change: %w", j.RemoteID, r)
	case kind == fault.Unavailable && r.Status >= 400 && r.Status < 500 && r.Status != http.StatusRequestTimeout &&
		r.Status != http.StatusTooEarly:
		return fault.Errorf(fault.Refused, "%w", j.out.Err)
	}
	return j.out.Err
}

// apply carries out changes of one operation and one kind.
func (p *Provider) apply(ctx context.Context, jobs []*job) {
	if err := ctx.Err(); err != nil {
		failAll(jobs, fault.New(fault.KindOf(err), "", err))
		return
	}
	for _, j := range jobs {
		if j.Op != plan.Create && !isObjectID(j.RemoteID) {
			p.unaddressed(j)
		}
	}
	if jobs = open(jobs); len(jobs) == 0 {
		return
	}
	switch op, kind := jobs[0].Op, jobs[0].Kind; {
	case op == plan.AddMember:
		p.addMembers(ctx, jobs)
	case op == plan.RemoveMember:
		p.removeMembers(ctx, jobs)
	case kind == directory.Group:
		p.changeGroups(ctx, op, jobs)
	default:
		p.changeUsers(ctx, op, jobs)
	}
}

// unaddressed ends a job without a valid remote id. An object that does not exist cannot lose anything.
func (p *Provider) unaddressed(j *job) {
	if j.RemoteID != "" && (j.Op == plan.Delete || j.Op == plan.RemoveMember) {
		j.succeed("")
		return
	}
	j.fail(fault.Errorf(fault.NotFound, "%s of %s: object %q does not exist", j.Op, j.Ref, j.RemoteID))
}

func failAll(jobs []*job, err error) {
	for _, j := range jobs {
		if !j.done {
			j.fail(err)
		}
	}
}

func (p *Provider) changeUsers(ctx context.Context, op plan.Op, jobs []*job) {
	switch op {
	case plan.Create:
		p.createUsers(ctx, jobs)
	case plan.Update:
		p.updateUsers(ctx, jobs, func(j *job) map[string]any { return map[string]any{} })
	case plan.Adopt, plan.Reanchor:
		p.claimUsers(ctx, jobs)
	case plan.Suspend:
		p.suspendUsers(ctx, jobs)
	case plan.Restore:
		p.restoreUsers(ctx, jobs)
	case plan.Delete:
		p.deleteUsers(ctx, jobs)
	case plan.Undelete:
		p.undeleteUsers(ctx, jobs)
	default:
		failAll(jobs, fault.Errorf(fault.Internal, "%s of a user", op))
	}
}

func (p *Provider) changeGroups(ctx context.Context, op plan.Op, jobs []*job) {
	switch op {
	case plan.Create:
		p.createGroups(ctx, jobs)
	case plan.Update:
		p.updateGroups(ctx, jobs, func(j *job) map[string]any { return map[string]any{} })
	case plan.Reanchor:
		p.reanchorGroups(ctx, jobs)
	case plan.Adopt:
		failAll(jobs, fault.Errorf(fault.Conflict, "the uniqueName of a group, which is its anchor, cannot be changed"))
	case plan.Suspend, plan.Restore:
		for _, j := range jobs {
			j.succeed("groups cannot be suspended")
		}
	case plan.Delete:
		p.deleteGroups(ctx, jobs)
	default:
		failAll(jobs, fault.Errorf(fault.Internal, "%s of a group", op))
	}
}

// sendPatches ends jobs with the outcome of their requests. A request that changes nothing is not sent.
func (p *Provider) sendPatches(ctx context.Context, jobs []*job, items []*item) {
	var real []*item
	for _, it := range items {
		if body, ok := it.body.(map[string]any); !ok || len(body) > 0 {
			real = append(real, it)
		}
	}
	p.send(ctx, real...)
	for i, j := range jobs {
		j.end(items[i])
	}
}

// settling returns a function that makes a temporary error Unavailable. This is the answer that a recently created
// object does not exist.
func (p *Provider) settling(ids ...string) func(error) error {
	return func(err error) error {
		r := refused(err)
		fresh := slices.ContainsFunc(ids, p.recent.Has)
		switch {
		case r == nil:
			return err
		case fresh && (notFound(err) || unreplicated(r)):
			return fault.Errorf(fault.Unavailable, "created moments ago and not yet visible everywhere: %w", err)
		case unreplicated(r):
			return fault.Errorf(fault.NotFound, "%w", err)
		}
		return err
	}
}

// gone returns the error for an object that is in the ledger and not in Graph.
func (p *Provider) gone(j *job) error {
	kind := fault.NotFound
	if p.recent.Has(j.RemoteID) {
		kind = fault.Unavailable
	}
	return fault.Errorf(kind, "%s %s does not exist", j.Kind, j.RemoteID)
}

// missingIsFine converts the answer that the object does not exist to a success.
func missingIsFine(err error) error {
	if notFound(err) {
		return nil
	}
	return err
}

// remoteIDs returns the remote ids of jobs, each once.
func remoteIDs(jobs []*job) []string {
	ids := make([]string, 0, len(jobs))
	for _, j := range jobs {
		ids = append(ids, j.RemoteID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

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
