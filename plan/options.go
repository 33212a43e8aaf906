package plan

import (
	"slices"

	"rollcall/directory"
)

// AddOption notes the other values that the address and the fields may have, which are those of other.
func (d *Desired) AddOption(other *Desired) {
	add := func(name, value string) {
		if have := d.Options.Values(name); value != "" && !slices.Contains(have, value) {
			d.Options = d.Options.Set(name, append(slices.Clone(have), value)...)
		}
	}
	if other.Address != d.Address {
		add(AddressField, other.Address)
	}
	for _, f := range other.Fields {
		if mine := d.Fields.Values(f.Name); len(f.Values) == 1 && len(mine) == 1 && f.Values[0] != mine[0] {
			add(f.Name, f.Values[0])
		}
	}
}

// settle lets accounts keep a value that is one of several in the directory, because the order of values means
// nothing.
func (c *computer) settle() {
	cloned := false
	for i := range c.in.Desired {
		d := &c.in.Desired[i]
		objects := c.anchored[d.Ref]
		if len(d.Options) == 0 || len(objects) != 1 {
			continue
		}
		if !cloned {
			c.in.Desired, cloned = slices.Clone(c.in.Desired), true
			d = &c.in.Desired[i]
		}
		c.keep(d, objects[0])
	}
}

func (c *computer) keep(d *Desired, o *Object) {
	if o.Address != "" && slices.Contains(d.Options.Values(AddressField), o.Address) {
		d.Address = o.Address
	}
	fields := slices.Clone(d.Fields)
	for i := range fields {
		normal, have := c.in.Capabilities.Normal[fields[i].Name], o.Fields.Values(fields[i].Name)
		for _, option := range d.Options.Values(fields[i].Name) {
			if values := []string{option}; normal.equal(have, values) {
				fields[i] = directory.Attribute{Name: fields[i].Name, Values: values}
			}
		}
	}
	d.Fields = fields
}
