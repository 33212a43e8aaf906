package reconcile_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
	"rollcall/reconcile"
)

// subject returns the entry that a write affects. For a membership it is the member.
func subject(c *plan.Change) directory.Ref {
	if c.Member != nil {
		return *c.Member
	}
	return c.Ref
}

// refusing makes the tenant refuse every write to these entries, and notes the order of the others.
func (w *world) refusing(refused map[directory.Ref]bool) {
	w.tenant.hook = func(c plan.Change, after bool) error {
		if !after && (refused[subject(&c)] || refused[c.Ref]) {
			return fault.Errorf(fault.Refused, "403 forbidden")
		}
		return nil
	}
}

// TestLaw10RefusalsHarmNoOtherObject refuses random entries permanently. Every other object ends up as without
// refusals, and no leaver stays active.
func TestLaw10RefusalsHarmNoOtherObject(t *testing.T) {
	t.Parallel()
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 1))
		calm, w := scenario(t), scenario(t)
		w.tenant.apart = seed%2 == 1
		mustRun(t, calm)
		refused := map[directory.Ref]bool{}
		for i := range 16 {
			if rng.IntN(3) == 0 {
				refused[ref(i)] = true
			}
		}
		delete(refused, ref(8)) // the leaver
		w.refusing(refused)
		mustRun(t, w)
		want, got := calm.tenant.without(refused), w.tenant.without(refused)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d, refused %v (-want +got):\n%s", seed, refused, diff)
		}
	}
}

// without returns the picture without the refused objects and their memberships.
func (t *tenantFake) without(refused map[directory.Ref]bool) map[string]string {
	t.mu.Lock()
	defer t.mu.Unlock()
	out := map[string]string{}
	for _, o := range t.objects {
		if refused[o.Ref] {
			continue
		}
		var members []string
		for _, m := range o.Members {
			if member := t.objects[m]; member != nil && !refused[member.Ref] {
				members = append(members, member.Address)
			}
		}
		slices.Sort(members)
		out[o.Address] = fmt.Sprintf("[%s active=%v %v %v]", o.Ref, o.Active, o.Fields, members)
	}
	return out
}

// TestLaw10FivePercentRefusedForGood provisions a company and carries out a day of changes, while the tenant refuses
// every twentieth person. One run makes every other change. Every leaver is suspended before anything is created.
func TestLaw10FivePercentRefusedForGood(t *testing.T) {
	t.Parallel()
	const people = 2000
	w := newWorld(t)
	refused := map[directory.Ref]bool{}
	for i := range people + 40 {
		if i%20 == 7 {
			refused[ref(i)] = true
		}
	}
	w.refusing(refused)
	for i := range people {
		w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(i))
	}
	for g := range 10 {
		var members []int
		for i := g; i < people; i += 10 {
			members = append(members, i)
		}
		w.source.snapshot.Entries = append(w.source.snapshot.Entries, crew(g, members...))
	}
	mustRun(t, w)
	if got, want := len(w.tenant.objects), people-people/20+10; got != want {
		t.Fatalf("after the first run the tenant has %d objects, want %d", got, want)
	}
	day := slices.DeleteFunc(slices.Clone(w.source.snapshot.Entries), func(e directory.Entry) bool {
		// Of the 20 who leave, one has no account.
		return e.Kind == directory.User && len(e.ID) == 4 && e.ID >= "u100" && e.ID < "u120"
	})
	for i := range 40 {
		day = append(day, person(people+i))
	}
	w.source.snapshot.Entries = day
	before := len(w.tenant.applied)
	r, err := w.run(t.Context())
	if err != nil || len(r.Held.Changes) > 0 {
		t.Fatalf("Execute() = %v, %d held", err, len(r.Held.Changes))
	}
	done := w.tenant.applied[before:]
	suspended, created := lastOf(done, "suspend"), firstOf(done, "create")
	if count(done, "suspend") != 19 || count(done, "create") != 38 || suspended > created {
		t.Errorf("%d suspended until write %d, %d created from write %d; want 19 before 38",
			count(done, "suspend"), suspended, count(done, "create"), created)
	}
	again, err := w.run(t.Context())
	if err != nil || again.Applied != 0 {
		t.Errorf("the next run made %d changes, %v; want none", again.Applied, err)
	}
}

func firstOf(done []string, op string) int {
	return slices.IndexFunc(done, func(s string) bool { return strings.HasPrefix(s, op+" ") })
}

func lastOf(done []string, op string) int {
	for i, d := range slices.Backward(done) {
		if strings.HasPrefix(d, op+" ") {
			return i
		}
	}
	return -1
}

func count(done []string, op string) (n int) {
	for _, s := range done {
		if strings.HasPrefix(s, op+" ") {
			n++
		}
	}
	return n
}

// A tenant that refuses every new account gets twenty attempts, and all other changes are made. Suspensions are never
// given up.
func TestLaw10ALaneThatIsRefusedIsGivenUp(t *testing.T) {
	t.Parallel()
	for op, want := range map[plan.Op]int{plan.Create: 20, plan.Suspend: 30} {
		w := newWorld(t)
		for i := range 700 {
			w.source.snapshot.Entries = append(w.source.snapshot.Entries, person(i))
		}
		w.source.snapshot.Entries = append(w.source.snapshot.Entries, crew(0, 690, 691))
		mustRun(t, w)
		next := slices.Clone(w.source.snapshot.Entries[30:])
		for i := range 60 {
			next = append(next, person(700+i))
		}
		next = append(slices.DeleteFunc(next, func(e directory.Entry) bool { return e.Kind == directory.Group }),
			crew(0, 690, 691, 692))
		w.source.snapshot.Entries = next
		asked := 0
		w.tenant.hook = func(c plan.Change, after bool) error {
			if c.Op == op && !after {
				asked++
				return fault.Errorf(fault.Refused, "no room")
			}
			return nil
		}
		before := len(w.tenant.applied)
		r, err := w.run(t.Context())
		// Changes that are under way when the lane is given up are counted, too.
		if err != nil || r.Failed != asked || asked < want || asked > want+4 {
			t.Errorf("%s: %v, %d failed, %d asked, want %d", op, err, r.Failed, asked, want)
		}
		if done := w.tenant.applied[before:]; count(done, "add_member") != 1 {
			t.Errorf("%s: the member was not added: %v", op, done)
		}
	}
}

// A throttled lane is retried after the others. If it is still throttled, the run is deferred with all other changes
// made.
func TestAThrottledLaneComesLast(t *testing.T) {
	t.Parallel()
	for _, forever := range []bool{false, true} {
		w := scenario(t)
		left := 1
		w.tenant.hook = func(c plan.Change, after bool) error {
			if c.Op == plan.Create && c.Kind == directory.User && !after && (forever || left > 0) {
				left--
				return fault.Errorf(fault.Throttled, "slower")
			}
			return nil
		}
		before := len(w.tenant.applied)
		r, err := w.run(t.Context())
		if forever != (err != nil && fault.KindOf(err) == fault.Throttled) || r.Failed != 0 {
			t.Fatalf("throttled for ever %v: %v, %d failed", forever, err, r.Failed)
		}
		done := w.tenant.applied[before:]
		if count(done, "suspend") != 1 || count(done, "update") != 1 || count(done, "create") < 1 {
			t.Errorf("throttled for ever %v: done %v, want the other lanes", forever, done)
		}
		w.tenant.hook = nil
		mustRun(t, w)
		calm := scenario(t)
		mustRun(t, calm)
		if diff := cmp.Diff(calm.tenant.picture(), w.tenant.picture()); diff != "" {
			t.Errorf("throttled for ever %v (-want +got):\n%s", forever, diff)
		}
	}
}

// A person who moves from one crew to another is added to the new one before the old membership is removed. If the
// gain fails, the loss is carried out all the same. If there is no gain, the loss comes early.
func TestLaw11MakeBeforeBreak(t *testing.T) {
	t.Parallel()
	for _, gain := range []error{nil, fault.Errorf(fault.Refused, "locked group"),
		fault.Errorf(fault.Throttled, "slower")} {
		w := newWorld(t)
		w.source.snapshot.Entries = append(company(), crew(3, 5))
		mustRun(t, w)
		next := append(company()[:10], crew(0, 0, 1, 2), crew(1, 2, 4, 6), crew(2, 3, 9), crew(3))
		w.source.snapshot.Entries = append(next, person(20))
		var order []string
		w.tenant.hook = func(c plan.Change, after bool) error {
			if c.Op == plan.AddMember && !after && gain != nil {
				return gain
			}
			if after {
				order = append(order, c.Op.String()+" "+string(subject(&c).ID)+" "+string(c.ID))
			}
			return nil
		}
		_, err := w.run(t.Context())
		if throttled := gain != nil && fault.KindOf(gain) == fault.Throttled; throttled != (err != nil) {
			t.Fatalf("gain %v: Execute() = %v", gain, err)
		}
		want := []string{"remove_member u005 g003", "create u020 u020"}
		if gain == nil {
			want = append(want, "add_member u003 g002")
		}
		want = append(want, "remove_member u003 g000")
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("gain %v: writes (-want +got):\n%s", gain, diff)
		}
	}
}

// A write that is superseded by a newer version of its entry is left to the next run. It is not a failure.
func TestASupersededWriteIsNoFailure(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()[:10]
	w.tenant.hook = func(c plan.Change, after bool) error {
		if !after && c.Ref == ref(3) {
			return fault.Errorf(fault.Conflict, "local directory: %w", provider.ErrSuperseded)
		}
		return nil
	}
	engine := reconcile.New(reconcile.Config{Source: w.source, Provider: localFake{w.tenant}, Desire: desire,
		Ledger: w.ledger})
	r, err := engine.Execute(t.Context(), w.runOf("run", reconcile.Full()))
	if err != nil || r.Failed != 0 || r.Superseded != 1 {
		t.Errorf("%d failed, %d superseded, %v; want one that gave way", r.Failed, r.Superseded, err)
	}
}

// The text of a failure names the entry, and the value that was rejected.
func TestAFailureNamesEntryFieldAndValue(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	w.tenant.hook = func(c plan.Change, after bool) error {
		if !after && c.Ref == ref(3) {
			return &fault.Error{Kind: fault.Invalid, Op: "users.insert", Field: "name", Err: fmt.Errorf("400 invalid")}
		}
		return nil
	}
	mustRun(t, w)
	want := `Failed: create user Person 3: name "Person 3": users.insert: 400 invalid`
	if !slices.Contains(w.said.messages, want) {
		t.Errorf("said %q, want %q", w.said.messages, want)
	}
}

// A value that the tenant refused is not sent again for a day, except by a sync of the one object. Every other refusal
// is tried again in every run.
func TestARefusedValueIsRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.source.snapshot.Entries = company()
	asked := map[directory.Ref]int{}
	w.tenant.hook = func(c plan.Change, after bool) error {
		switch {
		case after || c.Member != nil:
		case c.Ref == ref(3):
			asked[c.Ref]++
			return &fault.Error{Kind: fault.Invalid, Op: "users.insert", Field: "name", Err: fmt.Errorf("400 invalid")}
		case c.Ref == ref(4):
			asked[c.Ref]++
			return fault.Errorf(fault.Refused, "403 forbidden")
		}
		return nil
	}
	for _, step := range []struct {
		name  string
		later time.Duration
		only  []directory.Ref
		want  map[directory.Ref]int
	}{
		{"the first run", 0, nil, map[directory.Ref]int{ref(3): 1, ref(4): 1}},
		{"the next run", time.Hour, nil, map[directory.Ref]int{ref(3): 1, ref(4): 2}},
		{"a sync of the object", time.Hour, []directory.Ref{ref(3)}, map[directory.Ref]int{ref(3): 2, ref(4): 2}},
		{"one more run", time.Hour, nil, map[directory.Ref]int{ref(3): 2, ref(4): 3}},
		{"a run of the next day", plan.RejectionLife, nil, map[directory.Ref]int{ref(3): 3, ref(4): 4}},
	} {
		w.now = w.now.Add(step.later)
		if _, err := w.run(t.Context(), step.only...); err != nil {
			t.Fatalf("%s: Execute() = %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, asked); diff != "" {
			t.Errorf("%s: attempts (-want +got):\n%s", step.name, diff)
		}
	}
	if want := `Held: user Person 3: name: the tenant refused the value "Person 3" at `; !slices.ContainsFunc(
		w.said.messages, func(m string) bool { return strings.HasPrefix(m, want) }) {
		t.Errorf("no message begins with %q", want)
	}
	w.tenant.hook = nil
	for i := range w.source.snapshot.Entries {
		if e := &w.source.snapshot.Entries[i]; e.Ref() == ref(3) {
			e.Attributes = directory.Attributes{{Name: directory.CommonName, Values: []string{"Corrected"}}}
		}
	}
	mustRun(t, w)
	if w.tenant.picture()["u003@example.com"] == "" {
		t.Error("the account is not created although its value was corrected")
	}
}
