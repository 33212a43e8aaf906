// Package providertest is the conformance suite of the provider port. Every provider of the second hop passes Run.
//
// It tests the contract of provider.Provider and the laws in docs/design that apply to a tenant's adapter, together
// with the real planner. For example, a plan right after its apply is empty. A write with a lost answer makes no
// second object. Objects without our anchor lose nothing. The adapter's own tests cover its requests.
package providertest

import (
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// Harness is a fresh tenant, the Provider under test, and the properties of both that the suite needs.
type Harness struct {
	Provider provider.Provider
	Admin    Admin
	// Domain is a verified domain of the tenant.
	Domain string
	// UserFields and GroupFields are the fields that a new user and a new group need.
	UserFields, GroupFields directory.Attributes
	// UserField and GroupField are mapped text fields that may be changed and are optional at creation.
	UserField, GroupField string
	// Aliases is set where users can have aliases, which Admin.AddUser then makes.
	Aliases bool
	// Unnamed is set where groups have no address. Such groups cannot be found by a name, never conflict with each
	// other, and are neither adopted nor re-anchored.
	Unnamed bool
	// Now is the provider's clock, and Advance moves it.
	Now     func() time.Time
	Advance func(time.Duration)
}

// User is a user that an administrator creates.
type User struct {
	Address   string
	Aliases   []string
	Suspended bool
	// Admin gives the user an administrator role.
	Admin bool
}

// Admin acts as the tenant's administrator, without the Provider. A method that cannot do its work fails the test.
type Admin interface {
	AddUser(t *testing.T, u User) (remoteID string)
	AddGroup(t *testing.T, address string) (remoteID string)
	SetSuspended(t *testing.T, userID string, suspended bool)
	MakeAdmin(t *testing.T, userID string)
	// StripAnchor removes our marks from an object.
	StripAnchor(t *testing.T, kind directory.Kind, remoteID string)
	AddMember(t *testing.T, groupID, memberID string)
	Delete(t *testing.T, kind directory.Kind, remoteID string)
	// GiveAddress changes the address of a user. The old one does not stay as an alias.
	GiveAddress(t *testing.T, userID, address string)

	// Count returns the number of objects of a kind in the tenant.
	Count(kind directory.Kind) int
	// Suspended reports whether a user is suspended, and whether it exists.
	Suspended(userID string) (suspended, exists bool)
	// Members returns the remote ids of a group's direct members, sorted.
	Members(groupID string) []string

	// Break makes the next matching call fail in the given way.
	Break(f Failure)
	// Refuse makes the tenant refuse, for lack of rights, every write with the text in its path or body. HideMembers
	// makes it refuse to list the members of one group. Both last until Mend. HideMembers returns false where the
	// next full read does not list the members of single groups.
	Refuse(text string)
	HideMembers(groupID string) bool
	// RefuseLists makes the tenant refuse to list users, groups and domains until Mend.
	RefuseLists()
	Mend()
}

// Failure is a way in which a call fails.
type Failure uint8

// The failures.
const (
	// LoseAnswer carries out the next write and closes the connection without an answer.
	LoseAnswer Failure = iota
	// Throttle refuses the next write for lack of quota and asks for a wait of three seconds.
	Throttle
	// CutRead closes the connection in the middle of the next list of users.
	CutRead
	// Crash answers the next write with an internal error and does nothing.
	Crash
)

// Run tests the provider. Each call of open returns a fresh tenant with a Provider that adopts nothing and protects
// administrators.
func Run(t *testing.T, open func(t *testing.T) Harness) {
	for _, tc := range []struct {
		name string
		test func(t *testing.T, s *session)
	}{
		{"Capabilities", testCapabilities},
		{"CreateIsReadBack", testCreateIsReadBack},
		{"PlanAfterApplyIsEmpty", testPlanAfterApplyIsEmpty},
		{"EveryChangeTwice", testEveryChangeTwice},
		{"LostAnswers", testLostAnswers},
		{"Failures", testFailures},
		{"RefusedObjects", testRefusedObjects},
		{"ReadByID", testReadByID},
		{"UnreadableGroup", testUnreadableGroup},
		{"CutReadFails", testCutReadFails},
		{"CanceledApply", testCanceledApply},
		{"RenameKeepsTheAccount", testRename},
		{"AddressesAreHandedOn", testHandedOn},
		{"ARingOfAddressesWaits", testRing},
		{"LeaverComesBack", testLeaverComesBack},
		{"LeaverIsDeleted", testLeaverIsDeleted},
		{"OthersSuspensionStays", testOthersSuspensionStays},
		{"LiftedByHandAndSuspendedAgain", testLiftedByHand},
		{"WithoutAnchorNothingIsTaken", testWithoutAnchor},
		{"ForeignObjects", testForeignObjects},
		{"Adoption", testAdoption},
		{"Undelete", testUndelete},
		{"DeletedAccountComesBack", testDeletedComesBack},
		{"Administrators", testAdministrators},
		{"Reanchor", testReanchor},
		{"RecreatedEntriesKeepTheirMemberships", testRecreated},
		{"Members", testMembers},
		{"ConfirmedMembersAreKept", testConfirmedMembers},
		{"LedgerLost", testLedgerLost},
		{"DeletedByHand", testDeletedByHand},
		{"Lookup", testLookup},
		{"LookupMemberships", testLookupMemberships},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.test(t, newSession(t, open(t)))
		})
	}
}

func testCapabilities(t *testing.T, s *session) {
	c := s.Provider.Capabilities()
	if c.BatchSize < 1 || c.Concurrency < 1 {
		t.Errorf("BatchSize = %d, Concurrency = %d, want at least 1", c.BatchSize, c.Concurrency)
	}
	if c.Mirror {
		t.Error("Mirror = true, want false for a tenant")
	}
}

// policy is the policy of all plans. Leavers are suspended, and deleted after a day.
var policy = plan.Policy{
	UserDeleteAction: plan.ActionDelete, GroupDeleteAction: plan.ActionDelete, DeleteAfter: 24 * time.Hour,
	Adoption: plan.AdoptOff,
}
