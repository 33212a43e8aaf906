package ledger_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/internal/redistest"
	"rollcall/ledger"
	"rollcall/plan"
)

// The claims of a run replace those of the run before.
func testClaims(t *testing.T, l *ledger.Redis) {
	claimants := func(want []directory.Ref, keys ...string) {
		t.Helper()
		got, err := l.Claimants(t.Context(), keys...)
		slices.SortFunc(got, directory.Ref.Compare)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("Claimants(%v) (-want +got), %v:\n%s", keys, err, diff)
		}
	}
	claimants(nil, "a@x")
	must(t, l.SetClaims(t.Context(), ledger.Claims{"a@x": {bob, ada, bob}, "b@x": {bob}, "c@x": {staff}}))
	claimants([]directory.Ref{ada, bob}, "a@x")
	claimants([]directory.Ref{bob, staff}, "b@x", "c@x", "none@x")
	must(t, l.SetClaims(t.Context(), ledger.Claims{"a@x": {ada}, "b@x": {bob}, "d@x": {ada}}))
	claimants([]directory.Ref{ada}, "a@x")
	claimants([]directory.Ref{bob}, "b@x")
	claimants([]directory.Ref{ada}, "d@x")
	claimants(nil, "c@x")
	must(t, l.SetClaims(t.Context(), nil))
	claimants(nil, "a@x", "b@x", "c@x", "d@x")
}

// A run over a few entries reads only what the ledger knows of them.
func testSome(t *testing.T, l *ledger.Redis) {
	must(t, l.PutLinks(t.Context(), map[directory.Ref]plan.Link{ada: {RemoteID: "1"}, bob: {RemoteID: "2"},
		staff: {RemoteID: "3"}}))
	links, err := l.LinksOf(t.Context(), bob, staff, directory.Ref{Kind: directory.User, ID: "none"})
	if diff := cmp.Diff(map[directory.Ref]plan.Link{bob: {RemoteID: "2"}, staff: {RemoteID: "3"}}, links); err != nil ||
		diff != "" {
		t.Errorf("LinksOf() (-want +got), %v:\n%s", err, diff)
	}
	of := map[directory.ID]plan.Confirmed{"g": {Witness: "7", Members: []string{"1", "2"}, VerifyBy: now}}
	must(t, l.Confirm(t.Context(), of))
	must(t, l.Confirm(t.Context(), map[directory.ID]plan.Confirmed{"h": {Witness: "8", VerifyBy: now}}))
	groups, err := l.ConfirmedOf(t.Context(), "g", "none")
	if diff := cmp.Diff(of, groups); err != nil || diff != "" {
		t.Errorf("ConfirmedOf() (-want +got), %v:\n%s", err, diff)
	}
}

// What cannot be read is an error that names it, and no empty answer.
func TestAnUnreadableValueIsNamed(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	l := ledger.NewRedis(rdb, "google_workspace:1")
	must(t, l.PutLinks(t.Context(), map[directory.Ref]plan.Link{ada: {RemoteID: "1"}}))
	must(t, l.Confirm(t.Context(), map[directory.ID]plan.Confirmed{"g": {Witness: "7"}}))
	must(t, l.SetClaims(t.Context(), ledger.Claims{"a@x": {ada}}))
	must(t, l.SetFacts(t.Context(), ledger.Facts{}))
	must(t, l.Add(t.Context(), ada))
	keys, err := rdb.Keys(t.Context(), "*").Result()
	must(t, err)
	for _, key := range keys {
		switch kind, _ := rdb.Type(t.Context(), key).Result(); kind {
		case "hash":
			fields, err := rdb.HKeys(t.Context(), key).Result()
			must(t, err)
			for _, field := range fields {
				must(t, rdb.HSet(t.Context(), key, field, "\x00broken").Err())
			}
		case "zset":
			must(t, rdb.ZAdd(t.Context(), key, redis.Z{Score: 1, Member: "broken"}).Err())
		case "string":
			must(t, rdb.Set(t.Context(), key, "broken", 0).Err())
		}
	}
	for name, read := range map[string]func() error{
		"links": func() error { _, err := l.Links(t.Context()); return err },
		"some":  func() error { _, err := l.LinksOf(t.Context(), ada); return err },
		"groups": func() error {
			_, err := l.Groups(t.Context())
			return err
		},
		"some groups": func() error { _, err := l.ConfirmedOf(t.Context(), "g"); return err },
		"claims":      func() error { _, err := l.Claimants(t.Context(), "a@x"); return err },
		"facts":       func() error { _, err := l.Facts(t.Context()); return err },
		"pending":     func() error { _, err := l.Pending(t.Context()); return err },
	} {
		if err := read(); err == nil {
			t.Errorf("%s: read without an error", name)
		}
	}
}
