package jobs_test

import (
	"context"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/status"
)

var updateStored = flag.Bool("update-stored", false,
	"write testdata/stored.json anew; only for a new format of the data")

// storedFile has the data of format 1: a run that completed, a run that waits, and an object job that waits.
const storedFile = "testdata/stored.json"

// dumped is what a key holds, as the DUMP command returns it.
type dumped map[string][]byte

// dump reads all keys of a Redis.
func dump(ctx context.Context, t *testing.T, rdb redis.UniversalClient) dumped {
	t.Helper()
	out := dumped{}
	for _, key := range rdb.Keys(ctx, "*").Val() {
		value, err := rdb.Dump(ctx, key).Bytes()
		if err != nil {
			t.Fatal(err)
		}
		out[key] = value
	}
	return out
}

// writeStored makes the data.
func writeStored(t *testing.T) {
	t.Helper()
	s := newSite(t)
	s.synced()
	s.accepted("u020")
	s.start(google)
	text, err := json.MarshalIndent(dump(t.Context(), t, s.rdb), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(storedFile, append(text, '\n'), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Data that an earlier build stored is read as it was meant, and a run and a job that wait are executed.
func TestStoredDataOfAnEarlierBuild(t *testing.T) {
	t.Parallel()
	if *updateStored {
		writeStored(t)
	}
	text, err := os.ReadFile(storedFile)
	if err != nil {
		t.Fatal(err)
	}
	var data dumped
	if err := json.Unmarshal(text, &data); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	var job string
	for key, value := range data {
		if err := s.rdb.Restore(t.Context(), key, 0, string(value)).Err(); err != nil {
			t.Fatalf("restore %s: %v", key, err)
		}
		if id, is := strings.CutPrefix(key, "rollcall:{google_workspace:1}:job:"); is {
			job = id
		}
	}
	runs, _, err := s.status.List(t.Context(), google, 0, 10)
	if err != nil || len(runs) != 2 || runs[0].State != status.Queued || runs[1].State != status.Completed {
		t.Fatalf("List() = %+v, %v, want a run that waits and one that completed", runs, err)
	}
	old := runs[1]
	if done, expected := old.Done(); done != 20 || expected != 20 || old.Worker != "w0" || old.Trigger.By != "tester" {
		t.Errorf("the completed run is %+v, want 20 changes by w0", old)
	}
	if messages, _, err := s.status.Messages(t.Context(), google, old.ID, "", 10); err != nil || len(messages) == 0 {
		t.Errorf("Messages() = %v, %v, want those of the run", messages, err)
	}
	if _, err := s.status.Plan(t.Context(), google, old.ID); err != nil {
		t.Errorf("Plan() = %v, want the plan of the run", err)
	}
	s.worker("w1")
	s.until(google, runs[0].ID, status.Completed)
	if got := s.outcome(job); got.ObjectID != "u020" || got.Outcome == "" {
		t.Errorf("the job is %+v, want it with an outcome", got)
	}
}

const formatKey = "rollcall:{workers}:format"

// Only a live worker raises the format of the data, and none lowers it.
func TestAWorkerRaisesTheFormat(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		st := status.New(rdb, status.Config{})
		for _, found := range []int{0, 1, status.Format, status.Format + 1} {
			var err error
			if found > 0 {
				err = rdb.Set(t.Context(), formatKey, found, 0).Err()
			}
			if err == nil {
				_, err = st.Workers(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := rdb.Get(t.Context(), formatKey).Int(); got != found {
				t.Errorf("the format is %d after a look, want %d", got, found)
			}
			if _, err := st.Beat(t.Context(), "w1"); err != nil {
				t.Fatal(err)
			}
			if got, err := rdb.Get(t.Context(), formatKey).Int(); err != nil || got != max(found, status.Format) {
				t.Errorf("the format is %d, %v after a beat, want %d", got, err, max(found, status.Format))
			}
		}
	})
}

// A build refuses data of a newer format.
func TestDataOfANewerFormatIsRefused(t *testing.T) {
	t.Parallel()
	redistest.Each(t, func(t *testing.T, rdb *redis.Client) {
		st := status.New(rdb, status.Config{})
		for range 2 {
			if err := st.CheckFormat(t.Context()); err != nil {
				t.Errorf("CheckFormat() = %v, want nil", err)
			}
		}
		if err := rdb.Set(t.Context(), formatKey, status.Format+1, 0).Err(); err != nil {
			t.Fatal(err)
		}
		if err := st.CheckFormat(t.Context()); err == nil || !strings.Contains(err.Error(), "run the newer build") {
			t.Errorf("CheckFormat() = %v, want the data refused", err)
		}
	})
}
