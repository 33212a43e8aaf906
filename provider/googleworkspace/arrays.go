package googleworkspace

import (
	"maps"
	"slices"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
	"rollcall/plan"
)

// candidates returns the elements that match the slot, the preferred ones first.
func (s slot) candidates(list []map[string]any) []int {
	var out []int
	for i, e := range list {
		if s.matches(e) && !isMark(e) {
			out = append(out, i)
		}
	}
	if s.first != nil {
		slices.SortStableFunc(out, func(a, b int) int {
			switch x, y := s.first(list[a]), s.first(list[b]); {
			case x == y:
				return 0
			case x:
				return -1
			}
			return 1
		})
	}
	return out
}

// ours returns the element with the value of our digest, or -1.
func (s slot) ours(list []map[string]any, owned string) int {
	if owned == "" {
		return -1
	}
	for _, i := range s.candidates(list) {
		if v := text(list[i], s.member); v != "" && digest(v) == owned {
			return i
		}
	}
	return -1
}

// place returns the element that a value of ours replaces, or -1 for a new element.
func (s slot) place(list []map[string]any, owned, value string) int {
	if i := s.ours(list, owned); i >= 0 {
		return i
	}
	all := s.candidates(list)
	for _, i := range all {
		if v := text(list[i], s.member); v != "" && digest(v) == digest(value) {
			return i
		}
	}
	if len(all) > 0 && !s.beside {
		return all[0]
	}
	return -1
}

// write returns the list with the slot's value. It does not modify the elements of the old list.
func (s slot) write(list []map[string]any, owned, value string) []map[string]any {
	list = slices.Clone(list)
	if value != "" {
		if i := s.place(list, owned, value); i >= 0 {
			list[i] = maps.Clone(list[i])
			list[i][s.member] = value
			return list
		}
		e := maps.Clone(s.base)
		e[s.member] = value
		return append(list, e)
	}
	i := s.ours(list, owned)
	if i < 0 {
		return list // The elements are foreign.
	}
	list[i] = maps.Clone(list[i])
	delete(list[i], s.member)
	if s.hollow(list[i]) {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// hollow reports whether an element has nothing left besides its type and flags.
func (s slot) hollow(e map[string]any) bool {
	for name, v := range e {
		_, isBase := s.base[name]
		if !isBase && name != "type" && name != "customType" && name != "primary" && v != "" && v != nil {
			return false
		}
	}
	return true
}

// edit collects one write of a user, with fields, arrays and marks, on top of the account as it was read.
type edit struct {
	current *admin.User // as read; empty for a new account
	body    *admin.User
	marks   marks
	lists   map[string][]map[string]any // arrays that change
}

func newEdit(current *admin.User) *edit {
	e := &edit{current: current, body: &admin.User{}, marks: marksOf(current), lists: map[string][]map[string]any{}}
	if !current.Suspended {
		e.marks.suspended = "" // The mark of a lifted suspension must not claim a later one.
	}
	return e
}

func (e *edit) list(array string) []map[string]any {
	if l, ok := e.lists[array]; ok {
		return l
	}
	return elements(*arrays[array].at(e.current))
}

// set puts the changed fields, without the address, into the write.
func (e *edit) set(fields []plan.FieldChange) error {
	for _, f := range fields {
		value := after(f)
		if f.Name == plan.AddressField {
			continue
		}
		if s, ok := scalars[f.Name]; ok {
			s.set(e.body, value)
			continue
		}
		s, ok := slots[f.Name]
		if !ok {
			return fault.Errorf(fault.Invalid, "Google users have no field %q", f.Name)
		}
		e.lists[s.array] = s.write(e.list(s.array), e.marks.owned[f.Name], value)
		if delete(e.marks.owned, f.Name); value != "" {
			e.marks.owned[f.Name] = digest(value)
		}
	}
	return nil
}

// seal puts the arrays, with foreign elements as they were read, into the body. Marks are written with them.
func (e *edit) seal(withMarks bool) *admin.User {
	if withMarks || len(e.lists) > 0 {
		var foreign []map[string]any
		for _, x := range e.list("externalIds") {
			if !isMark(x) {
				foreign = append(foreign, x)
			}
		}
		e.lists["externalIds"] = foreign
	}
	for name, list := range e.lists {
		all := make([]any, 0, len(list)+3)
		for _, x := range list {
			all = append(all, x)
		}
		if name == "externalIds" {
			all = append(all, e.marks.elements()...)
		}
		if len(all) == 0 {
			e.body.NullFields = append(e.body.NullFields, arrays[name].goName)
			continue
		}
		*arrays[name].at(e.body) = all
	}
	return e.body
}
