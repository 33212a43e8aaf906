package status_test

import (
	"encoding/json"
	"testing"

	"github.com/redis/go-redis/v9"

	"rollcall/internal/redistest"
	"rollcall/internal/stored"
	"rollcall/status"
)

// FuzzStored has another program write the record, a message and the plan of a run. What is read of them can be shown,
// and a page of a plan has at most the rows that were asked for.
func FuzzStored(f *testing.F) {
	const head = `{"run_id":"r","digest":"d","sections":[{"name":"change","total":2,"kept":2}]}`
	for _, rows := range []string{`[{"row":"change"},{"row":"note"}]`, `[]`, `{}`, `[1,null]`} {
		chunk, err := stored.PackText([]byte(rows))
		if err != nil {
			f.Fatal(err)
		}
		f.Add("state", "running", head, chunk)
		f.Add("created_at", "9223372036854775807", `{"sections":[{"kept":9223372036854775807},{"kept":-5}]}`, chunk)
	}
	f.Add("done:user", "-1e400", `{"sections":[{"kept":1000000}]}`, []byte("\x03"))
	f.Add("timestamp", "99999999999999999", `null`, []byte{})
	f.Add("takes", "9223372036854775807", `{"at":"x"}`, []byte{})
	rdb := redistest.Mini(f)
	f.Fuzz(func(t *testing.T, field, value, head string, chunk []byte) {
		ctx := t.Context()
		rdb.FlushDB(ctx)
		x := open(t, rdb, status.Config{})
		run := x.start()
		key := stored.Prefix(string(corp)) + "run:" + run.ID
		rdb.HSet(ctx, key, field, value)
		rdb.HSet(ctx, key+":plan", "head", head, "earlier", value, "c0", chunk)
		rdb.XAdd(ctx, &redis.XAddArgs{Stream: key + ":log", Values: []string{field, value}})
		if again, err := x.Get(ctx, corp, run.ID); err == nil {
			if _, err := json.Marshal(again); err != nil {
				t.Errorf("a run with %s = %q cannot be shown: %v", field, value, err)
			}
		}
		_, _, _ = x.List(ctx, corp, 0, 10)
		if said, _, err := x.Messages(ctx, corp, run.ID, "", 10); err == nil {
			if _, err := json.Marshal(said); err != nil {
				t.Errorf("a message with %s = %q cannot be shown: %v", field, value, err)
			}
		}
		h, err := x.Plan(ctx, corp, run.ID)
		if err != nil {
			return
		}
		const most = 3
		for from := range 2 {
			if rows, err := x.PlanRows(ctx, h, from, most); err == nil && len(rows) > most {
				t.Errorf("PlanRows(%d, %d) = %d rows", from, most, len(rows))
			}
		}
	})
}
