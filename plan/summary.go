package plan

import "rollcall/directory"

// Summary is a plan in numbers.
type Summary struct {
	Counts Counts `json:"counts"`
	// Changes are applied and Held are held by a guard, by what they do.
	Changes map[Op]Tally `json:"changes"`
	Held    map[Op]Tally `json:"held"`
	// Conflicts and Notes count entries.
	Conflicts Tally `json:"conflicts"`
	Notes     Tally `json:"notes"`
	// Doubts are the reasons that hold every destructive change.
	Doubts []string `json:"doubts"`
}

// Summarize counts a plan that went through the guards.
func Summarize(apply, held Plan) Summary {
	s := Summary{Counts: apply.Counts, Changes: apply.Tallies(), Held: held.Tallies(),
		Doubts: append([]string{}, apply.Doubts...)}
	count := func(t *Tally, ref directory.Ref) { t.add(ref.Kind, 1) }
	for _, e := range apply.Held {
		count(&s.Conflicts, e.Ref)
	}
	for _, n := range apply.Notes {
		count(&s.Notes, n.Ref)
	}
	return s
}
