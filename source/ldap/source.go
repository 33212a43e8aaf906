// Package ldap is the source that reads an LDAP directory: Active Directory, OpenLDAP, FreeIPA, 389 Directory Server
// or an LDIF export of one.
//
// A read is complete or it failed. What is absent from a snapshot is deprovisioned later. So every way in which a
// server can give less than everything is an error with a fault.Kind. Examples are a result code other than success, a
// size or time limit, a connection that drops in the middle of a page, and a page cookie that leads nowhere. An entry
// that was seen but cannot be used is a Finding, never silence.
//
// The package translates and classifies. It does not retry, log or decide. It reads in five steps, which a server
// and a file share:
//
//	open ─▶ search users ─▶ search groups ─▶ resolve members ─▶ Snapshot
//	(dial, StartTLS, bind,   (RFC 2696 pages, decoded     (DN, uid → Ref,
//	 or parse the LDIF)       as they arrive)              RFC 4517 matching)
//
// What it does not see: membership by primaryGroupID without primary_groups, what aliases point
// to, and what referrals lead to; references are named in the snapshot and never chased.
package ldap

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/source"
)

// Source reads one LDAP directory. It keeps no connection between reads and may be used by several goroutines.
type Source struct {
	cfg     Config
	servers []server
	user    scope
	group   scope
	// mapped are the attributes that mappings name.
	mapped []string

	opts     Options
	warnings []string
	// schemas has a keptSchema for each server. Copies of the Source share it.
	schemas *sync.Map
}

var _ source.Source = (*Source)(nil)

// Options say how a Source is made. The zero value has the defaults.
type Options struct {
	// Getenv replaces os.Getenv for bind_password_env.
	Getenv func(string) string
	// StrictFiles refuses a world-readable password file, instead of warning.
	StrictFiles bool
	// Progress is called for each search and for each thousand entries of one. The read of a large directory behind a
	// slow line takes long, and has no other sign of progress. It may be nil.
	Progress func()
	// Deciding tells how mappings decide who is active. By default the directory's own way counts.
	Deciding Deciding

	// now is the clock, which decides whether an account has expired.
	now func() time.Time
}

// Deciding says how the mappings of a source decide who is active.
type Deciding struct {
	// Alone is set where no mapping uses the directory's own way to disable an account.
	Alone bool
	// By are the attributes that mappings decide by, under the names that they have on entries.
	By []string
}

// New returns a source. attributes are the LDAP attributes that mappings name; they appear on entries under just these
// names. Only they and what the package itself needs are asked of the server.
func New(cfg Config, attributes []string, opts Options) (*Source, error) {
	cfg = cfg.withDefaults()
	op := "source " + cfg.Slug
	if err := cfg.Validate(); err != nil {
		return nil, fault.New(fault.Invalid, op, err)
	}
	for _, name := range attributes {
		if !attributeForm.MatchString(name) {
			return nil, fault.New(fault.Invalid, op, fmt.Errorf("a mapping asks for %q, which is not the name of an "+
				"LDAP attribute", name))
		}
	}
	servers, err := parseServers(cfg.ServerURI)
	if err != nil {
		return nil, fault.New(fault.Invalid, op, err)
	}
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	if opts.now == nil {
		opts.now = time.Now
	}
	s := &Source{cfg: cfg, servers: servers, opts: opts, mapped: attributes, schemas: &sync.Map{}}
	s.scopes()
	if err := s.checkFiles(); err != nil {
		return nil, fault.New(fault.Invalid, op, err)
	}
	return s, nil
}

// scopes sets the scopes of both kinds.
func (s *Source) scopes() {
	s.user, s.group = userScope(&s.cfg, s.mapped), groupScope(&s.cfg, s.mapped)
	s.user.mapsActive, s.user.activeBy = s.opts.Deciding.Alone, s.opts.Deciding.By
}

// checkFiles finds out at the start what would fail the first read, and collects warnings.
func (s *Source) checkFiles() error {
	_, warning, err := s.password()
	if err != nil {
		return err
	}
	if warning != "" {
		s.warnings = append(s.warnings, "bind_password_file: "+warning)
	}
	if s.servers[0].scheme == "file" {
		return nil
	}
	_, err = s.tlsConfig(s.servers[0])
	return err
}

// Warnings returns what is questionable about the configuration but not wrong.
func (s *Source) Warnings() []string { return slices.Clone(s.warnings) }

// open connects, or parses the file.
func (s *Source) open(ctx context.Context) (searcher, error) {
	if s.servers[0].scheme == "file" {
		return openFile(ctx, s.servers[0].path)
	}
	return s.connect(ctx)
}

// Read implements source.Source.
func (s *Source) Read(ctx context.Context, q directory.Query) (directory.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return directory.Snapshot{}, classify(ctx, "read source "+s.cfg.Slug, err)
	}
	open, err := s.open(ctx)
	if err != nil {
		return directory.Snapshot{}, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	defer open.close()
	if s, err = s.rooted(open.about()); err != nil {
		return directory.Snapshot{}, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	r, err := newReading(ctx, s, open, q)
	if err != nil {
		return directory.Snapshot{}, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	if q.All() {
		err = r.all(ctx)
	} else {
		err = r.refs(ctx, q.Refs)
	}
	if err != nil {
		return directory.Snapshot{}, fmt.Errorf("source %s: %w", s.cfg.Slug, err)
	}
	return r.snapshot(), nil
}

// scope is what one kind of entry needs: where and what to search, and how to decode the answer.
type scope struct {
	kind     directory.Kind
	enabled  bool
	base     string // as configured
	baseNorm string
	filter   string
	unique   identifier
	members  []string // the membership attributes of groups, or of users that name their groups
	// primary is set where a primary group counts as a membership, and logins where groups name users by login name.
	primary, logins bool
	// activity are the attributes that decide whether a user is active; in a file without a preset, those of all
	// families.
	activity []string
	// mapsActive is set where a mapping decides instead, and activeBy are the outputs that mappings decide by.
	mapsActive bool
	activeBy   []string
	// leaveBuiltIn is set where entries that Active Directory marks with isCriticalSystemObject are left out.
	leaveBuiltIn bool
	// dynamic is set where groups are examined for searches that stand for their members.
	dynamic bool
	attrs   []string
	outputs []output
}

// special reports whether the scope uses attributes of which only the server's schema knows the names or the matching
// rule.
func (s *scope) special() bool {
	switch standardSchema.key(s.unique.attr) {
	case "entryuuid", "objectguid", "objectsid", "ms-ds-consistencyguid", "nsuniqueid", "ipauniqueid":
	default:
		return true
	}
	return slices.ContainsFunc(s.attrs, func(attr string) bool { return standardSchema.kind(attr) == nil })
}

// output is one attribute of an entry: the first of some LDAP attributes that has a value.
type output struct {
	name string
	from []string
}

func userScope(c *Config, extra []string) scope {
	login := []string{"uid", "sAMAccountName", "cn"}
	if c.UserNameField != "" {
		login = []string{c.UserNameField}
	}
	s := scope{kind: directory.User, enabled: c.SyncUsers, base: c.prepend(c.AdditionalUserDN),
		filter: c.UserObjectFilter,
		unique: c.identifier(cmp.Or(c.UserObjectUniquenessField, c.ObjectUniquenessField),
			standardSchema), primary: c.PrimaryGroups, activity: c.activities(),
		leaveBuiltIn: c.LeaveOutBuiltIn, logins: newMemberIndex(c.memberFields(), 0).logins,
		members: listed(c.UserMembershipField)}
	s.outputs = []output{
		{directory.UserName, login},
		{directory.DisplayName, []string{"displayName"}},
		{directory.GivenName, []string{"givenName"}},
		{directory.FamilyName, []string{"sn"}},
		{directory.CommonName, []string{"cn"}},
		{directory.Mail, []string{"mail"}},
		{directory.EmployeeNumber, []string{"employeeNumber", "employeeID"}},
	}
	more := slices.Concat(s.activity, s.members)
	if s.primary {
		more = append(more, securityID, primaryGroup)
	}
	s.finish(extra, more)
	return s
}

func groupScope(c *Config, extra []string) scope {
	s := scope{kind: directory.Group, enabled: c.SyncGroups, base: c.prepend(c.AdditionalGroupDN),
		filter: c.GroupObjectFilter,
		unique: c.identifier(cmp.Or(c.GroupObjectUniquenessField, c.ObjectUniquenessField),
			standardSchema), members: c.memberFields(), primary: c.PrimaryGroups,
		leaveBuiltIn: c.LeaveOutBuiltIn, dynamic: c.Preset != ""}
	s.outputs = []output{
		{directory.DisplayName, []string{"cn"}},
		{directory.CommonName, []string{"cn"}},
		{directory.Description, []string{"description"}},
		{directory.Mail, []string{"mail"}},
	}
	more := slices.Clone(s.members)
	if s.primary {
		more = append(more, securityID)
	}
	if s.dynamic {
		more = append(more, dynamicMembers...)
	}
	s.finish(extra, more)
	return s
}

// finish adds the mappings' attributes, sorts the outputs and collects what to ask for.
func (s *scope) finish(extra, more []string) {
	s.baseNorm, _ = NormalizeDN(s.base) // validated
	for _, name := range extra {
		if !slices.ContainsFunc(s.outputs, func(o output) bool { return strings.EqualFold(o.name, name) }) {
			s.outputs = append(s.outputs, output{name, []string{name}})
		}
	}
	slices.SortFunc(s.outputs, func(a, b output) int { return strings.Compare(a.name, b.name) })
	ask := slices.Concat([]string{s.unique.attr}, more)
	for _, o := range s.outputs {
		ask = append(ask, o.from...)
	}
	if s.leaveBuiltIn {
		ask = append(ask, builtInMarks...)
	}
	for i, attr := range ask {
		ask[i] = preferred(attr)
	}
	slices.SortFunc(ask, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	s.attrs = slices.CompactFunc(ask, strings.EqualFold)
}

// server is one parsed URI of server_uri.
type server struct {
	scheme string // ldap, ldaps or file
	host   string // without brackets or port
	addr   string // host:port
	path   string // of a file
}

// String returns the URI, as errors name it.
func (s server) String() string {
	if s.scheme == "file" {
		return "file://" + s.path
	}
	return s.scheme + "://" + s.addr
}

// parseServers splits server_uri. It returns the servers that it understood along with the problems of the others.
func parseServers(uris string) ([]server, error) {
	var servers []server
	var errs []error
	for uri := range strings.SplitSeq(uris, ",") {
		if uri = strings.TrimSpace(uri); uri == "" {
			continue
		}
		s, err := parseServer(uri)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		servers = append(servers, s)
	}
	switch {
	case len(servers) == 0 && len(errs) == 0:
		errs = append(errs, errors.New("it is required: ldap://host, ldaps://host or file:///path.ldif"))
	case len(servers) > 1:
		for _, s := range servers {
			if s.scheme == "file" {
				errs = append(errs, fmt.Errorf("%s: a file stands alone", s))
			}
		}
	}
	return servers, errors.Join(errs...)
}

func parseServer(uri string) (server, error) {
	u, err := url.Parse(uri)
	if err != nil {
		// url.Error repeats the URI, which might carry a password: say only what is wrong.
		return server{}, errors.New("one of the URIs cannot be parsed: want ldap://host[:port], ldaps://host[:port] " +
			"or file:///path.ldif")
	}
	if u.User != nil {
		return server{}, fmt.Errorf("%s: a name or password does not belong into the URI: use bind_cn and "+
			"bind_password_file", u.Redacted())
	}
	switch scheme := strings.ToLower(u.Scheme); scheme {
	case "file":
		if u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/") {
			return server{}, fmt.Errorf("%q: want file:///path.ldif with an absolute path", uri)
		}
		return server{scheme: scheme, path: u.Path}, nil
	case "ldap", "ldaps":
		if u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
			return server{}, fmt.Errorf("%q: want %s://host or %s://host:port and nothing after it", uri, scheme,
				scheme)
		}
		port := cmp.Or(u.Port(), map[string]string{"ldap": "389", "ldaps": "636"}[scheme])
		return server{scheme: scheme, host: u.Hostname(), addr: net.JoinHostPort(u.Hostname(), port)}, nil
	}
	return server{}, fmt.Errorf("%q: scheme %q is not ldap, ldaps or file", uri, u.Scheme)
}
