package decisions

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/container"
	"rollcall/directory"
	"rollcall/fault"
	"rollcall/internal/redisfault"
	"rollcall/internal/stored"
	"rollcall/plan"
)

// Orders of persons stand until they are lifted, for every container. So their key belongs to no container.
var leaveKey = stored.Prefix("orders") + "leave"

const purposeLeave = "leave"

// Leave makes an order stand. It replaces an earlier one for the same user.
func (s *Store) Leave(ctx context.Context, o plan.Order) error {
	keys, err := s.signers()
	if err != nil {
		return err
	}
	o.By = stored.Cut(o.By, maxName)
	text, err := sealed(keys, purposeLeave, "", o)
	if err != nil {
		return fault.New(fault.Internal, "decisions: leave", err)
	}
	return redisFault("leave", s.rdb.HSet(ctx, leaveKey, o.Ref.String(), text).Err())
}

// Orders are the orders that are stored.
type Orders struct {
	// Leave are those that stand, sorted by user.
	Leave []plan.Order
	// Untrusted are the users with an order that is not signed or was changed, and the reason.
	Untrusted map[directory.Ref]string
}

// At returns the orders that stand at a container.
func (o *Orders) At(c container.ID) Orders {
	return Orders{Untrusted: o.Untrusted, Leave: slices.DeleteFunc(slices.Clone(o.Leave),
		func(x plan.Order) bool { return slices.Contains(x.Agreed, c) })}
}

// Of returns the order for a user, or nil.
func (o *Orders) Of(ref directory.Ref) *plan.Order {
	if i := slices.IndexFunc(o.Leave, func(x plan.Order) bool { return x.Ref == ref }); i >= 0 {
		return &o.Leave[i]
	}
	return nil
}

// Orders returns the orders that are stored.
func (s *Store) Orders(ctx context.Context) (out Orders, err error) {
	keys, err := s.keys()
	if err != nil {
		return out, err
	}
	all, err := s.rdb.HGetAll(ctx, leaveKey).Result()
	if err != nil {
		return out, redisFault("orders", err)
	}
	for _, field := range slices.Sorted(maps.Keys(all)) {
		ref, ok := plan.ParseRef(field)
		if !ok || len(all[field]) > maxRecord {
			continue // It is not of ours.
		}
		o, problem := openOrder(keys, all[field])
		if problem == "" && o.Ref != ref {
			problem = notTheSame
		}
		if problem == "" {
			s.signAgain(ctx, keys, all[field], o)
			out.Leave = append(out.Leave, o)
			continue
		}
		if out.Untrusted == nil {
			out.Untrusted = map[directory.Ref]string{}
		}
		out.Untrusted[ref] = problem
	}
	slices.SortFunc(out.Leave, func(a, b plan.Order) int { return a.Ref.Compare(b.Ref) })
	return out, nil
}

// Ordered reports whether an order for a user stands at a container. One that cannot be trusted counts, because it
// keeps an account from being made or activated.
func (s *Store) Ordered(ctx context.Context, c container.ID, ref directory.Ref) (bool, error) {
	text, err := s.rdb.HGet(ctx, leaveKey, ref.String()).Result()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, redisFault("ordered", err)
	}
	keys, err := s.keys()
	if err != nil {
		return false, err
	}
	o, problem := openOrder(keys, text)
	return problem != "" || o.Ref != ref || !slices.Contains(o.Agreed, c), nil
}

// signAgain signs a valid order anew if an earlier key signed it, so that this key can be removed. An order that was
// lifted or replaced meanwhile stays as it is. After an error the next one to read it tries again.
func (s *Store) signAgain(ctx context.Context, keys []Key, text string, o plan.Order) {
	if len(keys) == 0 || strings.HasPrefix(text, keys[0].id+" ") {
		return
	}
	again, err := sealed(keys, purposeLeave, "", o)
	if err != nil {
		return
	}
	_, _ = s.swap(ctx, o.Ref, text, string(again))
}

// swap replaces an order that is still stored as text, or deletes it if again is empty.
func (s *Store) swap(ctx context.Context, ref directory.Ref, text, again string) (bool, error) {
	word, _, err := redisfault.Run(ctx, s.rdb, "decisions: order", orderScript, leaveKey, ref.String(), text, again)
	return word == "ok", err
}

// openOrder reads an order, and says what is wrong with it.
func openOrder(keys []Key, text string) (o plan.Order, problem string) {
	problem = opened(keys, purposeLeave, "", text, &o)
	return o, problem
}

// Agree ends orders at one container. An order that has ended at all of its providers is deleted. One that was lifted
// or given again since it was read stays as it is.
func (s *Store) Agree(ctx context.Context, c container.ID, read ...plan.Order) error {
	keys, err := s.signers()
	if err != nil {
		return err
	}
	for i := range read {
		for done := false; !done; { // Another container may end it at the same time.
			if done, err = s.agree(ctx, keys, c, &read[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// agree reports false if the stored order changed in between.
func (s *Store) agree(ctx context.Context, keys []Key, c container.ID, read *plan.Order) (bool, error) {
	text, err := s.rdb.HGet(ctx, leaveKey, read.Ref.String()).Result()
	if errors.Is(err, redis.Nil) {
		return true, nil
	}
	if err != nil {
		return false, redisFault("agree", err)
	}
	o, problem := openOrder(keys, text)
	if problem != "" || o.Ref != read.Ref || o.By != read.By || !o.At.Equal(read.At) || slices.Contains(o.Agreed, c) {
		return true, nil
	}
	o.Agreed = append(o.Agreed, c)
	var again []byte
	if slices.ContainsFunc(o.Providers, func(p container.ID) bool { return !slices.Contains(o.Agreed, p) }) {
		if again, err = sealed(keys, purposeLeave, "", o); err != nil {
			return false, fault.New(fault.Internal, "decisions: agree", err)
		}
	}
	return s.swap(ctx, o.Ref, text, string(again))
}

// EndLeaves ends the orders for these users at every container, as a person asks.
func (s *Store) EndLeaves(ctx context.Context, refs ...directory.Ref) error {
	if len(refs) == 0 {
		return nil
	}
	fields := make([]string, len(refs))
	for i, ref := range refs {
		fields[i] = ref.String()
	}
	return redisFault("end leaves", s.rdb.HDel(ctx, leaveKey, fields...).Err())
}

const (
	purposePause = "pause"
	// pausedWithin is how late a process may notice a pause. An end is noticed at once.
	pausedWithin = time.Second
)

// Pause keeps everything from writing to a container until a person resumes it. Reads and plans go on.
type Pause struct {
	Container container.ID `json:"container"`
	// By is the name of the token.
	By string    `json:"by"`
	At time.Time `json:"at"`
}

// Text says who paused the container, since when, and how it goes on.
func (p *Pause) Text() string {
	return "paused by " + p.By + " since " + p.At.UTC().Format(time.RFC3339) + "; resume with `rollcall resume " +
		string(p.Container) + "`"
}

// PausedError is the error of a write to a container that is paused. Its kind is fault.Canceled.
type PausedError struct{ Pause Pause }

// Error implements error.
func (e *PausedError) Error() string { return e.Pause.Text() }

// PauseKey is the key of the pause of a container, for those who read it together with other keys.
func PauseKey(c container.ID) string { return prefix(c) + "pause" }

// Pause pauses a container, and returns the pause that stands. That is an earlier one where there is one.
func (s *Store) Pause(ctx context.Context, c container.ID, by string) (Pause, error) {
	if err := c.Validate(); err != nil {
		return Pause{}, err
	}
	keys, err := s.keys()
	if err != nil {
		return Pause{}, err
	}
	p := Pause{Container: c, By: stored.Cut(by, maxName), At: s.cfg.Now().UTC()}
	text, err := sealed(keys, purposePause, c, p)
	if err != nil {
		return Pause{}, fault.New(fault.Internal, "decisions: pause", err)
	}
	made, err := s.rdb.SetNX(ctx, PauseKey(c), text, 0).Result()
	if err != nil || made {
		return p, redisFault("pause", err)
	}
	earlier, err := s.PauseOf(ctx, c)
	if err == nil && earlier == nil { // It ended at this moment.
		err = fault.Errorf(fault.Conflict, "%s was resumed at the same time: pause it again", c)
	}
	if err != nil {
		return Pause{}, err
	}
	return *earlier, nil
}

// Resume ends the pause of a container, and reports whether there was one.
func (s *Store) Resume(ctx context.Context, c container.ID) (bool, error) {
	n, err := s.rdb.Del(ctx, PauseKey(c)).Result()
	return n > 0, redisFault("resume", err)
}

// PauseOf returns the pause of a container, or nil.
func (s *Store) PauseOf(ctx context.Context, c container.ID) (*Pause, error) {
	text, err := s.rdb.Get(ctx, PauseKey(c)).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil //nolint:nilnil // No pause is no error.
	}
	if err != nil {
		return nil, redisFault("pause", err)
	}
	return s.ReadPause(c, text)
}

// ReadPause returns the pause that is recorded at PauseKey. A record that is not signed or was changed pauses, too,
// because a write that waits harms less than one that a person wanted to stop.
func (s *Store) ReadPause(c container.ID, text string) (*Pause, error) {
	keys, err := s.keys()
	if err != nil {
		return nil, err
	}
	var p Pause
	problem := notReadable
	if len(text) <= maxRecord {
		problem = opened(keys, purposePause, c, text, &p)
	}
	if problem == "" && p.Container != c {
		problem = notTheSame
	}
	if problem != "" {
		p.By = "an unknown program (the record " + problem + ")"
	}
	p.Container = c
	return &p, nil
}

// Paused fails with a PausedError while a container is paused. It asks Redis at most once a second as long as the
// container is not paused, and each time while it is. An answer that took longer than that is not news any more: it
// asks again.
func (s *Store) Paused(ctx context.Context, c container.ID) error {
	fresh := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return time.Since(s.free[c]) < pausedWithin
	}
	for !fresh() {
		began := time.Now()
		p, err := s.PauseOf(ctx, c)
		if err != nil {
			return err
		}
		if p != nil {
			return fault.New(fault.Canceled, "", &PausedError{*p})
		}
		s.mu.Lock()
		s.free[c] = began
		s.mu.Unlock()
	}
	return nil
}
