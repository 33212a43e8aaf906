package googleworkspace

import (
	"context"

	admin "google.golang.org/api/admin/directory/v1"

	"rollcall/fault"
	"rollcall/plan"
)

// edit collects one write of a user, with fields, arrays and marks, on top of the account as it was read.
type edit struct {
	current *admin.User // as read; empty for a new account
	body    *admin.User
	marks   marks
	lists   map[string][]map[string]any // arrays that change
	aliases aliasEdit
	custom  customEdit
	form    func(name string) (*plan.Form, error) // of a custom field
	marked  bool                                  // the marks change
}

func (p *Provider) edit(ctx context.Context, current *admin.User) *edit {
	e := &edit{current: current, body: &admin.User{}, marks: marksOf(current), lists: map[string][]map[string]any{},
		form: func(name string) (*plan.Form, error) { return p.form(ctx, name) }}
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
		switch f.Name {
		case plan.AddressField:
			continue
		case plan.AliasesField:
			e.setAliases(f.After)
			continue
		}
		if s, ok := scalars[f.Name]; ok {
			s.set(e.body, value)
			continue
		}
		if isCustom(f.Name) {
			form, err := e.form(f.Name)
			if err == nil {
				err = e.custom.set(e.current, form, f.After)
			}
			if err != nil {
				return err
			}
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
	e.custom.seal(e.body)
	if withMarks || e.marked || len(e.lists) > 0 {
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
