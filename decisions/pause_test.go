package decisions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/decisions"
	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/internal/testclock"
)

// A pause is signed and stands until a person ends it. One that another program wrote or changed pauses, too.
func TestPause(t *testing.T) {
	t.Parallel()
	rdb, clock := redistest.Start(t), testclock.New()
	f := signing(t, rdb, clock, newKey)
	text := func() string {
		t.Helper()
		p, err := f.PauseOf(t.Context(), google)
		f.must(err)
		if p == nil {
			return ""
		}
		return p.Text()
	}
	want := "paused by grace since " + clock.Now().UTC().Format(time.RFC3339) +
		"; resume with `rollcall resume google_workspace:1`"
	for _, by := range []string{"grace", "bob"} {
		p, err := f.Pause(t.Context(), google, by)
		if err != nil || p.Text() != want || text() != want {
			t.Errorf("a pause by %s is %q, %v; stored is %q; want %q", by, p.Text(), err, text(), want)
		}
		clock.Advance(time.Hour)
	}
	key := "rollcall:{google_workspace:1}:pause"
	good := rdb.Get(t.Context(), key).Val()
	for name, other := range map[string]string{
		"changed": strings.Replace(good, "grace", "ghost", 1), "rubbish": "x", "of another container": "",
		"not signed": `{"container":"google_workspace:1","by":"mallory"}`,
	} {
		if other == "" {
			_, err := f.Pause(t.Context(), corp, "grace")
			f.must(err)
			other = rdb.Get(t.Context(), "rollcall:{ldap:corp}:pause").Val()
		}
		f.must(rdb.Set(t.Context(), key, other, 0).Err())
		if got := text(); !strings.HasPrefix(got, "paused by an unknown program (the record ") ||
			!strings.HasSuffix(got, "resume google_workspace:1`") {
			t.Errorf("a record that is %s: %q", name, got)
		}
	}
	for _, want := range []bool{true, false} {
		if was, err := f.Resume(t.Context(), google); was != want || err != nil || text() != "" {
			t.Errorf("Resume() = %v, %v, want %v; then %q", was, err, want, text())
		}
	}
}

// Another process notices a pause within about a second without a call for each question, and its end at once.
func TestPausedIsNoticed(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	f, worker := open(t, rdb), open(t, rdb)
	f.must(worker.Paused(t.Context(), google))
	_, err := f.Pause(t.Context(), google, "grace")
	f.must(err)
	testclock.Eventually(t, time.Minute, "the pause is noticed", func() bool {
		err = worker.Paused(t.Context(), google)
		return err != nil
	})
	if p, is := errors.AsType[*decisions.PausedError](err); !is || p.Pause.By != "grace" ||
		fault.KindOf(err) != fault.Canceled {
		t.Errorf("Paused() = %v, want the pause by grace", err)
	}
	f.must(worker.Paused(t.Context(), corp))
	_, err = f.Resume(t.Context(), google)
	f.must(err)
	f.must(worker.Paused(t.Context(), google))
	rdb.Close()
	for err == nil { // What is known counts for a second, and then Redis has to answer.
		err = worker.Paused(t.Context(), google)
	}
	if fault.KindOf(err) != fault.Unavailable {
		t.Errorf("Paused() = %v without Redis, want unavailable", err)
	}
}

// An answer of Redis that comes late says nothing about now.
func TestALateAnswerToPausedIsAskedForAgain(t *testing.T) {
	t.Parallel()
	rdb := redis.NewClient(&redis.Options{}) // Outside the bubble, because it starts goroutines.
	t.Cleanup(func() { _ = rdb.Close() })
	synctest.Test(t, func(t *testing.T) {
		asked := 0
		rdb.AddHook(answering(func() error {
			asked++
			if asked == 2 {
				return nil // The pause that was made meanwhile; its record is not readable.
			}
			time.Sleep(1500 * time.Millisecond)
			return redis.Nil
		}))
		err := open(t, rdb).Paused(t.Context(), google)
		if _, is := errors.AsType[*decisions.PausedError](err); !is || asked != 2 {
			t.Errorf("Paused() = %v after %d questions, want the pause after 2", err, asked)
		}
	})
}

// answering answers each command in the place of Redis.
type answering func() error

func (answering) DialHook(next redis.DialHook) redis.DialHook { return next }

func (answering) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (a answering) ProcessHook(redis.ProcessHook) redis.ProcessHook {
	return func(_ context.Context, cmd redis.Cmder) error {
		err := a()
		cmd.SetErr(err)
		return err
	}
}
