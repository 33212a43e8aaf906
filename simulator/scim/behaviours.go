package scim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Behaviours are deviations from the RFCs that were documented or reported for real servers. The zero value has none.
type Behaviours struct {
	// NoConfig answers 404 to the requests for the configuration, the resource types and the schemas.
	NoConfig bool
	// NoPatch and NoPut answer 501 to the method, and NoGroups to everything about groups.
	NoPatch, NoPut, NoGroups bool
	// NoETag sends no versions and ignores If-Match.
	NoETag bool
	// FrozenVersion keeps meta.version of a group when its members change.
	FrozenVersion bool

	// Filters names the attributes that filters may use, and limits filters to eq and and. Nil allows every filter.
	Filters []string
	// NoFilter refuses every filter with 403. IgnoreFilter answers with everything.
	NoFilter, IgnoreFilter bool
	// CursorOnly refuses startIndex, and answers a list without a cursor with its first page and no way to go on. With
	// a cursor it sends no totalResults.
	CursorOnly bool
	// PageSize is the largest page. Zero means 100.
	PageSize int
	// ShortList leaves out the last resource of each list and counts it. MovingTotal counts one more on each page.
	// RepeatedPage ignores startIndex. NoTotal sends no totalResults.
	ShortList, MovingTotal, RepeatedPage, NoTotal bool

	// HiddenMembers shows groups without members. MemberFilter is needed to find them: groups.value of users.
	// OmittedMembers shows groups without the attribute.
	HiddenMembers, OmittedMembers bool
	// MemberChanges is the largest number of members that one request adds or removes. Zero means no limit.
	MemberChanges int
	// NoMemberReplace refuses requests that replace or remove all members, and PUT with members.
	NoMemberReplace bool
	// PutMembers501 answers 501 to PUT of a group with members. IgnoreMembers ignores members in POST and PUT.
	PutMembers501, IgnoreMembers bool
	// RemoveByValue takes removals as path members with a list of values, and refuses filters in paths.
	RemoveByValue bool
	// RemoveEmpties removes all members where a removal has a list of values (which RFC 7644 asks for).
	RemoveEmpties bool
	// RefuseRef refuses members with $ref. RefuseEmpty refuses an empty list of values.
	RefuseRef, RefuseEmpty bool
	// RepeatMembers shows a member as often as it was added.
	RepeatMembers bool
	// DropUnknown ignores members that do not exist. Otherwise they are refused.
	DropUnknown bool

	// SingleValues refuses a second value of the multi-valued attributes of users.
	SingleValues bool
	// NeedUserAgent refuses requests without User-Agent, NeedExternalID resources without externalId, and NeedAccept
	// requests that do not accept application/scim+json.
	NeedUserAgent, NeedExternalID, NeedAccept bool
	// RefuseReadOnly refuses requests with id or meta, which RFC 7644 ignores.
	RefuseReadOnly bool
	// ActivePatch refuses a PATCH of users with anything but active. ObjectPatch refuses a PATCH of users with a path.
	ActivePatch, ObjectPatch bool
	// SilentPatch answers 204 to PATCH and does nothing. SilentForeign answers 200 to changes of resources that were
	// not created through the service, and does nothing.
	SilentPatch, SilentForeign bool
	// SilentActive answers 200 to a change of active and does not change it.
	SilentActive bool
	// TextBooleans shows booleans as texts, such as "True".
	TextBooleans bool
	// Duplicates allows several users with one userName.
	Duplicates bool
	// UniqueGroups allows only one group with a displayName, and UniqueExternalID one resource with an externalId.
	UniqueGroups, UniqueExternalID bool
	// DropGroupIDs ignores externalId in POST of groups. ReuseGroups answers 201 to POST of a group whose displayName
	// another one has, with the other one.
	DropGroupIDs, ReuseGroups bool
	// NoSeats refuses new users with 403.
	NoSeats bool
	// MaxBody is the largest body of a request in bytes. A larger one is refused with 413. Zero means no limit.
	MaxBody int
	// OtherCase writes the names of attributes and schemas in another letter case, which RFC 7643 allows. NoMeta shows
	// resources without meta, and OddIDs gives ids with slashes and letters beyond ASCII.
	OtherCase, NoMeta, OddIDs bool
	// EmptyCreate answers POST without a body, and EmptyPatch each PATCH with 204. OtherHost names another host in
	// Location.
	EmptyCreate, EmptyPatch, OtherHost bool
	// RefuseFilter answers 400 to every filter, although filters are published. StrictIndex answers 400 to a
	// startIndex beyond the total.
	RefuseFilter, StrictIndex bool
	// Uniqueness400 refuses a value that another resource has with 400 in place of 409.
	Uniqueness400 bool
	// ForbiddenQuota reports a spent quota as 403 with x-ratelimit-remaining: 0, and UnavailableQuota as 503.
	ForbiddenQuota, UnavailableQuota bool
}

// profile is the behaviour of a vendor's server and its published limits.
type profile struct {
	behaviours Behaviours
	quota      Quota
}

// profiles are simulated from documentation. See docs/scim.md for the pages.
var profiles = map[string]profile{
	"generic": {},
	"aws": {
		behaviours: Behaviours{
			Filters:    []string{"userName", "externalId", "displayName", "groups.value"},
			CursorOnly: true, HiddenMembers: true, MemberChanges: 100, NoMemberReplace: true, SingleValues: true,
			UniqueGroups: true, UniqueExternalID: true, NoETag: true,
		},
		quota: Quota{Requests: 20},
	},
	"slack": {
		behaviours: Behaviours{RefuseRef: true, NoETag: true},
		quota:      Quota{Reads: 1000. / 60, Writes: 10, UserWrites: 3},
	},
	"github-emu": {
		behaviours: Behaviours{NeedUserAgent: true, NeedExternalID: true, ForbiddenQuota: true, NoETag: true,
			UniqueExternalID: true},
		quota: Quota{UserCreates: 1000. / 3600},
	},
}

// Profiles returns the names of the simulated profiles.
func Profiles() []string { return slices.Sorted(maps.Keys(profiles)) }

// Profile returns a configuration with the behaviours and the quota of a vendor.
func Profile(name string) (Config, error) {
	p, ok := profiles[name]
	if !ok {
		return Config{}, fmt.Errorf("unknown profile %q: known are %s", name, strings.Join(Profiles(), ", "))
	}
	return Config{Behaviours: p.behaviours, Quota: p.quota}, nil
}
