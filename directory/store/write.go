package store

import (
	"context"
	"encoding/json"
	"slices"

	"rollcall/directory"
)

// The most that one script writes, which blocks Redis for some milliseconds.
const (
	writesAtOnce = 200
	bytesAtOnce  = 1 << 20
)

// encode returns the arguments of the script for the job. The entry becomes the given one, or leaves where it is nil.
func (w *writer) encode(j *job, becomes *directory.Entry, digest string) (args []any, size int, err error) {
	var text []byte
	var before, after []string
	head, counts := "", 1
	if j.was != nil {
		before = names(&j.was.Entry)
	}
	if j.grave != nil {
		before = j.grave.Names
	}
	if becomes == nil {
		after = before // An entry that left is found by the names that it had.
		text, err = json.Marshal(tombstone{
			Left: w.now().UTC(), ReadAt: w.readAt, Label: j.was.Label(), DN: j.was.DN, Names: before,
		})
	} else {
		after = names(becomes)
		head = token{digest: digest, active: becomes.Active, readAt: w.readAt}.head()
		text, err = encode(becomes, digest, w.readAt)
		if j.was != nil && j.was.digest == digest {
			counts = 0 // Only the time of the read is new.
		}
	}
	args = []any{j.ref.String(), string(j.ref.ID), j.ref.Kind.String(), j.token, head, text, counts}
	for _, list := range [][]string{without(before, after), without(after, before)} {
		args = append(args, len(list))
		for _, name := range list {
			args = append(args, name)
		}
	}
	return args, len(text), err
}

// without returns what of a is not in b.
func without(a, b []string) []string {
	var out []string
	for _, v := range a {
		if !slices.Contains(b, v) {
			out = append(out, v)
		}
	}
	return out
}

// write writes the first few jobs with one script. It returns how many it wrote, and those whose entries moved.
func (w *writer) write(ctx context.Context, list []*job) (n int, moved []*job, err error) {
	args, size := []any{w.run, w.readAt, w.birth, 0}, 0
	for n < len(list) && n < writesAtOnce && size < bytesAtOnce {
		args, size, n = append(args, list[n].args...), size+list[n].size, n+1
	}
	args[3] = n
	out, err := writeScript.Run(ctx, w.rdb, w.keys.all(), args...).StringSlice()
	if err != nil {
		return n, nil, redisFault("write", err)
	}
	if out[0] != "ok" {
		return n, nil, w.fenced(w.run, out)
	}
	for i, word := range out[1:] {
		if word == "moved" {
			moved = append(moved, list[i])
		}
	}
	return n, moved, nil
}
