package explain

import (
	"encoding/json"

	"rollcall/decisions"
	"rollcall/directory"
	"rollcall/plan"
	"rollcall/reconcile"
)

// waiting returns what a held set says about other entries.
func waiting(set decisions.HeldSet, decided map[string]decisions.Decision, of directory.Ref) reconcile.Waiting {
	w := reconcile.Waiting{Held: map[directory.Ref]plan.Brake{}, Members: map[directory.ID]int{},
		Settled: map[directory.Ref]bool{}}
	for _, c := range set.Conflicts {
		w.Settled[refOf(c.Kind, c.ID)] = true
	}
	var updates plan.Plan
	for i := range set.Changes {
		c := &set.Changes[i]
		ref := refOf(c.Kind, c.ID)
		_, is := decided[c.Fingerprint]
		brake := brakeOf(c)
		if fields, err := fieldsOf(c); err == nil && !is && ref != of && c.Op == plan.Update.String() {
			updates.Changes = append(updates.Changes, plan.Change{Op: plan.Update, Ref: ref, Fields: fields})
		}
		switch {
		case brake == "" || ref == of || c.Member == string(of.ID):
		case brake == plan.BrakeMembers && !is:
			w.Members[ref.ID]++
		case brake == plan.BrakeMembers:
		case is:
			w.Settled[ref] = true
		default:
			w.Held[ref] = brake
		}
	}
	w.Emptied = updates.Emptied()
	return w
}

// fieldsOf returns the fields of a held change, which is kept as JSON.
func fieldsOf(c *decisions.HeldChange) (fields []plan.FieldChange, err error) {
	text, err := json.Marshal(c.Fields)
	if err != nil {
		return nil, err
	}
	return fields, json.Unmarshal(text, &fields)
}

// brakeOf returns the brake that counts a held change.
func brakeOf(c *decisions.HeldChange) plan.Brake {
	switch c.Op {
	case plan.Suspend.String(), plan.Delete.String():
		return plan.BrakeLeave
	case plan.RemoveMember.String():
		return plan.BrakeMembers
	case plan.Restore.String(), plan.Undelete.String():
		return plan.BrakeReactivate
	}
	switch plan.Rule(c.Guard) {
	case plan.RuleReactivate:
		return plan.BrakeReactivate
	case plan.RuleRename:
		return plan.BrakeRename
	}
	return ""
}

func refOf(kind, id string) directory.Ref {
	ref := directory.Ref{Kind: directory.User, ID: directory.ID(id)}
	if kind == directory.Group.String() {
		ref.Kind = directory.Group
	}
	return ref
}
