package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"rollcall/directory"
	"rollcall/fault"
	"rollcall/plan"
	"rollcall/provider"
)

// attempts is how often a write is repeated when the entry was written between our read and our write. Only another
// batch of the same run or an object job can do that.
const attempts = 20

// The errors of a change that gives way to another writer of its entry. The change is planned anew from a new read.
var (
	errNewer = fault.New(fault.Conflict, "local directory",
		fmt.Errorf("%w: it is of a later read of the source", provider.ErrSuperseded))
	errMoved = fault.New(fault.Conflict, "local directory",
		fmt.Errorf("%w after the state was read", provider.ErrSuperseded))
)

// Apply implements provider.Provider. The changes of one entry are carried out together and in order. The entry is
// read, changed in memory, and written if it is still what was read. Begin comes first.
func (p *Part) Apply(ctx context.Context, batch []plan.Change) []provider.Result {
	results := make([]provider.Result, len(batch))
	w, err := p.writer()
	if err != nil {
		fail(results, err)
		return results
	}
	todo := jobs(batch)
	if err := p.turns.Acquire(ctx, 1); err != nil {
		fail(results, redisFault("apply", err))
		return results
	}
	todo = w.attempt(ctx, batch, results, todo)
	p.turns.Release(1)
	if len(todo) == 0 {
		return results
	}
	// A batch that lost the race goes alone, so that batches side by side cannot starve each other.
	if err := p.turns.Acquire(ctx, everyTurn); err != nil {
		for _, j := range todo {
			j.fail(results, redisFault("apply", err))
		}
		return results
	}
	defer p.turns.Release(everyTurn)
	for range attempts {
		if len(todo) == 0 {
			return results
		}
		todo = w.attempt(ctx, batch, results, todo)
	}
	for _, j := range todo {
		j.fail(results, errMoved)
	}
	return results
}

func fail(results []provider.Result, err error) {
	for i := range results {
		results[i].Err = err
	}
}

// job is what a batch has to do to one entry.
type job struct {
	ref     directory.Ref
	changes []int // places in the batch

	token string // the entry's token, "" where it is not there
	was   *stored
	grave *tombstone

	args []any // what the script is told
	size int   // about how many bytes they are
}

func (j *job) fail(results []provider.Result, err error) {
	for _, i := range j.changes {
		results[i] = provider.Result{Err: err}
	}
}

// jobs groups the changes by entry, in the order of their first change.
func jobs(batch []plan.Change) []*job {
	byRef := map[directory.Ref]*job{}
	var out []*job
	for i := range batch {
		ref := batch[i].Ref
		j := byRef[ref]
		if j == nil {
			j = &job{ref: ref}
			byRef[ref] = j
			out = append(out, j)
		}
		j.changes = append(j.changes, i)
	}
	return out
}

// writer is a Part as one Apply uses it.
type writer struct {
	*Part
	run    string
	readAt int64
	proved map[directory.Ref]bool
	seen   *glimpse
}

func (p *Part) writer() (*writer, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.readAt == 0 {
		return nil, fault.Errorf(fault.Internal, "local directory: apply before begin")
	}
	return &writer{Part: p, run: p.run, readAt: p.readAt, proved: p.proved, seen: p.seen}, nil
}

// attempt carries out the jobs and returns those to try again because their entries moved.
func (w *writer) attempt(ctx context.Context, batch []plan.Change, results []provider.Result, todo []*job) []*job {
	if err := w.fetch(ctx, batch, todo); err != nil {
		for _, j := range todo {
			j.fail(results, err)
		}
		return nil
	}
	var again, writes []*job
	for _, j := range todo {
		switch ok, err := w.admit(j); {
		case err != nil:
			j.fail(results, err)
		case !ok:
			again = append(again, j)
		case w.compute(j, batch, results):
			writes = append(writes, j)
		}
	}
	for len(writes) > 0 {
		n, moved, err := w.write(ctx, writes)
		if err != nil { // It is the next one's too.
			for _, j := range writes {
				j.fail(results, err)
			}
			break
		}
		again, writes = append(again, moved...), writes[n:]
	}
	return again
}

// fetch reads the entries. The tokens are read first. A token that is older than its entry makes the write fail, and
// the next attempt reads both again.
func (w *writer) fetch(ctx context.Context, batch []plan.Change, todo []*job) error {
	refs := make([]directory.Ref, len(todo))
	for i, j := range todo {
		refs[i] = j.ref
	}
	tokens, err := w.tokens(ctx, refs)
	if err != nil {
		return err
	}
	var there, back []*job
	for i, j := range todo {
		j.token, j.was, j.grave = tokens[i], nil, nil
		if tokens[i] != "" {
			there = append(there, j)
		} else if slices.ContainsFunc(j.changes, func(c int) bool { return batch[c].Op == plan.Create }) {
			back = append(back, j)
		}
	}
	entries, err := w.load(ctx, refsOf(there))
	if err != nil {
		return err
	}
	for i, j := range there {
		j.was = entries[i]
	}
	graves, err := w.tombstones(ctx, refsOf(back))
	if err != nil {
		return err
	}
	for i, j := range back {
		j.grave = graves[i]
	}
	return nil
}

func refsOf(list []*job) []directory.Ref {
	out := make([]directory.Ref, len(list))
	for i, j := range list {
		out[i] = j.ref
	}
	return out
}

// admit says whether the entry may be written. It is false, without an error, where token and entry were not read in
// the same version.
func (w *writer) admit(j *job) (bool, error) {
	if j.token == "" {
		if j.grave != nil && j.grave.ReadAt > w.readAt {
			return false, errNewer
		}
		return true, nil
	}
	t, ok := parseToken(j.token)
	switch {
	case !ok:
		return false, w.unreadable(j.token, j.ref.String())
	case j.was == nil || j.was.digest != t.digest || j.was.readAt != t.readAt:
		return false, nil
	case t.readAt > w.readAt:
		return false, errNewer
	case w.seen != nil && t.seq > w.seen.seq && t.readAt != w.readAt:
		return false, errMoved
	}
	return true, nil
}

// compute carries out the job's changes in memory and reports whether there is something to write.
func (w *writer) compute(j *job, batch []plan.Change, results []provider.Result) bool {
	x := edit{ref: j.ref, source: w.slug, job: w.run == "" && !w.proved[j.ref]}
	if j.was != nil {
		x.entry = &j.was.Entry
	}
	for _, i := range j.changes {
		results[i] = provider.Result{RemoteID: j.ref.String(), Err: x.apply(&batch[i])}
	}
	becomes := x.done()
	if becomes == nil && (j.was == nil || !x.left) {
		return false
	}
	digest := ""
	if becomes != nil {
		digest = becomes.Digest()
		if j.was != nil && j.was.digest == digest && j.was.readAt == w.readAt {
			return false
		}
	}
	var err error
	if j.args, j.size, err = w.encode(j, becomes, digest); err != nil {
		j.fail(results, fault.New(fault.Internal, "local directory: encode "+j.ref.String(), err))
		return false
	}
	return true
}

// A script ends with the entry that reaches one of these. It blocks Redis for some milliseconds, and longer where that
// entry is a large group: every member is in the index.
const (
	writesAtOnce = 200
	bytesAtOnce  = 1 << 20
)

// encode returns the arguments of the script for the job. The entry becomes the given one, or leaves where it is nil.
func (w *writer) encode(j *job, becomes *directory.Entry, digest string) (args []any, size int, err error) {
	var text, groupHead []byte
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
		text = encode(becomes, digest, w.readAt)
		if j.ref.Kind == directory.Group {
			groupHead = encodeHead(becomes, digest, w.readAt)
		}
		if j.was != nil && j.was.digest == digest {
			counts = 0 // Only the time of the read is new.
		}
	}
	args = []any{j.ref.String(), string(j.ref.ID), j.ref.Kind.String(), j.token, head, text, groupHead, counts}
	drop, add := w.moves(j, becomes)
	had, has := indexNames(before, j.ref.ID), indexNames(after, j.ref.ID)
	drop = append(drop, without(had, has)...)
	if becomes == nil || j.was == nil {
		had = nil // All of them, because a builder of the index may see neither the entry nor the tombstone.
	}
	add = append(add, without(has, had)...)
	for _, list := range [][]string{drop, add} {
		args = append(args, len(list))
		for _, member := range list {
			args, size = append(args, member), size+len(member)
		}
	}
	return args, size + len(text), err
}

// moves returns the index members of who leaves the group and who joins it. The group of a former member is noted,
// because its remote group may still have the member. A group that leaves itself has no former members.
func (w *writer) moves(j *job, becomes *directory.Entry) (drop, add []string) {
	var was, is []directory.Ref
	if j.was != nil {
		was = j.was.Members
	}
	if becomes != nil {
		is = becomes.Members
	}
	left, joined := withoutRefs(was, is), withoutRefs(is, was)
	drop, add = indexMembers(j.ref.ID, left), indexMembers(j.ref.ID, joined)
	if becomes != nil {
		add = append(add, indexFormer(j.ref.ID, left, w.now())...)
	}
	return drop, add
}

// withoutRefs returns what of a is not in b. Both are sorted.
func withoutRefs(a, b []directory.Ref) []directory.Ref {
	var out []directory.Ref
	for _, ref := range a {
		for len(b) > 0 && b[0].Compare(ref) < 0 {
			b = b[1:]
		}
		if len(b) == 0 || b[0] != ref {
			out = append(out, ref)
		}
	}
	return out
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
