package reconcile_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// markless is a tenant that cannot carry our mark, so only the ledger knows who suspended an account. It takes three
// changes at once.
type markless struct {
	*tenantFake
	batches []int
}

func (t *markless) Read(ctx context.Context, q provider.Query) (plan.State, error) {
	s, err := t.tenantFake.Read(ctx, q)
	for i := range s.Objects {
		o := &s.Objects[i]
		switch link, known := q.Known[o.Ref]; {
		case o.Active:
			o.Suspender = plan.Nobody
		case link.Suspended:
			o.Suspender = plan.Us
		case known:
			o.Suspender = plan.Else
		default:
			o.Suspender = plan.Unknown
		}
	}
	return s, err
}

func (t *markless) Batch(changes []plan.Change) int { return min(3, len(changes)) }

func (t *markless) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	t.mu.Lock()
	t.batches = append(t.batches, len(batch))
	t.mu.Unlock()
	return t.tenantFake.Apply(ctx, batch)
}

func (w *world) withoutMarks() (*markless, *reconcile.Engine) {
	t := &markless{tenantFake: w.tenant}
	return t, reconcile.New(reconcile.Config{Source: w.source, Provider: t, Desire: desire, Ledger: w.ledger,
		Policy: w.policy})
}

// TestASuspensionIsNotedBeforeItIsMade kills the run between the write and its record. The person is restored all the
// same.
func TestASuspensionIsNotedBeforeItIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	tenant, engine := w.withoutMarks()
	run := func() error {
		_, err := engine.Execute(t.Context(), w.runOf("", reconcile.Full()))
		return err
	}
	if err := run(); err != nil {
		t.Fatal(err)
	}
	if len(tenant.batches) == 0 || slices.Max(tenant.batches) != 3 {
		t.Errorf("batches of %v changes, want up to 3", tenant.batches)
	}
	w.source.snapshot.Entries = slices.Delete(company(), 7, 8)
	tenant.hook = func(c plan.Change, after bool) error {
		if c.Op == plan.Suspend && after {
			w.gate.err = errKilled
			return errKilled
		}
		return nil
	}
	if err := run(); err == nil {
		t.Fatal("the run survived")
	}
	tenant.hook, w.gate.err = nil, nil
	w.source.snapshot.Entries = company()
	if err := run(); err != nil {
		t.Fatal(err)
	}
	for _, o := range tenant.objects {
		if o.Ref == ref(7) && !o.Active {
			t.Error("the account that we suspended stays so")
		}
	}
}

// TestAnAnchorThatMayBeForeign checks that an object is ours only if its anchor names a known entry.
func TestAnAnchorThatMayBeForeign(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	mustRun(t, w)
	for _, o := range w.tenant.objects {
		o.Unproven = "it may be another system's"
	}
	stranger := &plan.Object{Ref: directory.Ref{Kind: directory.User, ID: "u999"}, RemoteID: "x",
		Address: "x@example.com", Active: true, Unproven: "it may be another system's"}
	w.tenant.objects["x"] = stranger
	w.ledger = newWorld(t).ledger
	if err := w.ledger.PutLinks(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	w.source.snapshot.Departed = []directory.Departure{{Ref: ref(7), Source: "corp", Left: w.now}}
	w.source.snapshot.Entries = slices.Delete(company(), 7, 8)
	mustRun(t, w)
	if !stranger.Active {
		t.Error("an account with an anchor of no known entry was suspended")
	}
	if !slices.ContainsFunc(w.said.messages,
		func(m string) bool { return strings.HasPrefix(m, "1 active accounts carry an anchor of no entry") }) {
		t.Errorf("no message names the stranger: %q", w.said.messages)
	}
	for _, o := range w.tenant.objects {
		if o.Ref == ref(7) && o.Active {
			t.Error("the account of an entry that left is not suspended")
		}
	}
	links, err := w.ledger.Links(t.Context())
	if _, linked := links[stranger.Ref]; linked || err != nil {
		t.Errorf("the stranger's account is in the ledger: %v", err)
	}
}
