// Package shadow compares what Rollcall would have done with what another tool did, while that tool is still in
// charge of a tenant. A [Snapshot] has a plan and what the tenant showed after it was made. [Compare] follows a
// sequence of them. It decides nothing, and it compares accounts and groups without their members: Rollcall reads the
// members of its own groups alone.
package shadow

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"rollcall/directory"
	"rollcall/plan"
)

// Snapshot is one dry run. Values are kept as digests.
type Snapshot struct {
	At        time.Time         `json:"at"`
	Container string            `json:"container"`
	Objects   map[string]Object `json:"objects"` // by kind and remote id
	Planned   map[string]Wish   `json:"planned"` // by key
}

// Object is an account or a group as the tenant shows it.
type Object struct {
	Address string            `json:"address"`
	Active  bool              `json:"active"`
	Fields  map[string]string `json:"fields,omitempty"`
	// Ours says that Rollcall knows the entry: the object has its anchor, or the plan adopts it.
	Ours bool `json:"ours,omitempty"`
}

// Wish is one thing that a plan changes.
type Wish struct {
	Text   string `json:"text"`
	Op     string `json:"op"`
	Object string `json:"object,omitempty"` // empty for a creation
	// Field and Want are what an update sets. For a creation, Want is the address.
	Field string `json:"field,omitempty"`
	Want  string `json:"want,omitempty"`
}

// left is the wish for an account whose entry left, where the plan has no anchor to suspend by.
const left = "leave"

// Take makes a snapshot of a plan and of a state that was read after it.
func Take(at time.Time, container string, p *plan.Plan, state *plan.State) Snapshot {
	s := Snapshot{At: at.UTC(), Container: container, Objects: map[string]Object{}, Planned: map[string]Wish{}}
	for i := range state.Objects {
		o := &state.Objects[i]
		fields := map[string]string{}
		for _, f := range o.Fields {
			fields[f.Name] = digest(f.Values)
		}
		s.Objects[key(o.Kind, o.RemoteID)] = Object{Address: o.Address, Active: o.Active, Fields: fields, Ours: o.Anchored()}
	}
	for i := range p.Changes {
		s.add(&p.Changes[i])
	}
	return s
}

func key(kind directory.Kind, id string) string { return kind.String() + "/" + id }

func digest(values []string) string {
	if len(values) == 0 {
		return ""
	}
	sum := sha256.Sum256([]byte(strings.Join(values, "\x00")))
	return hex.EncodeToString(sum[:6])
}

func (s *Snapshot) add(c *plan.Change) {
	if c.Op.Membership() {
		return
	}
	id := key(c.Kind, c.RemoteID)
	entry := c.Ref.String()
	name := cmp.Or(c.Label, string(c.ID))
	if c.Op == plan.Create {
		s.Planned[entry] = Wish{Op: string(c.Op), Text: "create " + c.Kind.String() + " " + name, Want: c.Address}
		return
	}
	if o, ok := s.Objects[id]; ok {
		o.Ours = true
		s.Objects[id] = o
	}
	if c.Op != plan.Update && c.Op != plan.Adopt && c.Op != plan.Reanchor {
		s.Planned[entry] = Wish{Op: string(c.Op), Text: string(c.Op) + " " + c.Kind.String() + " " + name, Object: id}
	}
	for _, f := range c.Fields {
		want := digest(f.After)
		if f.Name == plan.AddressField {
			want = c.Address
		}
		s.Planned[entry+" "+f.Name] = Wish{Op: string(plan.Update), Object: id, Field: f.Name, Want: want,
			Text: "set " + f.Name + " of " + c.Kind.String() + " " + name}
	}
}

// Item is one line of a report.
type Item struct {
	Text string
	// Since is the snapshot that planned it first, and Until the one that shows it done. For what was never planned,
	// both are the snapshot that shows it.
	Since, Until time.Time
}

// Report is what a sequence of snapshots tells.
type Report struct {
	From, To  time.Time
	Snapshots int
	// Agreed was planned and then done by the other tool. Open is planned and not done.
	Agreed, Open []Item
	// Prompt counts what the other tool did before a plan had it, as Rollcall wants it.
	Prompt int
	// Differences were done by the other tool, and Rollcall would not have done them.
	Differences []Item
	// Withdrawn counts what a plan had and a later one no longer wants, without that anything was done.
	Withdrawn int
}

// Compare follows snapshots of one container, the oldest first.
func Compare(all []Snapshot) Report {
	r := Report{Snapshots: len(all)}
	if len(all) == 0 {
		return r
	}
	r.From, r.To = all[0].At, all[len(all)-1].At
	open := map[string]Item{}
	for i := range all {
		s := &all[i]
		if i > 0 {
			prev := &all[i-1]
			s.leavers(prev)
			r.unplanned(prev, s, r.settle(prev, s, open))
		}
		for k, w := range s.Planned {
			if _, known := open[k]; !known {
				open[k] = Item{Text: w.Text, Since: s.At}
			}
		}
	}
	r.Open = slices.AppendSeq(r.Open, maps.Values(open))
	for _, list := range [][]Item{r.Agreed, r.Open, r.Differences} {
		slices.SortFunc(list, func(a, b Item) int { return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Text, b.Text)) })
	}
	return r
}

// leavers adds the accounts whose entries left, and that are still active. Without an anchor no plan has them.
func (s *Snapshot) leavers(prev *Snapshot) {
	for id, o := range s.Objects {
		was, there := prev.Objects[id]
		gone := was.Ours || prev.Planned[left+" "+id].Op != ""
		if there && gone && !o.Ours && o.Active && strings.HasPrefix(id, directory.User.String()) {
			s.Planned[left+" "+id] = Wish{Op: left, Object: id,
				Text: "suspend user " + o.Address + ", which the directory no longer has in scope, or holds"}
		}
	}
}

// settle ends the open wishes that the new snapshot no longer has. It returns the objects and fields that were done.
func (r *Report) settle(prev, s *Snapshot, open map[string]Item) map[string]bool {
	settled := map[string]bool{}
	for k, w := range prev.Planned {
		if now, still := s.Planned[k]; still && now.Want == w.Want {
			continue
		}
		item := open[k]
		delete(open, k)
		if what := w.done(s); what != "" {
			settled[what] = true
			item.Until = s.At
			r.Agreed = append(r.Agreed, item)
		} else {
			r.Withdrawn++
		}
	}
	return settled
}

// done returns the object, or the field of it, that shows what was wanted; "" where nothing does.
func (w Wish) done(s *Snapshot) string {
	if w.Op == string(plan.Create) {
		for id, o := range s.Objects {
			if o.Address == w.Want && w.Want != "" {
				return id
			}
		}
		return ""
	}
	o, there := s.Objects[w.Object]
	is := false
	switch {
	case w.Op == string(plan.Delete):
		is = !there
	case w.Op == left || w.Op == string(plan.Suspend):
		is = !there || !o.Active
	case w.Field == plan.AddressField:
		is = o.Address == w.Want
	case w.Field != "":
		is = there && o.Fields[w.Field] == w.Want
	default: // restore and undelete
		is = there && o.Active
	}
	if !is {
		return ""
	}
	return strings.TrimSpace(w.Object + " " + w.Field)
}

// unplanned looks for what changed in the tenant and was not planned.
func (r *Report) unplanned(prev, s *Snapshot, settled map[string]bool) {
	differs := func(text string) {
		r.Differences = append(r.Differences, Item{Text: text, Since: s.At, Until: s.At})
	}
	judge := func(what string, agrees bool, text string) {
		switch {
		case settled[what]:
		case agrees:
			r.Prompt++
		default:
			differs(text)
		}
	}
	for id, o := range s.Objects {
		kind, _, _ := strings.Cut(id, "/")
		was, there := prev.Objects[id]
		if !there {
			judge(id, o.Ours, "created "+kind+" "+o.Address+", for which Rollcall has no entry")
			continue
		}
		if was.Active && !o.Active && was.Ours {
			judge(id, !o.Ours, "suspended "+kind+" "+o.Address+", which is active in the directory")
		}
		if !o.Ours {
			continue // Its fields are not of interest.
		}
		if was.Address != o.Address {
			judge(id+" "+plan.AddressField, !s.wants(id, plan.AddressField), "gave "+kind+" "+was.Address+" the address "+
				o.Address+", and Rollcall wants another one")
		}
		for _, name := range changed(was.Fields, o.Fields) {
			judge(id+" "+name, !s.wants(id, name), "changed "+name+" of "+kind+" "+o.Address+
				", and Rollcall wants another value")
		}
	}
	for id, was := range prev.Objects {
		if _, there := s.Objects[id]; !there && was.Ours {
			recreate := slices.ContainsFunc(slices.Collect(maps.Values(s.Planned)), func(w Wish) bool {
				return w.Op == string(plan.Create) && w.Want == was.Address
			})
			kind, _, _ := strings.Cut(id, "/")
			judge(id, !recreate, "deleted "+kind+" "+was.Address+", which Rollcall would create")
		}
	}
}

// wants reports whether the plan sets a field of an object.
func (s *Snapshot) wants(object, field string) bool {
	for _, w := range s.Planned {
		if w.Object == object && w.Field == field {
			return true
		}
	}
	return false
}

// changed returns the names of fields with other values.
func changed(a, b map[string]string) (names []string) {
	for name, v := range b {
		if a[name] != v {
			names = append(names, name)
		}
	}
	for name := range a {
		if _, there := b[name]; !there {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
