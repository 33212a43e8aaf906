package scim

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"

	"rollcall/internal/problem"
)

// Behaviour is what a client has to know of a server beyond what the server publishes. A profile has a value for each
// key, and a provider in the configuration replaces single ones.
type Behaviour struct {
	// Update is how users and groups are changed. auto takes PATCH where the server publishes it and PUT otherwise.
	// object_patch is PATCH with one object and without paths.
	Update string `yaml:"update"`
	// Filters are the attributes that the server filters by eq; none stands for none. The known ones are userName,
	// externalId, groups.value of users and members.value of groups.
	Filters []string `yaml:"filters"`
	// Paging is index, cursor (RFC 9865) or auto, which takes what the server publishes.
	Paging string `yaml:"paging"`
	// PageSize is the number of resources that a page asks for.
	PageSize int `yaml:"page_size"`
	// Members is where the members of groups are read. list has them in the list of groups. get reads each group whose
	// meta.version changed. user_filter lists the users of each group by groups.value.
	Members string `yaml:"members"`
	// MemberUpdate is patch, put or auto.
	MemberUpdate string `yaml:"member_update"`
	// MemberRemoval is path, for members[value eq "…"], or value, for a list of values. Some servers remove all members
	// when they get a list of values.
	MemberRemoval string `yaml:"member_removal"`
	// MemberChunk is the number of members that one request adds or removes.
	MemberChunk int `yaml:"member_chunk"`
	// SingleValues is set where multi-valued attributes of users have one value at most.
	SingleValues *bool `yaml:"single_values"`
	// ProtectedRoles are patterns of roles. Users that have one are never adopted, suspended or deleted.
	ProtectedRoles []string `yaml:"protected_roles"`
	// Rates are what all workers together may use.
	Rates `yaml:",inline"`
}

// Rates are limits of a server a second.
type Rates struct {
	Requests    float64 `yaml:"max_requests_per_second"`
	Writes      float64 `yaml:"max_writes_per_second"`
	UserWrites  float64 `yaml:"max_user_writes_per_second"`
	UserCreates float64 `yaml:"max_user_creates_per_second"`
}

// Profile is a named behaviour.
type Profile struct {
	Name string `yaml:"-"`
	// Title is the name of the server.
	Title string `yaml:"title"`
	// Tested says against what the profile was tested, and Source is the page that it was written from.
	Tested    string `yaml:"tested"`
	Source    string `yaml:"source"`
	Behaviour `yaml:",inline"`
}

//go:embed profiles/*.yaml
var profileFiles embed.FS

// DefaultProfile is the profile of a provider that names none.
const DefaultProfile = "generic"

// ownProviders are the servers that have a type of provider of their own, with its name.
var ownProviders = map[string]string{
	"entra": "microsoft_entra", "microsoft_entra": "microsoft_entra", "azure": "microsoft_entra",
	"google": "google_workspace", "google_workspace": "google_workspace",
}

// Profiles returns the names of the profiles, sorted.
func Profiles() []string {
	files, _ := profileFiles.ReadDir("profiles") // It is embedded.
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	slices.Sort(names)
	return names
}

// OwnProfile is a profile in the configuration. Values that it leaves out are those of the profile Like.
type OwnProfile struct {
	// Like is one of Profiles. The default is generic.
	Like      string `yaml:"like"`
	Behaviour `yaml:",inline"`
}

// Validate implements provider.Profile.
func (o OwnProfile) Validate(name string) error {
	if slices.Contains(Profiles(), name) || ownProviders[strings.ToLower(name)] != "" {
		return errors.New("is the name of a profile that Rollcall has: choose another name")
	}
	b, err := o.behaviour()
	if err != nil {
		return problem.Field("like", "%v", err)
	}
	return b.validate()
}

// behaviour returns all values.
func (o OwnProfile) behaviour() (Behaviour, error) {
	p, err := LoadProfile(cmp.Or(o.Like, DefaultProfile))
	o.fill(p.Behaviour)
	return o.Behaviour, err
}

// LoadProfile returns a profile with all its values. Values that its file leaves out are those of generic. The error
// about an unknown name also offers own names.
func LoadProfile(name string, own ...string) (Profile, error) {
	if own, ok := ownProviders[strings.ToLower(name)]; ok {
		return Profile{}, fmt.Errorf("%q has a provider of its own, which can do more: configure it under providers.%s",
			name, own)
	}
	if !slices.Contains(Profiles(), name) {
		known := slices.Sorted(slices.Values(append(own, Profiles()...)))
		if near := problem.Nearest(name, known); near != "" {
			return Profile{}, fmt.Errorf("%q is unknown: did you mean %s?", name, near)
		}
		return Profile{}, fmt.Errorf("%q is unknown: known are %s", name, strings.Join(known, ", "))
	}
	p, err := readProfile(name)
	if err != nil || name == DefaultProfile {
		return p, err
	}
	base, err := readProfile(DefaultProfile)
	if err == nil {
		p.fill(base.Behaviour)
	}
	return p, err
}

func readProfile(name string) (Profile, error) {
	data, err := profileFiles.ReadFile(path.Join("profiles", name+".yaml"))
	if err != nil {
		return Profile{}, err
	}
	p := Profile{Name: name}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	dec.KnownFields(true)
	if err := dec.Decode(&p); err != nil {
		return Profile{}, fmt.Errorf("profile %s: %w", name, err)
	}
	return p, nil
}

// fill sets what is not set.
func (b *Behaviour) fill(otherwise Behaviour) {
	fill(reflect.ValueOf(b).Elem(), reflect.ValueOf(otherwise))
}

func fill(v, otherwise reflect.Value) {
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case f.Kind() == reflect.Struct:
			fill(f, otherwise.Field(i))
		case f.IsZero():
			f.Set(otherwise.Field(i))
		}
	}
}

// The values of the keys that choose.
const (
	auto        = "auto"
	byPatch     = "patch"
	byObject    = "object_patch"
	byPut       = "put"
	byIndex     = "index"
	byCursor    = "cursor"
	inList      = "list"
	byGet       = "get"
	byUser      = "user_filter"
	removePath  = "path"
	removeValue = "value"
	noFilters   = "none"
)

// The attributes that filters may use.
const (
	userNameAttr   = "userName"
	externalIDAttr = "externalId"
	groupsAttr     = "groups.value"
	membersAttr    = "members.value"
)

// validate returns what is wrong with the values that are set.
func (b *Behaviour) validate() error {
	var errs []error
	choose := func(key, value string, allowed ...string) {
		if value != "" && !slices.Contains(allowed, value) {
			errs = append(errs, problem.Field(key, "%q is unknown: want one of %s", value, strings.Join(allowed, ", ")))
		}
	}
	choose("update", b.Update, auto, byPatch, byObject, byPut)
	choose("paging", b.Paging, auto, byIndex, byCursor)
	choose("members", b.Members, inList, byGet, byUser)
	choose("member_update", b.MemberUpdate, auto, byPatch, byPut)
	choose("member_removal", b.MemberRemoval, removePath, removeValue)
	for _, f := range b.Filters {
		choose("filters", f, userNameAttr, externalIDAttr, groupsAttr, membersAttr, noFilters)
	}
	if b.Members == byUser && !slices.Contains(b.Filters, groupsAttr) {
		errs = append(errs, problem.Field("members", "%s needs %s among the filters", byUser, groupsAttr))
	}
	for key, n := range map[string]int{"page_size": b.PageSize, "member_chunk": b.MemberChunk} {
		if n < 0 {
			errs = append(errs, problem.Field(key, "%d is negative", n))
		}
	}
	for key, n := range map[string]float64{"max_requests_per_second": b.Requests, "max_writes_per_second": b.Writes,
		"max_user_writes_per_second": b.UserWrites, "max_user_creates_per_second": b.UserCreates} {
		if n < 0 {
			errs = append(errs, problem.Field(key, "%v is negative", n))
		}
	}
	for _, pattern := range b.ProtectedRoles {
		if _, err := path.Match(strings.ToLower(pattern), ""); err != nil || pattern == "" {
			errs = append(errs, problem.Field("protected_roles", "%q is not a valid pattern", pattern))
		}
	}
	return errors.Join(errs...)
}

// filters reports whether the server filters by an attribute.
func (b *Behaviour) filters(attribute string) bool { return slices.Contains(b.Filters, attribute) }

// single reports whether multi-valued attributes have one value at most.
func (b *Behaviour) single() bool { return b.SingleValues != nil && *b.SingleValues }

// sample decides which writes are read back: the first ones of each kind, and then a part of them. It also knows to
// which groups members were added, and whether the server shows members. It is safe for concurrent use.
type sample struct {
	mu    sync.Mutex
	count map[string]int
	with  map[string]bool
	// members is set where the server showed members of any group.
	members bool
}

const (
	sampleFirst = 3
	sampleEvery = 20
)

func (s *sample) due(what string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.count == nil {
		s.count = map[string]int{}
	}
	s.count[what]++
	n := s.count[what]
	return n <= sampleFirst || n%sampleEvery == 0
}

func (s *sample) join(groupID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.with == nil {
		s.with = map[string]bool{}
	}
	s.with[groupID] = true
}

func (s *sample) joined(groupID string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.with[groupID]
}

// shows notes that the server showed members of a group.
func (s *sample) shows() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.members = true
}

// shown reports whether the server ever showed members of a group.
func (s *sample) shown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members
}
