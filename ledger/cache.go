package ledger

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cache keeps blobs of one container between runs. A blob holds a provider's view of its tenant, so that the tenant
// need not be read again. Losing a blob only makes the next run slow. Save replaces a blob atomically, so Load
// returns either the old blob or the new one. A Cache is safe for concurrent use.
type Cache interface {
	// Load returns a blob, or nil if there is none.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save replaces a blob.
	Save(ctx context.Context, name string, blob []byte) error
}

// cacheLife is how long a blob stays without being replaced. Blobs hold Graph's delta tokens, which live a week.
const cacheLife = 14 * 24 * time.Hour

// partLife is how long the parts of a blob stay when its head does not refer to them. That concerns the parts of a
// writer that died, and of a blob that was replaced during a read.
const partLife = 10 * time.Minute

// RedisCache is a Cache on Redis. A blob is compressed and split into parts of a megabyte, so that no command blocks
// Redis for long:
//
//	rollcall:{microsoft_entra:1}:cache:users         head: "<version> <parts> <bytes>"
//	rollcall:{microsoft_entra:1}:cache:users:<v>:0   part
//
// The parts of a version are written before the head refers to it. The parts of the previous version expire later.
type RedisCache struct {
	rdb    redis.UniversalClient
	prefix string
}

var _ Cache = (*RedisCache)(nil)

// NewRedisCache returns the cache of a container, such as "microsoft_entra:1". It does not connect.
func NewRedisCache(rdb redis.UniversalClient, container string) *RedisCache {
	return &RedisCache{rdb: rdb, prefix: "rollcall:{" + container + "}:cache:"}
}

// cacheHead is the value of a blob's head key.
type cacheHead struct {
	version     string
	parts, size int
}

func (h cacheHead) String() string { return fmt.Sprintf("%s %d %d", h.version, h.parts, h.size) }

func parseCacheHead(text string) (cacheHead, error) {
	f := strings.Fields(text)
	if len(f) != 3 {
		return cacheHead{}, errors.New("want three words")
	}
	parts, err1 := strconv.Atoi(f[1])
	size, err2 := strconv.Atoi(f[2])
	return cacheHead{f[0], parts, size}, errors.Join(err1, err2)
}

func (c *RedisCache) part(name string, h cacheHead, i int) string {
	return c.prefix + name + ":" + h.version + ":" + strconv.Itoa(i)
}

// Load implements Cache. A blob with a missing part counts as none.
func (c *RedisCache) Load(ctx context.Context, name string) ([]byte, error) {
	h, err := c.head(ctx, name)
	if err != nil || h.parts == 0 {
		return nil, err
	}
	var packed bytes.Buffer
	for i := range h.parts {
		part, err := c.rdb.Get(ctx, c.part(name, h, i)).Bytes()
		if errors.Is(err, redis.Nil) {
			return nil, nil // none, and no error
		}
		if err != nil {
			return nil, redisFault("load "+name, err)
		}
		packed.Write(part)
	}
	r := flate.NewReader(&packed)
	blob := make([]byte, h.size)
	if _, err := io.ReadFull(r, blob); err != nil {
		return nil, corrupt("blob", name, err)
	}
	return blob, nil
}

// head returns the head of a blob. It has no parts if there is no blob.
func (c *RedisCache) head(ctx context.Context, name string) (cacheHead, error) {
	text, err := c.rdb.Get(ctx, c.prefix+name).Result()
	switch {
	case errors.Is(err, redis.Nil):
		return cacheHead{}, nil
	case err != nil:
		return cacheHead{}, redisFault("load "+name, err)
	}
	h, err := parseCacheHead(text)
	if err != nil {
		return cacheHead{}, corrupt("blob", name, err)
	}
	return h, nil
}

// Save implements Cache.
func (c *RedisCache) Save(ctx context.Context, name string, blob []byte) error {
	packed, err := deflate(blob)
	if err != nil {
		return corrupt("blob", name, err)
	}
	before, _ := c.head(ctx, name) // Whatever is there is replaced.
	h := cacheHead{version: cacheVersion(), parts: max(1, (len(packed)+bytesAtOnce-1)/bytesAtOnce), size: len(blob)}
	for i := range h.parts {
		part := packed[i*bytesAtOnce : min((i+1)*bytesAtOnce, len(packed))]
		if err := c.rdb.Set(ctx, c.part(name, h, i), part, partLife).Err(); err != nil {
			return redisFault("save "+name, err)
		}
	}
	keep := c.rdb.TxPipeline() // One slot: the keys share a hash tag.
	keep.Set(ctx, c.prefix+name, h.String(), cacheLife)
	for i := range h.parts {
		keep.Expire(ctx, c.part(name, h, i), cacheLife)
	}
	for i := range before.parts {
		keep.Expire(ctx, c.part(name, before, i), partLife)
	}
	_, err = keep.Exec(ctx)
	return redisFault("save "+name, err)
}

func deflate(blob []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(blob); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// cacheVersion returns a new version. It contains the time, for operators, and a random part, for two concurrent
// writers.
func cacheVersion() string {
	id := binary.BigEndian.AppendUint64(nil, uint64(time.Now().UnixNano()))
	chance := make([]byte, 4)
	_, _ = rand.Read(chance)
	return hex.EncodeToString(append(id, chance...))
}
