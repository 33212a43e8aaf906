package boot

import (
	"context"
	"strings"
	"testing"
	"time"

	"rollcall/decisions"
	"rollcall/internal/redistest"
)

// The key of the first process stays in use while a process with it is there, and the next one waits for its end. A
// process with both keys takes part in any case.
func TestWhichKeyIsInUse(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	process := func(lines ...string) *signing {
		keys, err := decisions.ParseKeys(strings.Join(lines, "\n"))
		if err != nil {
			t.Fatal(err)
		}
		return &signing{path: "/etc/" + lines[0][:3], keys: func() ([]decisions.Key, error) { return keys, nil }}
	}
	oldKey, newKey := strings.Repeat("old-", 16), strings.Repeat("new-", 16)
	first, second, both := process(oldKey), process(newKey), process(newKey, oldKey)
	// take has processes note their keys in turn, and returns which of them stand aside.
	take := func(all ...*signing) (aside string) {
		t.Helper()
		for _, s := range all {
			if err := s.note(t.Context(), rdb); err != nil {
				t.Fatal(err)
			}
			if aside += "-"; s.Aside() != "" {
				aside = aside[:len(aside)-1] + "x"
			}
		}
		return aside
	}
	if got := take(first, second, both, first); got != "-x--" {
		t.Errorf("old, new, both, old: %s, want -x--", got)
	}
	if why := second.Aside(); !strings.Contains(why, ":/etc/old") || !strings.Contains(why, "/etc/new") {
		t.Errorf("the second stands aside because %q, want both files", why)
	}
	if left := rdb.TTL(t.Context(), keyInUse).Val(); left <= 0 || left > keyTime {
		t.Errorf("the key stays in use for %v", left)
	}
	rdb.Del(t.Context(), keyInUse) // as after its time
	if got := take(both, first, second); got != "-x-" {
		t.Errorf("after the end of the old key, both, old, new: %s, want -x-", got)
	}
	rdb.Set(t.Context(), keyInUse, process(oldKey).mine(t), 0) // as an earlier version does
	if got := take(second); got != "x" || rdb.TTL(t.Context(), keyInUse).Val() <= 0 {
		t.Errorf("beside a key without an end: %s, it ends in %v", got, rdb.TTL(t.Context(), keyInUse).Val())
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var none signing
	if err := none.note(ctx, rdb); err != nil || none.Aside() != "" {
		t.Errorf("without a key: %v, %q", err, none.Aside())
	}
}

func (s *signing) mine(t *testing.T) string {
	keys, err := s.keys()
	if err != nil {
		t.Fatal(err)
	}
	return keys[0].ID() + " host:" + s.path
}
