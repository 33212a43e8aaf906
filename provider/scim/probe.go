package scim

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
	defer func() {
		left, cleanErr := b.clean()
		lines, err = append(left, lines...), errors.Join(err, cleanErr)
	}()
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

// clean deletes what was created. left says what the server keeps.
func (b *probe) clean() (left []string, err error) {
	var errs []error
	ctx := context.WithoutCancel(b.ctx)
	for kind, id := range map[directory.Kind]string{directory.Group: b.group, directory.User: b.user} {
		if id == "" {
			continue
		}
		out, err := b.p.delete(ctx, b.change(plan.Delete, kind))
		if err != nil { // It has lost its externalId, for example.
			err = b.p.call(ctx, &request{op: opOf(kind, "delete"), method: http.MethodDelete,
				path: b.p.path(kind, id)}, nil)
		}
		switch {
		case err != nil && fault.KindOf(err) != fault.NotFound:
			errs = append(errs, fmt.Errorf("delete the %s %s of the probe by hand: %w", kind, id, err))
		case out.outlived:
			left = append(left, fmt.Sprintf("warning: the server does not delete users, and the user %s of the probe "+
				"stays there, suspended: delete it by hand. Rollcall suspends users there, whatever "+
				"user_delete_action says", id))
		}
	}
	return left, errors.Join(errs...)
}

// Check tests the prerequisites of a run without writing. These are the credentials, what the server publishes, the
// mapped attributes, and a first page of users and groups.
func (p *Provider) Check(ctx context.Context) ([]string, error) {
	c := &check{p: p, ctx: ctx}
	s, err := p.discover(ctx)
	if err != nil {
		return nil, advised(err)
	}
	c.published(s)
	c.attributes(s)
	for _, kind := range directory.Kinds {
		if kind == directory.User || s.groups {
			c.list(s, kind)
		}
	}
	return c.good, errors.Join(c.bad...)
}

type check struct {
	p    *Provider
	ctx  context.Context
	good []string
	bad  []error
}

func (c *check) ok(format string, args ...any) { c.good = append(c.good, fmt.Sprintf(format, args...)) }

// advised adds to an error what to do about it.
func advised(err error) error {
	a := refused(err)
	switch {
	case a == nil:
		return err
	case a.Status == http.StatusUnauthorized:
		return fmt.Errorf("%w: the server does not accept the credentials", err)
	case a.Status == http.StatusForbidden, a.Status == http.StatusPaymentRequired:
		return fmt.Errorf("%w: the credentials need the right to read and write users and groups", err)
	case a.Status == http.StatusNotFound:
		return fmt.Errorf("%w: endpoint must be the address above /Users and /Groups", err)
	}
	return err
}

func (c *check) published(s *server) {
	if !s.published {
		c.ok("the server does not publish what it can do; the profile %s says it", c.p.cfg.Profile)
	}
	how := "PATCH"
	if !s.patch {
		how = "PUT"
	}
	paging := byIndex
	if s.cursor {
		paging = byCursor
	}
	filters := "no filters"
	if s.filter {
		filters = "filters of " + strings.Join(c.p.cfg.Filters, ", ")
	}
	versions := "no versions"
	if s.etag {
		versions = "versions"
	}
	c.ok("profile %s: changes by %s, pages of %d by %s, %s, %s", c.p.cfg.Profile, how, s.pageSize, paging, filters,
		versions)
	if !s.groups {
		c.ok("warning: the server publishes no resource type Group, so that groups are not written")
	}
}

// attributes names the mapped attributes that the server's schemas do not have.
func (c *check) attributes(s *server) {
	if s.types == nil {
		return
	}
	for kind, fields := range map[directory.Kind][]string{
		directory.User: c.p.userFields, directory.Group: c.p.groupFields,
	} {
		for _, name := range fields {
			at, _ := parseSlot(name)
			top := at
			top.sub = ""
			if s.typeOf(kind, top) == "" {
				c.ok("warning: the server's schemas have no attribute for the mapped field %s of %ss", name, kind)
			}
		}
	}
	slices.Sort(c.good[1:])
}

// list reads the first page of a collection.
func (c *check) list(s *server, kind directory.Kind) {
	values := url.Values{"count": {"2"}}
	if s.cursor {
		values.Set("cursor", "")
	}
	pg, err := c.p.page(c.ctx, query{kind: kind, without: c.p.withoutMembers(kind)}, values)
	switch {
	case err != nil:
		c.bad = append(c.bad, advised(err))
	case pg.TotalResults != nil:
		c.ok("%ss can be listed, %d in all", kind, *pg.TotalResults)
	default:
		c.ok("%ss can be listed", kind)
	}
	if err == nil && pg.TotalResults == nil && !s.cursor {
		c.bad = append(c.bad, fault.Errorf(fault.Invalid, "the list of %ss has no totalResults, so that its end "+
			"cannot be checked: set paging: cursor where the server has cursors", kind))
	}
}
