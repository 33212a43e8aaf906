package entra

import (
	"context"
	"net/http"
	"slices"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// job is one change with its result.
type job struct {
	*plan.Change
	out  provider.Result
	done bool
}

// fail ends a job.
func (j *job) fail(err error) { j.out.Err, j.done = err, true }

// succeed ends a job; note says what a person should know.
func (j *job) succeed(note string) { j.out.Err, j.out.Note, j.done = nil, note, true }

// end takes what became of the job's request.
func (j *job) end(it *item) {
	j.out.RequestID = it.answer.requestID()
	j.out.Err, j.done = it.err, true
}

// open returns the jobs that have not ended.
func open(jobs []*job) []*job {
	return slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.done })
}

// Apply implements provider.Provider. Changes of one kind go together, in batches.
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
		if results[i] = j.out; !j.done {
			results[i].Err = fault.Errorf(fault.Internal, "%s of %s came to no end", j.Op, j.Ref)
		}
	}
	return results
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

// unaddressed ends a job whose remote id is none: what has no object cannot lose anything.
func (p *Provider) unaddressed(j *job) {
	if j.RemoteID != "" && (j.Op == plan.Delete || j.Op == plan.RemoveMember) {
		j.succeed("")
		return
	}
	j.fail(fault.Errorf(fault.NotFound, "%s of %s: there is no object %q", j.Op, j.Ref, j.RemoteID))
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
		p.updateGroups(ctx, jobs)
	case plan.Adopt, plan.Reanchor:
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

// newAddress returns the address that a change gives the object; "" where it leaves it alone.
func newAddress(c *plan.Change) string {
	if slices.ContainsFunc(c.Fields, func(f plan.FieldChange) bool { return f.Name == plan.AddressField }) {
		return c.Address
	}
	return ""
}

// settling retells errors that a little patience cures: that one of the objects does not exist, where this process just
// created it.
func (p *Provider) settling(ids ...string) func(error) error {
	return func(err error) error {
		r := refused(err)
		fresh := slices.ContainsFunc(ids, p.recent.Has)
		switch {
		case r == nil:
			return err
		case fresh && (notFound(err) || unreplicated(r)):
			return fault.Errorf(fault.Unavailable, "created moments ago and not yet everywhere: %w", err)
		case unreplicated(r):
			return fault.Errorf(fault.NotFound, "%w", err)
		}
		return err
	}
}

// gone is the error for an object that the ledger knows and Graph does not.
func (p *Provider) gone(j *job) error {
	kind := fault.NotFound
	if p.recent.Has(j.RemoteID) {
		kind = fault.Unavailable
	}
	return fault.Errorf(kind, "%s %s is not there", j.Kind, j.RemoteID)
}

// denied tells a target that refuses us from one object that is above us. Graph lets no app change an administrator that
// is none itself, nor what a restricted administrative unit holds: such a refusal comes while the like is taken from us.
func (p *Provider) denied(ctx context.Context, jobs []*job, items []*item) {
	var refusals []*job
	for i, it := range items {
		if it.err == nil {
			p.allowed.Store(it.op, p.now())
		} else if r := refused(it.err); r != nil && r.status == http.StatusForbidden && fault.KindOf(it.err) == fault.Denied {
			refusals = append(refusals, jobs[i])
		}
	}
	if len(refusals) == 0 {
		return
	}
	at, once := p.allowed.Load(items[0].op)
	before := once && p.now().Sub(at.(time.Time)) < time.Minute
	var administrators map[string]bool
	if !before && refusals[0].Kind == directory.User {
		administrators, _ = p.readAdministrators(ctx)
	}
	for _, j := range refusals {
		switch {
		case administrators[j.RemoteID]:
			j.fail(fault.Errorf(fault.Conflict, "user %s is an administrator, whom the app may not change: %w", j.RemoteID, refused(j.out.Err)))
		case before:
			j.fail(fault.Errorf(fault.Conflict, "%s %s is one that the app may not change, where it may change others: %w", j.Kind, j.RemoteID, refused(j.out.Err)))
		}
	}
}
