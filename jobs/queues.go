package jobs

import (
	"context"
	"slices"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"rollcall/internal/metrics"
	"rollcall/internal/redisfault"
)

// Queues returns a function that reads the sizes of the queues. A queue that never had a task is empty.
func Queues(rdb redis.UniversalClient) func(context.Context) ([]metrics.Queue, error) {
	inspector := asynq.NewInspectorFromRedisClient(rdb)
	return func(context.Context) ([]metrics.Queue, error) {
		known, err := inspector.Queues()
		if err != nil {
			return nil, redisfault.Of("queues", err)
		}
		var out []metrics.Queue
		for _, name := range []string{FullQueue, ObjectQueue} {
			info := &asynq.QueueInfo{}
			if slices.Contains(known, name) {
				if info, err = inspector.GetQueueInfo(name); err != nil {
					return nil, redisfault.Of("queue "+name, err)
				}
			}
			out = append(out, metrics.Queue{Name: name, Latency: info.Latency, Tasks: map[string]int{
				"pending": info.Pending, "active": info.Active, "scheduled": info.Scheduled, "retry": info.Retry,
				"archived": info.Archived,
			}})
		}
		return out, nil
	}
}
