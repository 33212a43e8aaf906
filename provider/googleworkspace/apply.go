package googleworkspace

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/provider/pace"
	"rollcall/provider/remote"
)

// Apply implements provider.Provider. It carries out the changes one after the other.
func (p *Provider) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	results := make([]provider.Result, len(batch))
	for i := range batch {
		if err := ctx.Err(); err != nil {
			results[i] = provider.Result{RemoteID: batch[i].RemoteID, Err: fault.New(fault.KindOf(err), "", err)}
			continue
		}
		results[i] = p.apply(ctx, &batch[i])
	}
	return results
}

// Estimate implements reconcile.Estimator. A change of a user reads the account first.
func (p *Provider) Estimate(changes []plan.Change) time.Duration {
	var calls, creates float64
	for i := range changes {
		calls++
		switch c := &changes[i]; c.Lane() {
		case plan.LaneCreate:
			creates++
		case plan.LaneSuspend, plan.LaneUpdate:
			calls++
		case plan.LaneRemove, plan.LaneReferences, plan.LaneGroups, plan.LaneAdd, plan.LaneDelete:
		}
	}
	rates := map[string]float64{pace.Calls: p.cfg.MaxRequestsPerSecond, userCreates: p.cfg.UserCreatesPerSecond()}
	return pace.Takes(rates, pace.Cost{pace.Calls: calls, userCreates: creates})
}

// outcome is the result of a change, besides its error.
type outcome struct {
	remoteID string
	note     string
	foreign  bool
	// sessionsEnded is set for a suspended account that was also signed out.
	sessionsEnded bool
}

func (p *Provider) apply(ctx context.Context, c *plan.Change) provider.Result {
	out, err := p.carryOut(ctx, c)
	out.remoteID = cmp.Or(out.remoteID, c.RemoteID)
	return provider.Result{RemoteID: out.remoteID, Note: out.note, Foreign: out.foreign,
		SessionsEnded: out.sessionsEnded, Err: detailed(c, err)}
}

func (p *Provider) carryOut(ctx context.Context, c *plan.Change) (outcome, error) {
	if c.Op.Membership() {
		return p.changeMember(ctx, c)
	}
	if c.Op != plan.Create && c.RemoteID == "" {
		return outcome{}, fault.Errorf(fault.NotFound, "%s has no remote object", c.Ref)
	}
	if c.Kind == directory.Group {
		return p.changeGroup(ctx, c)
	}
	return p.changeUser(ctx, c)
}

// code returns the status and the reason of Google's answer, or zero values.
func code(err error) (status int, reason string) {
	if a, ok := errors.AsType[*remote.Refusal](err); ok {
		return a.Status, a.Code
	}
	return 0, ""
}

// gone returns the error for an object that is in the ledger and not at Google.
func gone(c *plan.Change) error {
	return fault.Errorf(fault.NotFound, "%s %s does not exist", c.Kind, c.RemoteID)
}

// carries returns an error unless the object carries one of the wanted anchors.
func carries(c *plan.Change, anchors []string, want ...directory.ID) error {
	id, problem := one(anchors)
	if problem != "" {
		return fault.Errorf(fault.Conflict, "%s %s: %s", c.Kind, c.RemoteID, problem)
	}
	return remote.Carries(c, id, want...)
}

func (p *Provider) changeGroup(ctx context.Context, c *plan.Change) (outcome, error) {
	switch c.Op {
	case plan.Create:
		return p.createGroup(ctx, c)
	case plan.Update:
		body := &admin.Group{}
		if err := setGroup(body, c.Fields); err != nil {
			return outcome{}, err
		}
		return outcome{}, p.patchGroup(ctx, c, body)
	case plan.Adopt, plan.Reanchor:
		return outcome{}, p.claimGroup(ctx, c)
	case plan.Suspend, plan.Restore:
		return outcome{note: "groups cannot be suspended"}, nil
	case plan.Delete:
		return outcome{}, p.deleteGroup(ctx, c)
	}
	return outcome{}, fault.Errorf(fault.Internal, "%s of a group", c.Op)
}

// setGroup puts changed fields, without the address, into a request.
func setGroup(body *admin.Group, fields []plan.FieldChange) error {
	for _, f := range fields {
		value, goName := after(f), ""
		switch f.Name {
		case plan.AddressField:
			continue
		case "name":
			body.Name, goName = value, "Name"
		case "description":
			body.Description, goName = value, "Description"
		default:
			return fault.Errorf(fault.Invalid, "Google groups have no field %q", f.Name)
		}
		if value == "" {
			body.ForceSendFields = append(body.ForceSendFields, goName)
		}
	}
	return nil
}

func (p *Provider) createGroup(ctx context.Context, c *plan.Change) (outcome, error) {
	if err := p.checkDomain(ctx, c.Address); err != nil {
		return outcome{}, err
	}
	body := &admin.Group{Email: c.Address, ExternalIds: []*admin.ExternalId{groupAnchor(c.ID)}}
	if err := setGroup(body, c.Fields); err != nil {
		return outcome{}, err
	}
	return p.create(ctx, c, "groups.insert", func(ctx context.Context) (string, error) {
		made, err := p.api.Groups.Insert(body).Fields("id").Context(ctx).Do()
		if err != nil {
			return "", err
		}
		return made.Id, nil
	})
}

// claimGroup puts our anchor on a group and keeps the external ids of other systems.
func (p *Provider) claimGroup(ctx context.Context, c *plan.Change) error {
	g, found, err := p.getGroup(ctx, c.RemoteID)
	if err != nil {
		return err
	}
	if !found {
		return gone(c)
	}
	if err := remote.Unprotected(c, p.protectsGroup(g)); err != nil {
		return err
	}
	anchors, foreign := groupAnchors(g)
	if err := carries(c, anchors, c.ID, c.From); err != nil {
		return err
	}
	body := &admin.Group{ExternalIds: append(foreign, groupAnchor(c.ID))}
	if err := setGroup(body, c.Fields); err != nil {
		return err
	}
	return p.patchGroup(ctx, c, body)
}

// patchGroup writes a group, with its new address if the change has one. It uses groups.patch, because the reference
// states its patch semantics. For groups.update only the guide says that missing fields are kept.
func (p *Provider) patchGroup(ctx context.Context, c *plan.Change, body *admin.Group) error {
	address := remote.NewAddress(c)
	if address != "" {
		if err := p.checkDomain(ctx, address); err != nil {
			return err
		}
		body.Email = address
	}
	err := p.patchCall(ctx, c.RemoteID, body, address != "")
	if status, _ := code(err); status == http.StatusConflict && address != "" && fault.KindOf(err) == fault.Conflict {
		return p.renamed(ctx, c, func(ctx context.Context, again bool) error {
			if !again {
				body.Email = ""
			}
			return p.patchCall(ctx, c.RemoteID, body, false)
		})
	}
	return err
}

func (p *Provider) patchCall(ctx context.Context, id string, body *admin.Group, takesAddress bool) error {
	return p.callAs(ctx, "groups.patch", p.settling(takesAddress, false, id), func(ctx context.Context) error {
		_, err := p.api.Groups.Patch(id, body).Fields("id").Context(ctx).Do()
		return err
	})
}

// deleteGroup deletes a group of ours. Google cannot restore groups.
func (p *Provider) deleteGroup(ctx context.Context, c *plan.Change) error {
	g, found, err := p.ourGroup(ctx, c)
	if err != nil || !found {
		return err
	}
	if err := remote.Unprotected(c, p.protectsGroup(g)); err != nil {
		return err
	}
	p.recent.Drop(c.RemoteID)
	err = p.callAs(ctx, "groups.delete", p.settling(false, true), func(ctx context.Context) error {
		return p.api.Groups.Delete(c.RemoteID).Context(ctx).Do()
	})
	if err != nil && fault.KindOf(err) != fault.NotFound {
		return err
	}
	return nil
}

// ourGroup reads the group of a removal, and returns an error if the group is not ours. found is false if the group
// does not exist.
func (p *Provider) ourGroup(ctx context.Context, c *plan.Change) (g *admin.Group, found bool, err error) {
	g, found, err = p.getGroup(ctx, c.RemoteID)
	if err != nil {
		return nil, false, err
	}
	if !found {
		return nil, false, nil
	}
	anchors, _ := groupAnchors(g)
	want := []directory.ID{c.ID}
	if c.From != "" { // The group is re-anchored later in the same plan.
		want = append(want, c.From)
	}
	return g, true, carries(c, anchors, want...)
}

func (p *Provider) changeMember(ctx context.Context, c *plan.Change) (outcome, error) {
	if c.RemoteID == "" || c.MemberRemoteID == "" {
		return outcome{}, fault.Errorf(fault.NotFound, "%s of %s: the group or the member has no remote object", c.Op, c.Ref)
	}
	if c.Op == plan.AddMember {
		return outcome{}, p.addMember(ctx, c)
	}
	return outcome{}, p.removeMember(ctx, c)
}

// addMember makes an account a member. An existing member keeps its role.
func (p *Provider) addMember(ctx context.Context, c *plan.Change) error {
	err := p.insertMember(ctx, c, &admin.Member{Id: c.MemberRemoteID, Role: "MEMBER"})
	if fault.KindOf(err) != fault.Invalid || err == nil {
		return err
	}
	// The reference calls the address required. In practice clients send the id, which needs no look-up.
	address, lookUpErr := p.memberAddress(ctx, c)
	if lookUpErr != nil || address == "" {
		return err
	}
	return p.insertMember(ctx, c, &admin.Member{Email: address, Role: "MEMBER"})
}

func (p *Provider) insertMember(ctx context.Context, c *plan.Change, body *admin.Member) error {
	group, member := p.settling(false, false, c.RemoteID), p.settling(false, false, c.MemberRemoteID)
	return p.callAs(ctx, "members.insert", func(err error) error {
		switch {
		case alreadyMember(err):
			return nil
		case err != nil && strings.Contains(err.Error(), "memberKey"): // The text names the key that is not found.
			return member(err)
		}
		return group(err)
	}, func(ctx context.Context) error {
		_, err := p.api.Members.Insert(c.RemoteID, body).Fields("id").Context(ctx).Do()
		return err
	})
}

func (p *Provider) memberAddress(ctx context.Context, c *plan.Change) (string, error) {
	kind := directory.User
	if c.Member != nil {
		kind = c.Member.Kind
	}
	o, _, err := p.getObject(ctx, kind, c.MemberRemoteID)
	return o.Address, err
}

// removeMember ends a membership of any role, in a group that is ours.
func (p *Provider) removeMember(ctx context.Context, c *plan.Change) error {
	if _, found, err := p.ourGroup(ctx, c); err != nil || !found {
		return err
	}
	patient := p.settling(false, true)
	return p.callAs(ctx, "members.delete", func(err error) error {
		if notMember(err) {
			return nil
		}
		return patient(err)
	}, func(ctx context.Context) error {
		return p.api.Members.Delete(c.RemoteID, c.MemberRemoteID).Context(ctx).Do()
	})
}

// alreadyMember reports whether Google answered that the membership exists, by the reason or by the text.
func alreadyMember(err error) bool {
	status, reason := code(err)
	return status == http.StatusConflict &&
		(reason == "duplicate" || strings.Contains(strings.ToLower(err.Error()), "already exists"))
}

// notMember reports whether Google answered that the membership does not exist. The answer is 404, 412 for a deleted
// account, or 400 "Missing required field: memberKey" for an account that no longer exists.
func notMember(err error) bool {
	status, reason := code(err)
	return fault.KindOf(err) == fault.NotFound ||
		status == http.StatusBadRequest && reason == "required" && strings.Contains(err.Error(), "memberKey")
}

// SessionsScope lets Rollcall sign an account out of all its sessions when it is suspended. It is optional, and asked
// for in a token of its own.
const SessionsScope = admin.AdminDirectoryUserSecurityScope

const opSignOut = "users.signOut"

// signOutWithin bounds the attempt that comes before a suspension.
const signOutWithin = 5 * time.Second

// sessions ends the sessions of accounts.
type sessions struct {
	api    *admin.Service
	tokens *tokens

	mu sync.Mutex
	// until is when the scope is asked for again after a refusal.
	until time.Time
}

// endsSessions reports whether an account is signed out when it is suspended. Only a refused token means that it is
// not. Where the token endpoint gives no answer, the suspension tries.
func (p *Provider) endsSessions() bool {
	if p.cfg.EndSessions == provider.SessionsOff {
		return false
	}
	s := &p.sessions
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.now().Before(s.until) {
		return false
	}
	if _, err := s.tokens.get(nil); fault.KindOf(err) == fault.Denied {
		s.until = p.now().Add(scopeRefused)
		return false
	}
	return true
}

// signOut makes one attempt to end the sessions of an account. A suspension follows, so a refusal is neither repeated
// nor waited for.
func (p *Provider) signOut(ctx context.Context, id string) (failed error) {
	err := p.through(ctx, opSignOut, func(ctx context.Context) error {
		within := min(signOutWithin, p.cfg.RequestTimeout)
		failed = p.once(ctx, opSignOut, within, func(ctx context.Context) error {
			return p.sessions.api.Users.SignOut(id).Context(ctx).Do()
		})
		return nil
	})
	if err != nil {
		return err
	}
	return failed
}

// sessions reports whether the sessions of suspended accounts end. A scope that was not granted is no failure.
func (c *check) sessions() {
	switch {
	case c.p.cfg.EndSessions == provider.SessionsOff:
		c.ok("sessions of suspended accounts do not end (end_sessions: off)")
	case c.p.endsSessions():
		c.ok("suspended accounts are signed out of their sessions")
	default:
		c.ok("suspended accounts are not signed out of their sessions: the optional scope %s was not granted",
			SessionsScope)
	}
}
