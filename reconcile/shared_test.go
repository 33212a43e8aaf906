package reconcile_test

import (
	"context"
	"slices"
	"testing"

	"rollcall/directory"
	"rollcall/mapping"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// sharing is a tenant in which others add values to the field roles.
type sharing struct{ *tenantFake }

func (s sharing) Capabilities() plan.Capabilities {
	c := s.tenantFake.Capabilities()
	c.Normal = map[string]plan.Normal{"roles": plan.Shared | plan.Fold}
	return c
}

func (s sharing) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	batch = slices.Clone(batch)
	for i := range batch {
		c := &batch[i]
		c.Fields = slices.Clone(c.Fields)
		for j, f := range c.Fields {
			if f.Name != "roles" {
				continue
			}
			var now []string
			if o := s.objects[c.RemoteID]; o != nil {
				now = o.Fields.Values("roles")
			}
			now = slices.DeleteFunc(slices.Clone(now), func(v string) bool { return slices.Contains(f.Before, v) })
			c.Fields[j].After = append(now, f.After...)
		}
	}
	return s.tenantFake.Apply(ctx, batch)
}

// TestValuesOfOthersStay checks that of a list that others share only our values are removed, also by the sync of a
// single entry and after the loss of the ledger.
func TestValuesOfOthersStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.provider = sharing{w.tenant}
	w.source.snapshot.Entries = company()
	var roles []string
	engine := func() *reconcile.Engine {
		return reconcile.New(reconcile.Config{Source: w.source, Provider: w.provider, Ledger: w.ledger, Policy: w.policy,
			Desire: func(s directory.Snapshot, state plan.State) (mapping.Result, error) {
				r, err := w.desire(s, state)
				for i := range r.Desired {
					if r.Desired[i].Ref == ref(7) {
						r.Desired[i].Fields = append(r.Desired[i].Fields.Clone(), directory.Attribute{Name: "roles", Values: roles})
					}
				}
				return r, err
			}})
	}
	run := func(scope reconcile.Scope, want []string, wanted ...string) {
		t.Helper()
		roles = want
		if _, err := engine().Execute(t.Context(), w.runOf("", scope)); err != nil {
			t.Fatal(err)
		}
		for _, o := range w.tenant.objects {
			if got := slices.Sorted(slices.Values(o.Fields.Values("roles"))); o.Ref == ref(7) && !slices.Equal(got, wanted) {
				t.Fatalf("roles = %q, want %q", got, wanted)
			}
		}
	}
	add := func(role string) {
		for _, o := range w.tenant.objects {
			if o.Ref == ref(7) {
				o.Fields = o.Fields.Clone().Set("roles", append(o.Fields.Values("roles"), role)...)
			}
		}
	}
	run(reconcile.Full(), []string{"editor", "writer"}, "editor", "writer")
	add("owner")
	run(reconcile.Full(), []string{"editor", "writer"}, "editor", "owner", "writer")
	run(reconcile.Entries(ref(7)), []string{"editor", "reader"}, "editor", "owner", "reader")
	run(reconcile.Full(), []string{"editor"}, "editor", "owner")
	w.ledger = newLedger(t)
	run(reconcile.Full(), []string{"Editor"}, "editor", "owner") // The case of letters does not count.
	run(reconcile.Full(), nil, "owner")
	add("editor")
	run(reconcile.Full(), nil, "editor", "owner")
}

// outlived is such a tenant that suspends accounts in place of deleting them.
type outlived struct{ sharing }

func (o outlived) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	kept := slices.Clone(batch)
	for i := range kept {
		if kept[i].Op == plan.Delete {
			kept[i].Op, kept[i].Fields = plan.Suspend, nil
		}
	}
	results := o.sharing.Apply(ctx, kept)
	for i := range results {
		results[i].Outlived = batch[i].Op == plan.Delete
	}
	return results
}

// TestValuesOfAnAccountThatOutlivedItsDeletion checks that they are still ours when the person comes back.
func TestValuesOfAnAccountThatOutlivedItsDeletion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.provider = outlived{sharing{w.tenant}}
	w.policy.UserDeleteAction, w.policy.DeleteAfter = plan.ActionDelete, 0
	run := func(entries []directory.Entry, want []string, wanted ...string) {
		t.Helper()
		w.source.snapshot.Entries = entries
		engine := reconcile.New(reconcile.Config{Source: w.source, Provider: w.provider, Ledger: w.ledger, Policy: w.policy,
			Desire: func(s directory.Snapshot, state plan.State) (mapping.Result, error) {
				r, err := w.desire(s, state)
				for i := range r.Desired {
					if r.Desired[i].Ref == ref(5) {
						r.Desired[i].Fields = append(r.Desired[i].Fields.Clone(), directory.Attribute{Name: "roles", Values: want})
					}
				}
				return r, err
			}})
		if _, err := engine.Execute(t.Context(), w.runOf("", reconcile.Full())); err != nil {
			t.Fatal(err)
		}
		for _, o := range w.tenant.objects {
			if got := o.Fields.Values("roles"); o.Ref == ref(5) && !slices.Equal(got, wanted) {
				t.Fatalf("roles = %q, want %q", got, wanted)
			}
		}
	}
	run(company(), []string{"editor"}, "editor")
	w.source.snapshot.Departed = []directory.Departure{{Ref: ref(5), Source: "corp", Left: w.now}}
	run(slices.Delete(company(), 5, 6), nil, "editor")
	w.source.snapshot.Departed = nil
	run(company(), []string{"reader"}, "reader")
}
