package ledger

import (
	"bytes"
	"compress/flate"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/plan"
	"rollcall/provider"
)

// cacheLife is how long a blob stays without being replaced. Blobs hold Graph's delta tokens, which live a week.
const cacheLife = 14 * 24 * time.Hour

// partLife is how long the parts of a blob stay when its head does not refer to them. That concerns the parts of a
// writer that died, and of a blob that was replaced during a read.
const partLife = 10 * time.Minute

// RedisCache is a provider.Cache on Redis, which is safe for concurrent use. A blob is compressed and split into parts
// of a megabyte, so that no command blocks Redis for long:
//
//	rollcall:{microsoft_entra:1}:cache:users         head: "<version> <parts> <bytes>"
//	rollcall:{microsoft_entra:1}:cache:users:<v>:0   part
//
// The parts of a version are written before the head refers to it. The parts of the previous version expire later.
type RedisCache struct {
	rdb    redis.UniversalClient
	prefix string
}

var _ provider.Cache = (*RedisCache)(nil)

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

// Load implements provider.Cache. A blob with a missing part counts as none.
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

// Save implements provider.Cache.
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

// head is the first line of a packed group. The members follow, one per line. Large groups are compressed; 50,000
// Entra ids are 1.8 MB as text and half of that packed.
type head struct {
	Witness  string    `json:"witness"`
	VerifyBy time.Time `json:"verify_by"`
	Members  int       `json:"members"`
	Packed   int       `json:"packed,omitempty"` // bytes when unpacked; zero where the members are plain
}

const minPacked = 512

var deflaters = sync.Pool{New: func() any {
	w, err := flate.NewWriter(nil, flate.BestSpeed)
	if err != nil { // Not with this level.
		panic(err)
	}
	return w
}}

var inflaters = sync.Pool{New: func() any { return flate.NewReader(nil) }}

// mostRatio is how many bytes one byte of DEFLATE can stand for.
const mostRatio = 1032

func inflate(packed string, size int) (string, error) {
	if size/mostRatio > len(packed) {
		return "", fmt.Errorf("%d bytes do not unpack to %d", len(packed), size)
	}
	r := inflaters.Get().(io.ReadCloser)
	defer inflaters.Put(r)
	if err := r.(flate.Resetter).Reset(strings.NewReader(packed), nil); err != nil {
		return "", err
	}
	list := make([]byte, size)
	_, err := io.ReadFull(r, list)
	return string(list), err
}

func pack(c plan.Confirmed) ([]byte, error) {
	for _, m := range c.Members {
		if strings.ContainsRune(m, '\n') {
			return nil, fmt.Errorf("member %q has a line break", m)
		}
	}
	h := head{Witness: c.Witness, VerifyBy: c.VerifyBy, Members: len(c.Members)}
	list := strings.Join(c.Members, "\n")
	if len(list) >= minPacked {
		h.Packed = len(list)
	}
	line, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(append(line, '\n'))
	if h.Packed == 0 {
		b.WriteString(list)
		return b.Bytes(), nil
	}
	w := deflaters.Get().(*flate.Writer)
	defer deflaters.Put(w)
	w.Reset(b)
	if _, err := io.WriteString(w, list); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// unpack reads the output of pack. The members share one string, so that ten thousand groups need ten thousand
// allocations and not one per membership.
func unpack(text string) (plan.Confirmed, error) {
	line, list, ok := strings.Cut(text, "\n")
	if !ok {
		return plan.Confirmed{}, errors.New("the first line is missing")
	}
	var h head
	if err := json.Unmarshal([]byte(line), &h); err != nil {
		return plan.Confirmed{}, err
	}
	if h.Packed > 0 {
		var err error
		if list, err = inflate(list, h.Packed); err != nil {
			return plan.Confirmed{}, err
		}
	}
	c := plan.Confirmed{Witness: h.Witness, VerifyBy: h.VerifyBy}
	if h.Members > 0 {
		c.Members = strings.Split(list, "\n")
	}
	if len(c.Members) != h.Members {
		return plan.Confirmed{}, fmt.Errorf("%d members, want %d", len(c.Members), h.Members)
	}
	return c, nil
}
