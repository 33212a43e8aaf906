// Package providertest is the conformance suite of the provider port: every provider of the second hop passes Run.
//
// It tests what provider.Provider promises and what the laws of docs/design ask of a tenant's adapter, with the real
// planner in the loop: a plan right after its apply is empty, a write that was done and whose answer got lost is no
// twin, and nothing that does not carry our anchor is taken away. What the adapter does on the wire is for its own
// tests.
package providertest

import (
	"testing"
	"time"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

// Harness is a fresh tenant, the Provider under test, and what the suite needs to know about the two.
type Harness struct {
	Provider provider.Provider
	Admin    Admin
	// Domain is a verified domain of the tenant.
	Domain string
	// UserFields and GroupFields are what a new user and a new group need.
	UserFields, GroupFields directory.Attributes
	// UserField and GroupField are mapped text fields that may be changed and need not be there at creation.
	UserField, GroupField string
	// Aliases says that users can have aliases, which Admin.AddUser makes.
	Aliases bool
	// Unnamed says that groups have no address: nothing finds one by a name, none is in the way of another, and none is
	// adopted or re-anchored.
	Unnamed bool
	// Now is the provider's clock, and Advance moves it.
	Now     func() time.Time
	Advance func(time.Duration)
}

// User is a user that an administrator makes.
type User struct {
	Address   string
	Aliases   []string
	Suspended bool
	// Admin makes it an administrator.
	Admin bool
}

// Admin is the tenant's administrator at work, past the Provider. The methods fail the test where they cannot do it.
type Admin interface {
	AddUser(t *testing.T, u User) (remoteID string)
	AddGroup(t *testing.T, address string) (remoteID string)
	SetSuspended(t *testing.T, userID string, suspended bool)
	MakeAdmin(t *testing.T, userID string)
	// StripAnchor removes our marks from an object.
	StripAnchor(t *testing.T, kind directory.Kind, remoteID string)
	AddMember(t *testing.T, groupID, memberID string)
	Delete(t *testing.T, kind directory.Kind, remoteID string)

	// Count returns how many objects of a kind the tenant has.
	Count(kind directory.Kind) int
	// Suspended reports whether a user is; exists is false for one that is not there.
	Suspended(userID string) (suspended, exists bool)
	// Members returns the remote ids of a group's direct members, sorted.
	Members(groupID string) []string

	// Break makes one coming call go wrong, in the way that is asked for.
	Break(f Failure)
	// Refuse makes the tenant refuse every write whose path or body has the text, for lack of rights over this object,
	// and HideMembers makes it refuse to list the members of one group. Both last until Mend. HideMembers returns false
	// where the next full read does not list the members of single groups.
	Refuse(text string)
	HideMembers(groupID string) bool
	Mend()
}

// Failure is what goes wrong.
type Failure uint8

// The failures.
const (
	// LoseAnswer carries out the next write and closes the connection without an answer.
	LoseAnswer Failure = iota
	// Throttle refuses the next write for lack of quota and asks to wait for three seconds.
	Throttle
	// CutRead closes the connection in the middle of the next list of users.
	CutRead
	// Crash answers the next write with an internal error and does nothing.
	Crash
)

// Run tests the provider. Each call of open gives a fresh tenant, whose Provider adopts nothing and protects
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
		{"UnreadableGroup", testUnreadableGroup},
		{"CutReadFails", testCutReadFails},
		{"CanceledApply", testCanceledApply},
		{"RenameKeepsTheAccount", testRename},
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
		{"Members", testMembers},
		{"ConfirmedMembersAreBelieved", testConfirmedMembers},
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
		t.Error("Mirror = true: only the local directory is one")
	}
}

// policy is what plans are made under: leavers are suspended, and deleted after a day.
var policy = plan.Policy{
	UserDeleteAction: plan.ActionDelete, GroupDeleteAction: plan.ActionDelete, DeleteAfter: 24 * time.Hour, Adoption: plan.AdoptOff,
}
