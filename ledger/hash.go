package ledger

import (
	"context"

	"github.com/redis/go-redis/v9"

	"rollcall/fault"
	"rollcall/internal/redisfault"
)

// scan visits every field of a hash, some of them perhaps twice. It reads in pages, so that Redis is never blocked
// for long.
func (r *Redis) scan(ctx context.Context, key string, count int64, visit func(field, value string) error) error {
	for cursor := uint64(0); ; {
		page, next, err := r.rdb.HScan(ctx, key, cursor, "", count).Result()
		if err != nil {
			return redisFault("scan "+key, err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			if err := visit(page[i], page[i+1]); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// writer gathers fields of a hash and writes them a megabyte at a time.
type writer struct {
	rdb   redis.UniversalClient
	key   string
	args  []any
	bytes int
}

func (r *Redis) writer(key string) *writer { return &writer{rdb: r.rdb, key: key} }

func (w *writer) set(ctx context.Context, field string, value []byte) error {
	w.args = append(w.args, field, value)
	w.bytes += len(field) + len(value)
	if w.bytes < bytesAtOnce && len(w.args) < 2*linksAtOnce {
		return nil
	}
	return w.flush(ctx)
}

func (w *writer) flush(ctx context.Context) error {
	if len(w.args) == 0 {
		return nil
	}
	err := w.rdb.HSet(ctx, w.key, w.args...).Err()
	w.args, w.bytes = w.args[:0], 0
	return redisFault("write "+w.key, err)
}

func redisFault(op string, err error) error { return redisfault.Of("ledger: "+op, err) }

// corrupt reports a value that the ledger cannot have written.
func corrupt(what, name string, err error) error {
	return fault.Errorf(fault.Internal, "ledger: %s %s: %w", what, name, err)
}
