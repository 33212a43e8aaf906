package plan

// Rules returns every guard, for metrics that start at zero.
func Rules() []Rule {
	return []Rule{RuleLimit, RuleHalf, RuleEmpty, RuleMembers, RuleDoubt, RuleApproval, RuleReactivate, RuleRename,
		RuleEmptied, RuleCoverage, RuleFollows, RuleRejected}
}

// Reasons returns every reason, of departures and of entries that are held or left alone.
func Reasons() []Reason {
	return []Reason{
		Absent, Disabled, OutOfScope, Reverted,
		NoAddress, ForeignDomain, BadMapping, SameAddress, AddressTaken, AddressKept, Ambiguous, AnchorLost, Unusable,
		Unsettled,
		Unreadable, Restorable, ProtectedObject, SuspendedByElse, SuspendedByWhom, RecreatedEntry,
	}
}
