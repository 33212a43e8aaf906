package plan

// Rule names a guard.
type Rule string

// The guards.
const (
	RuleLimit    Rule = "limit"    // more than the rolling daily limit would go
	RuleHalf     Rule = "half"     // more than half of what is desired of a kind would go
	RuleEmpty    Rule = "empty"    // nothing of a kind is desired any more
	RuleMembers  Rule = "members"  // too large a share of one group would go
	RuleDoubt    Rule = "doubt"    // the read is not to be believed where something is missing
	RuleApproval Rule = "approval" // always held for a person: reanchor, and what require_approval asks for
	RuleFollows  Rule = "follows"  // a change that this one belongs to is held
)
