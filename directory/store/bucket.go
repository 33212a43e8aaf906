package store

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"rollcall/directory"
	"rollcall/source"
)

// What is only ever looked up as a whole is no member of the sorted set, where Redis needs 95 bytes besides each. It is
// a field in one of 4096 hashes, the buckets. Redis keeps a hash of at most 512 short fields without pointers, and a
// larger one like any other. A field is a letter, a hash of the rest, and an id:
//
//	<tag> <12 letters> <id>
//
// The tags are those of index.go. A bucket also has the field "!", and a bit in the bitmap of buckets, so that a bucket
// that was lost is not taken for one without fields.
//
// A member of the index that is such a field has the form "\x00" <three digits of the bucket> <field>, in which the
// scripts have it.
const (
	inBucket  = "\x00"
	bucketLen = 3
	bucketTag = "!"
)

// bucketKey returns the beginning of the index members of a text that is looked up as a whole.
func bucketKey(tag byte, text string) string {
	sum := sha256.Sum256(append([]byte{tag}, text...))
	letters := base64.RawURLEncoding.EncodeToString(sum[2:11])
	return inBucket + hex.EncodeToString(sum[:2])[:bucketLen] + string(tag) + letters
}

// cutBucket splits such a beginning into the bucket and the beginning of its fields.
func cutBucket(key string) (bucket, field string, ok bool) {
	rest, ok := strings.CutPrefix(key, inBucket)
	if !ok {
		return "", "", false
	}
	return rest[:bucketLen], rest[bucketLen:], true
}

// wholeNames returns the beginnings of all index members that a name may have.
func wholeNames(field string) []string {
	tag, name := cutName(field)
	key := bucketKey(tag, name)
	if tag == tagNumber || strings.Contains(name, "=") {
		return []string{key}
	}
	return []string{key, nameKey(field)}
}

// found is a lookup of one beginning of index members.
type found struct {
	key     string
	sorted  *redis.StringSliceCmd
	scan    *redis.ScanCmd
	has     *redis.BoolCmd
	bit     *redis.IntCmd
	members []string
}

// queue adds what reads the members.
func (f *found) queue(ctx context.Context, pipe redis.Pipeliner, k keys) {
	bucket, field, ok := cutBucket(f.key)
	if !ok {
		f.sorted = pipe.ZRangeByLex(ctx, k.find, prefixRange(f.key, 0))
		return
	}
	n, _ := strconv.ParseInt(bucket, 16, 64)
	f.bit, f.has = pipe.GetBit(ctx, k.buckets, n), pipe.HExists(ctx, k.bucket(bucket), bucketTag)
	f.scan = pipe.HScan(ctx, k.bucket(bucket), 0, field+"*", searchScan)
}

// lost reports whether the bucket should exist and does not, or the bitmap is lost.
func (f *found) lost() bool { return f.has != nil && f.has.Val() != (f.bit.Val() == 1) }

// read gathers the ends of the members, behind the key. A bucket that Redis does not return at once is read to its end.
func (f *found) read(ctx context.Context, rdb redis.UniversalClient, k keys) error {
	if f.sorted != nil {
		for _, member := range f.sorted.Val() {
			f.members = append(f.members, member[len(f.key):])
		}
		return nil
	}
	bucket, field, _ := cutBucket(f.key)
	for page, cursor := f.scan.Val(); ; {
		for i := 0; i+1 < len(page); i += 2 {
			f.members = append(f.members, page[i][len(field):])
		}
		if cursor == 0 {
			return nil
		}
		var err error
		if page, cursor, err = rdb.HScan(ctx, k.bucket(bucket), cursor, field+"*", searchScan).Result(); err != nil {
			return redisFault("read index", err)
		}
	}
}

// lookUpAtOnce is how many beginnings of index members one round trip reads.
const lookUpAtOnce = 500

// ranges returns the ids after each beginning of index members. A dated member has a day at its end.
func (p *Part) ranges(ctx context.Context, keys []string, dated bool) ([][]directory.ID, error) {
	out := make([][]directory.ID, 0, len(keys))
	for some := range slices.Chunk(keys, lookUpAtOnce) {
		list, err := p.members(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			var ids []directory.ID
			for _, packed := range f.members {
				if dated {
					packed = packed[:max(0, len(packed)-dayLen)]
				}
				ids = append(ids, unpackID(packed))
			}
			slices.Sort(ids)
			out = append(out, slices.Compact(ids)) // Redis may return a field twice.
		}
	}
	return out, nil
}

// members looks up some beginnings of index members. A bucket that was lost makes the next operation build the index.
func (p *Part) members(ctx context.Context, keys []string) ([]found, error) {
	const looks = 2 // The first write of a bucket may come between the commands of one round trip.
	for range looks {
		list := make([]found, len(keys))
		_, err := p.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for i, key := range keys {
				list[i].key = key
				list[i].queue(ctx, pipe, p.keys)
			}
			return nil
		})
		if err != nil {
			return nil, redisFault("read index", err)
		}
		if slices.ContainsFunc(list, func(f found) bool { return f.lost() }) {
			continue
		}
		for i := range list {
			if err := list[i].read(ctx, p.rdb, p.keys); err != nil {
				return nil, err
			}
		}
		return list, nil
	}
	if err := p.rdb.HDel(ctx, p.keys.meta, "find").Err(); err != nil {
		return nil, redisFault("read index", err)
	}
	return nil, notReady(source.ErrBusy, "a part of the index of source %s was lost: try again", p.container())
}
