package jobs_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"rollcall/fault"
	"rollcall/internal/redistest"
	"rollcall/jobs"
	"rollcall/status"
)

// TestAKeptAnswer follows questions from their submission to their only outcome.
func TestAKeptAnswer(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	begun, end := make(chan struct{}), make(chan error)
	client := answering(t, rdb, map[string]jobs.Answer{
		"draft": func(context.Context, json.RawMessage) (any, error) {
			begun <- struct{}{}
			return "a draft", <-end
		},
	})
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	submit := func() (jobs.Kept, error) {
		return client.Submit(t.Context(), jobs.Submission{Topic: "draft", Ask: 1, By: "ops", At: at, Within: time.Minute,
			Keep: time.Hour})
	}
	state := func(id string) (jobs.Kept, string) {
		t.Helper()
		var text string
		k, err := client.Kept(t.Context(), "draft", id, &text)
		if err != nil || k.By != "ops" || !k.At.Equal(at) {
			t.Fatalf("Kept() = %+v, %v", k, err)
		}
		return k, text
	}
	final := func(id string) (jobs.Kept, string) {
		t.Helper()
		for {
			if k, text := state(id); k.State != jobs.KeptRunning {
				return k, text
			}
		}
	}
	first, err := submit()
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	if k, _ := state(first.ID); k.State != jobs.KeptRunning {
		t.Errorf("the state is %s, want running", k.State)
	}
	if _, err := submit(); fault.KindOf(err) != fault.Conflict {
		t.Errorf("Submit() of a second question = %v, want a conflict", err)
	}
	end <- nil
	if k, text := final(first.ID); k.State != jobs.KeptDone || text != "a draft" {
		t.Errorf("the question ended %s with %q, want done with a draft", k.State, text)
	}
	// The answer is written before the place is free.
	second, err := submit()
	for fault.KindOf(err) == fault.Conflict {
		second, err = submit()
	}
	if err != nil {
		t.Fatal(err)
	}
	<-begun
	end <- fault.Errorf(fault.Denied, "no entrance")
	if k, _ := final(second.ID); k.State != jobs.KeptFailed || fault.KindOf(k.Err) != fault.Denied {
		t.Errorf("the question ended %s, %v, want failed", k.State, k.Err)
	}
	if k, text := state(first.ID); k.State != jobs.KeptDone || text != "a draft" {
		t.Errorf("the first answer is %q (%s) by now", text, k.State)
	}
	for _, id := range []string{uuid.NewString(), "x", ""} {
		if _, err := client.Kept(t.Context(), "draft", id, nil); fault.KindOf(err) != fault.NotFound {
			t.Errorf("Kept(%q) = %v, want not found", id, err)
		}
	}
}

// TestAKeptQuestionHasAnOutcomeWithoutAWorker checks a question that no worker takes, and one with a worker that dies.
func TestAKeptQuestionHasAnOutcomeWithoutAWorker(t *testing.T) {
	t.Parallel()
	rdb := redistest.Start(t)
	client := jobs.NewClient(rdb, status.New(rdb, status.Config{}))
	for _, want := range []jobs.KeptState{jobs.KeptQueued, jobs.KeptRunning} {
		k, err := client.Submit(t.Context(), jobs.Submission{Topic: "draft", Ask: 1, Within: time.Minute, Keep: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		if want == jobs.KeptRunning { // A worker takes the question, and is not heard of again.
			rdb.Del(t.Context(), "rollcall:{ask:"+k.ID+"}:question")
		}
		if got, err := client.Kept(t.Context(), "draft", k.ID, nil); err != nil || got.State != want {
			t.Errorf("Kept() = %s, %v, want %s", got.State, err, want)
		}
		const open = "rollcall:{ask:draft}:open"
		if left := rdb.TTL(t.Context(), open).Val(); left <= 0 || left > 2*time.Minute {
			t.Errorf("the question is open for %s without a sign of life", left)
		}
		rdb.Del(t.Context(), open) // It expires.
		got, err := client.Kept(t.Context(), "draft", k.ID, nil)
		if err != nil || got.State != jobs.KeptFailed || !strings.Contains(got.Err.Error(), "its worker died") {
			t.Errorf("Kept() = %+v, %v, want that it has failed", got, err)
		}
	}
}
