package scim

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
)

// Probe finds out how the server behaves, with one user and one group that it creates, changes and deletes. It returns
// what it saw, and then a profile for the configuration that fits the server.
func (p *Provider) Probe(ctx context.Context) (lines []string, err error) {
	s, err := p.discover(ctx)
	if err != nil {
		return nil, advised(err)
	}
	b := &probe{p: p, ctx: ctx, s: s, mark: strings.ToLower(rand.Text())}
	defer func() { err = errors.Join(err, b.clean()) }()
	if err := b.create(); err != nil {
		return b.lines, err
	}
	b.update()
	b.filters()
	if s.groups {
		b.members()
	}
	if s.cursor {
		b.key("paging", byCursor)
	}
	return append(b.lines, b.profile()), nil
}

// probe is one examination of a server.
type probe struct {
	p    *Provider
	ctx  context.Context
	s    *server
	mark string

	user, group string
	lines, keys []string
	// joins changes members in the way that the server takes.
	joins *Provider
}

func (b *probe) say(format string, args ...any) {
	b.lines = append(b.lines, fmt.Sprintf(format, args...))
}

// key adds a line of the profile.
func (b *probe) key(name, value string) {
	b.keys = append(b.keys, "      "+name+": "+value)
}

// profile returns the profile as the configuration has it.
func (b *probe) profile() string {
	cfg := &b.p.cfg
	like := cfg.Profile
	if own, ok := cfg.own[like].(OwnProfile); ok {
		like = cmp.Or(own.Like, DefaultProfile)
	}
	return fmt.Sprintf("this profile fits the server. With it in the configuration, set profile: server-%d here:\n"+
		"profiles:\n  scim:\n    server-%[1]d:\n      like: %s\n%s", cfg.ID, like, strings.Join(b.keys, "\n"))
}

// with returns a Provider with another configuration.
func (b *probe) with(change func(*Config)) *Provider {
	p := &Provider{cfg: b.p.cfg, opts: b.p.opts, auth: b.p.auth, client: b.p.client, now: b.p.now}
	change(&p.cfg)
	p.recent.Now = p.now
	p.recent.Add(b.group)
	return p
}

// change returns a change of the probe's user or group.
func (b *probe) change(op plan.Op, kind directory.Kind) *plan.Change {
	c := &plan.Change{Op: op, Ref: directory.Ref{Kind: kind, ID: directory.ID("rollcall-probe-" + b.mark)},
		RemoteID: b.user, Label: "Rollcall probe " + b.mark}
	if c.Address = "rollcall-probe-" + b.mark + "@" + b.domain(); kind == directory.Group {
		c.RemoteID, c.Address = b.group, ""
	}
	return c
}

func (b *probe) domain() string {
	if len(b.p.cfg.Domains) > 0 {
		return b.p.cfg.Domains[0]
	}
	return "example.com"
}

// create makes the objects. Their names say what they are for.
func (b *probe) create() error {
	c := b.change(plan.Create, directory.User)
	for name, value := range map[string]string{"displayName": c.Label, "name.givenName": "Rollcall",
		"name.familyName": "Probe", "emails.work": c.Address} {
		c.Fields = append(c.Fields, plan.FieldChange{Name: name, After: []string{value}})
	}
	out, err := b.p.create(b.ctx, c)
	if b.user = out.remoteID; err != nil {
		return fmt.Errorf("create a user: %w", err)
	}
	b.say("a user can be created (%s) and keeps its externalId", b.user)
	if !b.s.groups {
		return nil
	}
	g := b.change(plan.Create, directory.Group)
	out, err = b.p.create(b.ctx, g)
	if b.group = out.remoteID; err != nil {
		return fmt.Errorf("create a group: %w", err)
	}
	b.say("a group can be created (%s) and keeps its externalId", b.group)
	return nil
}

// update tries the ways to change a user, the preferred one first.
func (b *probe) update() {
	ways := []string{byPatch, byObject, byPut}
	for _, way := range ways {
		value := "Rollcall probe by " + way
		if b.try(way, value) {
			b.say("users can be changed by %s", way)
			b.key("update", way)
			break
		}
	}
	c := b.change(plan.Suspend, directory.User)
	if _, err := b.p.suspend(b.ctx, c); err != nil {
		b.say("warning: users cannot be suspended: %v", err)
		return
	}
	b.say("users can be suspended")
}

// try changes the name of the user in one way, and reads it again.
func (b *probe) try(way, value string) bool {
	trial := *b.s
	trial.patch = way != byPut
	p := b.with(func(c *Config) { c.Update = way })
	c := b.change(plan.Update, directory.User)
	current, err := p.current(b.ctx, c, "")
	if err == nil {
		name := setting{slot: slots["displayName"], name: "displayName", value: value}
		err = p.write(b.ctx, &trial, c, current, []setting{name}, false)
	}
	r, found, getErr := b.p.get(b.ctx, directory.User, b.user, "")
	return err == nil && getErr == nil && found && r.text("displayName") == value
}

// filters tries the filters that a client can use.
func (b *probe) filters() {
	c := b.change(plan.Update, directory.User)
	var works []string
	for attribute, value := range map[string]string{userNameAttr: c.Address, externalIDAttr: string(c.ID)} {
		if b.filter(directory.User, attribute, value, b.user) {
			works = append(works, attribute)
		}
	}
	if b.group != "" && b.join() {
		if b.filter(directory.User, groupsAttr, b.group, b.user) {
			works = append(works, groupsAttr)
		}
		if b.filter(directory.Group, membersAttr, b.user, b.group) {
			works = append(works, membersAttr)
		}
	}
	slices.Sort(works)
	if len(works) == 0 {
		works = []string{noFilters}
	}
	b.say("filters by eq: %s", strings.Join(works, ", "))
	b.key("filters", "["+strings.Join(works, ", ")+"]")
}

// join makes the user a member of the group by PATCH, or else by PUT.
func (b *probe) join() bool {
	var err error
	for _, way := range []string{byPatch, byPut} {
		b.joins = b.with(func(c *Config) { c.MemberUpdate = way })
		if err = b.joins.oneMember(b.ctx, b.s, b.group, b.user, plan.AddMember); err == nil {
			b.key("member_update", way)
			return true
		}
	}
	b.say("warning: no member can be added: %v", err)
	return false
}

// filter reports whether a filter finds exactly one object.
func (b *probe) filter(kind directory.Kind, attribute, value, id string) bool {
	list, err := b.p.list(b.ctx, b.s, query{kind: kind, filter: equals(attribute, value), op: "probe"})
	return err == nil && len(list) == 1 && list[0].id() == id
}

// members finds where members are shown, and how they are removed.
func (b *probe) members() {
	g, found, err := b.p.get(b.ctx, directory.Group, b.group, "")
	ids, _ := g.members()
	shown := err == nil && found && slices.Contains(ids, b.user)
	list, err := b.p.list(b.ctx, b.s, query{kind: directory.Group})
	inLists := err == nil && slices.ContainsFunc(list, func(r resource) bool {
		ids, _ := r.members()
		return r.id() == b.group && slices.Contains(ids, b.user)
	})
	switch {
	case inLists:
		b.say("the list of groups has members")
		b.key("members", inList)
	case shown:
		b.say("only the answer about one group has members")
		b.key("members", byGet)
	case b.filter(directory.User, groupsAttr, b.group, b.user):
		b.say("members are found by a filter of groups.value")
		b.key("members", byUser)
	default:
		b.say("warning: no answer has members")
		return
	}
	if err := b.joins.oneMember(b.ctx, b.s, b.group, b.user, plan.RemoveMember); err != nil {
		b.say("warning: a member cannot be removed with member_removal: %s: %v", b.p.cfg.MemberRemoval, err)
		return
	}
	b.say("members can be removed with member_removal: %s", b.p.cfg.MemberRemoval)
}

// oneMember changes one membership.
func (p *Provider) oneMember(ctx context.Context, s *server, group, user string, op plan.Op) error {
	m := &membership{p: p, s: s, c: &plan.Change{Op: op, Ref: directory.Ref{Kind: directory.Group}, RemoteID: group}}
	return m.write(ctx, []string{user})
}

// clean deletes what was created.
func (b *probe) clean() error {
	var errs []error
	for kind, id := range map[directory.Kind]string{directory.Group: b.group, directory.User: b.user} {
		if id == "" {
			continue
		}
		req := &request{op: opOf(kind, "delete"), method: http.MethodDelete, path: b.p.path(kind, id)}
		ctx := context.WithoutCancel(b.ctx)
		if err := b.p.call(ctx, req, nil); err != nil && fault.KindOf(err) != fault.NotFound {
			errs = append(errs, fmt.Errorf("delete the %s %s of the probe by hand: %w", kind, id, err))
		}
	}
	return errors.Join(errs...)
}
