package decisions

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"rollcall/container"
	"rollcall/fault"
	"rollcall/internal/stored"
)

const (
	// mostWhole is the size of the largest held set that is only stored as a whole, because that is read as fast.
	mostWhole = 5000
	// heldChunk is the number of changes that are stored together.
	heldChunk = 500
	// chunksAtOnce is the number of chunks whose lines one command reads, and chunkReaders that of concurrent commands.
	chunksAtOnce, chunkReaders = 50, 4
)

// HeldIndex is a held set of which parts can be read. Its changes are in the order of its sections, and of their ids. A
// large set is stored so beside the whole set, which can take seconds to read. A hash has the sections, and for each
// chunk the changes and, for searching, a line of text for each of them.
type HeldIndex struct {
	HeldSet                // without its changes
	Sections []HeldSection `json:"sections"`
	// Firsts are the ids of the first changes of the chunks.
	Firsts []string `json:"firsts,omitempty"`
	// Nonce is in the names of the parts, so that none is taken for a part that was written at another time.
	Nonce string `json:"nonce,omitempty"`

	store     *Store
	container container.ID
	keys      []Key
	text      string       // as it is stored
	rows      []HeldChange // of a set that is not stored in chunks
}

// HeldSection is a sequence of changes with the same guard, action and kind.
type HeldSection struct {
	Guard  string `json:"guard"`
	Op     string `json:"op"`
	Kind   string `json:"kind"`
	Reason string `json:"reason"` // of the first change
	Count  int    `json:"count"`
}

// HeldLine is what a search looks at: the fingerprint of a change, and its id and names in lower case.
type HeldLine struct {
	Fingerprint, Names string
	folded             bool // the id is another one than in Names
}

// ErrReplaced says that another set was stored while parts of one were read.
var ErrReplaced = errors.New("a newer run has held other changes")

// Write identifies the write that stored the set: another one of the same changes may hold them for other reasons.
func (x *HeldIndex) Write() string { return x.RunID + " " + x.At.UTC().Format(time.RFC3339Nano) }

func heldPartsKey(c container.ID) string { return prefix(c) + "held:parts" }

// sectioned returns the order of changes by section, and the sections.
func sectioned(changes []HeldChange) (order []int, sections []HeldSection) {
	order = make([]int, len(changes))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := &changes[i], &changes[j]
		return cmp.Or(cmp.Compare(a.Guard, b.Guard), cmp.Compare(a.Op, b.Op), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.ID, b.ID))
	})
	for _, i := range order {
		h, n := &changes[i], len(sections)-1
		if n < 0 || sections[n].Guard != h.Guard || sections[n].Op != h.Op || sections[n].Kind != h.Kind {
			sections, n = append(sections, HeldSection{h.Guard, h.Op, h.Kind, h.Reason, 0}), n+1
		}
		sections[n].Count++
	}
	return order, sections
}

// IndexHeld returns the index of a whole set.
func IndexHeld(set HeldSet) HeldIndex {
	x := HeldIndex{HeldSet: set, rows: make([]HeldChange, len(set.Changes))}
	order, sections := sectioned(set.Changes)
	for at, i := range order {
		x.rows[at] = set.Changes[i]
	}
	x.Changes, x.Sections = nil, sections
	return x
}

// lineOf returns the line of a change.
func lineOf(h *HeldChange) string {
	names := strings.ToLower(strings.Join([]string{h.ID, h.Label, h.Address, h.MemberLabel, h.Member}, "\x00"))
	folded := map[bool]string{true: "folded"}[foldID(h.ID) != h.ID]
	return strings.ReplaceAll(h.Fingerprint+"\x00"+folded+"\x00"+names, "\n", " ")
}

// foldID returns an id as it is in a line. Several ids can be the same there.
func foldID(id string) string {
	id, _, _ = strings.Cut(strings.ToLower(id), "\x00")
	return strings.ReplaceAll(id, "\n", " ")
}

func splitLine(line string) HeldLine {
	print, rest, _ := strings.Cut(line, "\x00")
	folded, names, _ := strings.Cut(rest, "\x00")
	return HeldLine{print, names, folded != ""}
}

// setParts stores the chunks of a large set under a name that is not read yet, and that no other worker writes. The
// name is empty for a small set.
func (s *Store) setParts(ctx context.Context, c container.ID, keys []Key, set HeldSet) (name string, err error) {
	if len(set.Changes) <= mostWhole {
		return "", nil
	}
	order, sections := sectioned(set.Changes)
	head := HeldIndex{HeldSet: set, Sections: sections, Nonce: rand.Text()}
	head.Changes, name = nil, heldPartsKey(c)+":"+head.Nonce
	put := func(field string, data []byte, err error) error {
		if err != nil {
			return fault.New(fault.Internal, "set held", err)
		}
		if len(keys) > 0 {
			data = signed(keys[0], c, head.partName(field), data)
		}
		_, err = s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.HSet(ctx, name, field, data)
			p.PExpire(ctx, name, time.Hour) // for a worker that dies
			return nil
		})
		return redisFault("set held", err)
	}
	for n := 0; n*heldChunk < len(order); n++ {
		var rows []HeldChange
		var lines strings.Builder
		for _, i := range order[n*heldChunk : min((n+1)*heldChunk, len(order))] {
			rows = append(rows, set.Changes[i])
			lines.WriteString(lineOf(&set.Changes[i]) + "\n")
		}
		head.Firsts = append(head.Firsts, rows[0].ID)
		data, err := stored.Pack(rows)
		if err := put(fmt.Sprint("rows", n), data, err); err != nil {
			return "", err
		}
		if err := put(fmt.Sprint("lines", n), []byte(lines.String()), nil); err != nil {
			return "", err
		}
	}
	data, err := stored.Pack(head)
	return name, put("head", data, err)
}

// partName is what the signature of a part names, so that none is taken for another part, for one of another head, or
// for a whole set.
func (x *HeldIndex) partName(field string) string {
	if field == "head" {
		return "part head of " + x.Digest
	}
	return "part " + field + " of " + x.Digest + " " + x.Nonce
}

// HeldIndex returns the index of the newest held set of a container. The whole set is read where it is small, of an
// earlier build, or not stored in trusted parts.
func (s *Store) HeldIndex(ctx context.Context, c container.ID) (HeldIndex, error) {
	var current, head *redis.StringCmd
	_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // The commands have their errors.
		current, head = p.Get(ctx, prefix(c)+"held"), p.HGet(ctx, heldPartsKey(c), "head")
		return nil
	})
	for _, cmd := range []*redis.StringCmd{current, head} {
		if err := cmd.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return HeldIndex{}, redisFault("held", err)
		}
	}
	keys, err := s.keys()
	if err != nil {
		return HeldIndex{}, err
	}
	x := HeldIndex{store: s, container: c, keys: keys, text: head.Val()}
	x.Digest = current.Val()
	if data, err := x.open("head", head.Val()); err == nil && head.Val() != "" {
		if stored.Unpack(data, &x, maxHeld) == nil && x.Digest == current.Val() && x.Nonce != "" {
			return x, nil
		}
	}
	return s.whole(ctx, c, current.Val())
}

// whole returns the index of a set that is read as a whole. Requests at the same time share it, because it can be
// large.
func (s *Store) whole(ctx context.Context, c container.ID, digest string) (HeldIndex, error) {
	read := s.wholes.DoChan(string(c)+" "+digest, func() (any, error) {
		set, err := s.Held(context.WithoutCancel(ctx), c) // The other requests wait for it, too.
		return IndexHeld(set), err
	})
	select {
	case <-ctx.Done():
		return HeldIndex{}, ctx.Err()
	case got := <-read:
		x, _ := got.Val.(HeldIndex)
		return x, got.Err
	}
}

// open returns what is stored as a part.
func (x *HeldIndex) open(field, data string) ([]byte, error) {
	text, had, err := unsigned(x.keys, x.container, x.partName(field), []byte(data))
	if len(x.keys) > 0 && (err != nil || !had) {
		return nil, fault.Errorf(fault.Conflict, "the held changes of %s are not signed, or another program changed them; "+
			"`rollcall sync %s` stores them anew", x.container, x.container)
	}
	return text, nil
}

// parts returns stored parts by their fields. The error is ErrReplaced if the set is no longer the newest one.
func (x *HeldIndex) parts(ctx context.Context, fields []string) ([][]byte, error) {
	found, err := x.store.rdb.HMGet(ctx, heldPartsKey(x.container), append(fields, "head")...).Result()
	if err != nil {
		return nil, redisFault("held", err)
	}
	if found[len(fields)] != x.text {
		return nil, fault.Errorf(fault.Conflict, "%w: load the page again", ErrReplaced)
	}
	out := make([][]byte, len(fields))
	for i, field := range fields {
		text, _ := found[i].(string)
		if out[i], err = x.open(field, text); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Rows returns the changes at these places, which are in ascending order.
func (x *HeldIndex) Rows(ctx context.Context, places []int) ([]HeldChange, error) {
	out := make([]HeldChange, 0, len(places))
	rows, chunk := x.rows, 0
	for _, at := range places {
		if n := at / heldChunk; x.text != "" && (rows == nil || n != chunk) {
			parts, err := x.parts(ctx, []string{fmt.Sprint("rows", n)})
			if err != nil {
				return nil, err
			}
			rows, chunk = nil, n
			if err := stored.Unpack(parts[0], &rows, maxHeld); err != nil {
				return nil, fault.New(fault.Internal, "held", err)
			}
		}
		if x.text != "" {
			at %= heldChunk
		}
		if at >= len(rows) {
			return nil, fault.Errorf(fault.Internal, "held: the set %s has too few changes", x.Digest)
		}
		out = append(out, rows[at])
	}
	return out, nil
}

// chunks calls visit with the lines of chunks, which begin with the change at a place. It reads several at once, and
// visit may be called concurrently.
func (x *HeldIndex) chunks(ctx context.Context, numbers []int, visit func(at int, lines string)) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(chunkReaders)
	for some := range slices.Chunk(numbers, chunksAtOnce) {
		g.Go(func() error {
			fields := make([]string, len(some))
			for i, n := range some {
				fields[i] = fmt.Sprint("lines", n)
			}
			parts, err := x.parts(ctx, fields)
			for i, part := range parts {
				if ctx.Err() != nil {
					break
				}
				visit(some[i]*heldChunk, string(part))
			}
			return cmp.Or(err, ctx.Err())
		})
	}
	return g.Wait()
}

// Find returns the places of the changes that match. Chunks without the text are left out. An empty text is in all.
// Matches may be called concurrently.
func (x *HeldIndex) Find(ctx context.Context, text string, matches func(HeldLine) bool) (places []int, err error) {
	for at := range x.rows {
		if at%heldChunk == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if matches(splitLine(lineOf(&x.rows[at]))) {
			places = append(places, at)
		}
	}
	numbers := make([]int, len(x.Firsts))
	for n := range numbers {
		numbers[n] = n
	}
	var mu sync.Mutex
	err = x.chunks(ctx, numbers, func(at int, lines string) {
		if !strings.Contains(lines, text) {
			return
		}
		var here []int
		for line := range strings.Lines(lines) {
			if matches(splitLine(strings.TrimSuffix(line, "\n"))) {
				here = append(here, at)
			}
			at++
		}
		mu.Lock()
		defer mu.Unlock()
		places = append(places, here...)
	})
	slices.Sort(places)
	return places, err
}

// Holds returns which of these entries wait for an action.
func (x *HeldIndex) Holds(ctx context.Context, op, kind string, ids []string) (map[string]bool, error) {
	out, chunks := map[string]bool{}, map[int]bool{}
	var spans [][2]int
	from := 0
	for _, s := range x.Sections {
		if s.Op == op && s.Kind == kind {
			spans = append(spans, [2]int{from, from + s.Count})
		}
		from += s.Count
	}
	waits := func(at int) bool {
		return slices.ContainsFunc(spans, func(span [2]int) bool { return at >= span[0] && at < span[1] })
	}
	wanted, folded := map[string]bool{}, map[string]bool{}
	for _, id := range ids {
		wanted[id], folded[foldID(id)] = true, true
	}
	for at := range x.rows {
		if waits(at) && wanted[x.rows[at].ID] {
			out[x.rows[at].ID] = true
		}
	}
	for _, span := range spans {
		first, last := span[0]/heldChunk, (span[1]-1)/heldChunk
		for _, id := range ids { // The first chunk may begin with another section.
			if x.text != "" {
				n, is := slices.BinarySearch(x.Firsts[first+1:last+1], id)
				chunks[first+n+map[bool]int{true: 1}[is]] = true
			}
		}
	}
	var mu sync.Mutex
	var unsure []int // Only the row has the id.
	err := x.chunks(ctx, slices.Sorted(maps.Keys(chunks)), func(at int, lines string) {
		mu.Lock()
		defer mu.Unlock()
		for line := range strings.Lines(lines) {
			l := splitLine(line)
			switch name, _, _ := strings.Cut(l.Names, "\x00"); {
			case !folded[name] || !waits(at):
			case l.folded:
				unsure = append(unsure, at)
			case wanted[name]:
				out[name] = true
			}
			at++
		}
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(unsure)
	rows, err := x.Rows(ctx, unsure)
	for i := range rows {
		if wanted[rows[i].ID] {
			out[rows[i].ID] = true
		}
	}
	return out, err
}
