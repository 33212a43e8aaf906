package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"rollcall/directory"
)

// The index has two parts. The first is a sorted set of which all members have the score zero, so that Redis keeps them
// in byte order. A member is a letter, a key, a zero byte and an id. A range of the set answers what has a name, and
// what has a name that begins with a text.
//
//	u <login name or mail of a user> 0 <id>
//	g <name or mail of a group> 0 <id>
//	s <display name or family name of a user, without accents> 0 <id>
//	                                      only for searching, because it tells no user from another
//	V <id of a user> 0 <id of a group that contained the user once> <the day on which it left>
//	H <id of a group> 0                   the same for groups
//
// The second part is what is only looked up as a whole; see bucket.go.
//
//	u <DN of a user>
//	g <DN of a group>
//	u, g <a name with which another name of the entry begins, but no DN>  a search for it finds the other one
//	n <employee number of a user>
//	U <id of a user> <id of a group that contains the user>
//	G <id of a group> <id of a group that contains the group>
const (
	tagUser, tagGroup       = 'u', 'g'
	tagNumber, tagShown     = 'n', 's'
	tagInGroup, tagNested   = 'U', 'G'
	tagWasIn, tagWasNested  = 'V', 'H'
	wordNumber, wordDisplay = "number", "shown"
)

// names returns the names of an entry that lead to it, sorted and unique. Each is in lower case, after a word for the
// part of the index that has it.
func names(e *directory.Entry) []string {
	var out []string
	add := func(word string, values ...string) {
		for _, v := range values {
			if v = nameField(word, v); v != "" {
				out = append(out, v)
			}
		}
	}
	kind := e.Kind.String()
	add(kind, e.DN)
	add(kind, e.Attributes.Values(directory.Mail)...)
	if e.Kind == directory.User {
		add(kind, e.Attributes.Get(directory.UserName))
		add(wordNumber, e.Attributes.Values(directory.EmployeeNumber)...)
		shown := plain(shownName(e))
		add(wordDisplay, shown)
		if family := plain(e.Attributes.Get(directory.FamilyName)); !strings.HasPrefix(shown, family) {
			add(wordDisplay, family)
		}
	} else {
		add(kind, e.Attributes.Get(directory.CommonName), e.Attributes.Get(directory.DisplayName))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// nameField returns a name as names has it, or "" for a text that is no name.
func nameField(word, name string) string {
	if name = fold(name); name == "" {
		return ""
	}
	return word + "/" + name
}

func fold(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if strings.Contains(name, "\x00") {
		return ""
	}
	return name
}

var nameTags = map[string]byte{
	directory.User.String(): tagUser, directory.Group.String(): tagGroup, wordNumber: tagNumber, wordDisplay: tagShown,
}

// cutName returns the letter of a name, and the name as the index has it.
func cutName(field string) (tag byte, name string) {
	word, name, _ := strings.Cut(field, "/")
	if word == wordDisplay {
		name = plain(name) // Tombstones of earlier versions have accents.
	}
	return nameTags[word], name
}

// nameKey returns the beginning of the members of a name in the sorted set.
func nameKey(field string) string {
	tag, name := cutName(field)
	return string(tag) + name + "\x00"
}

// indexNames returns the index members of an entry's names, which are all of its names, sorted.
func indexNames(fields []string, id directory.ID) []string {
	out := make([]string, len(fields))
	packed := packID(id)
	for i, f := range fields {
		tag, name := cutName(f)
		// A name that another one begins with is before the first of those. A DN is not found by its beginning.
		begins := tag != tagShown && i+1 < len(fields) && strings.HasPrefix(fields[i+1], f) &&
			!strings.Contains(fields[i+1], "=")
		if begins || tag == tagNumber || strings.Contains(name, "=") {
			out[i] = bucketKey(tag, name) + packed
		} else {
			out[i] = nameKey(f) + packed
		}
	}
	return out
}

// memberKey returns the beginning of the index members that name the groups which contain an entry, or contained it.
func memberKey(ref directory.Ref, former bool) string {
	in, was := byte(tagInGroup), tagWasIn
	if ref.Kind == directory.Group {
		in, was = tagNested, tagWasNested
	}
	if former {
		return string(was) + packID(ref.ID) + "\x00"
	}
	return bucketKey(in, packID(ref.ID))
}

// indexMembers returns the index members of a group's members.
func indexMembers(group directory.ID, members []directory.Ref) []string {
	out := make([]string, len(members))
	packed := packID(group)
	for i, m := range members {
		out[i] = memberKey(m, false) + packed
	}
	return out
}

// indexFormer returns the index members of those who left a group.
func indexFormer(group directory.ID, members []directory.Ref, left time.Time) []string {
	out := make([]string, len(members))
	packed := packID(group) + dayOf(left)
	for i, m := range members {
		out[i] = memberKey(m, true) + packed
	}
	return out
}

// dayOf returns a day in four letters, in order until the year 2149.
func dayOf(t time.Time) string { return fmt.Sprintf("%04x", t.Unix()/86_400) }

const dayLen = 4

// packID returns a short form of an id. The text of a UUID is 36 bytes long, and the number is 16.
func packID(id directory.ID) string {
	if len(id) == 36 {
		if u, err := uuid.Parse(string(id)); err == nil && u.String() == string(id) {
			return "\x01" + string(u[:])
		}
	}
	return "\x02" + string(id)
}

func unpackID(packed string) directory.ID {
	if len(packed) == 17 && packed[0] == 1 {
		return directory.ID(uuid.UUID([]byte(packed[1:])).String())
	}
	return directory.ID(strings.TrimPrefix(packed, "\x02"))
}

// prefixRange is the range of members that begin with a text. Zero limit means all of them.
func prefixRange(text string, limit int) *redis.ZRangeBy {
	return &redis.ZRangeBy{Min: "[" + text, Max: "(" + after(text), Count: int64(limit)}
}

// after returns the first text in byte order after all texts with a prefix.
func after(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 && b[len(b)-1] == 0xff {
		b = b[:len(b)-1]
	}
	if len(b) == 0 {
		return "\xff"
	}
	b[len(b)-1]++
	return string(b)
}

// groupsOf returns the groups that contain the entries directly, and those that contained them once.
func (p *Part) groupsOf(ctx context.Context, refs []directory.Ref, former bool) ([][]directory.ID, error) {
	keys := make([]string, len(refs))
	for i, ref := range refs {
		keys[i] = memberKey(ref, former)
	}
	return p.ranges(ctx, keys, former)
}

// keepFormer is how long it is remembered that an entry was a member of a group. A provider whose last full run is
// older finds the remote membership by a full run alone.
const keepFormer = 30 * 24 * time.Hour

// trimFormer forgets memberships that ended long ago.
func (p *Part) trimFormer(ctx context.Context, now time.Time) error {
	first := dayOf(now.Add(-keepFormer))
	for _, tag := range []string{string(rune(tagWasIn)), string(rune(tagWasNested))} {
		span := &redis.ZRangeBy{Min: "[" + tag, Max: "(" + after(tag), Count: tokensAtOnce}
		for {
			page, err := p.rdb.ZRangeByLex(ctx, p.keys.find, span).Result()
			if err != nil {
				return redisFault("trim", err)
			}
			var old []any
			for _, m := range page {
				if m[max(0, len(m)-dayLen):] < first {
					old = append(old, m)
				}
			}
			if len(old) > 0 {
				if err := p.rdb.ZRem(ctx, p.keys.find, old...).Err(); err != nil {
					return redisFault("trim", err)
				}
			}
			if len(page) < tokensAtOnce {
				break
			}
			span.Min = "(" + page[len(page)-1]
		}
	}
	return nil
}

// searchScan is how many fields of a hash one step of a search by the beginning of an id reads.
const searchScan = 2000

// searchTime limits a search by the beginning of an id, for which there is no index.
const searchTime = 100 * time.Millisecond

// Search returns at most limit entries with a name, login name, mail address or id that begins with a text, in any
// letter case. Present entries come before those that left, users before groups, and entries of one kind in the order
// of their labels. A whole id is always found. The beginning of an id is searched for within a time limit, and whole
// is false where that was not enough. Search works while a source is being written.
func (r *Reader) Search(ctx context.Context, prefix string, limit int) (out []Match, whole bool, err error) {
	text := strings.TrimSpace(prefix)
	if prefix = fold(prefix); prefix == "" || limit <= 0 {
		return nil, true, nil
	}
	whole = true
	until := time.Now().Add(searchTime)
	for _, p := range r.parts {
		refs, all, err := p.beginning(ctx, text, prefix, limit, until)
		if err != nil {
			return nil, false, err
		}
		whole = whole && all
		s, err := p.some(ctx, refs)
		if err != nil {
			return nil, false, err
		}
		for _, e := range s.entries {
			m := Match{Ref: e.Ref(), Source: p.slug, Label: e.Label()}
			if name := shownName(&e.Entry); e.Kind == directory.User && name != m.Label {
				m.Name = name
			}
			out = append(out, m)
		}
		for _, d := range s.departed {
			out = append(out, Match{Ref: d.Ref, Source: p.slug, Label: d.Label, Departed: d.Left})
		}
	}
	slices.SortFunc(out, func(a, b Match) int {
		return cmp.Or(a.Departed.Compare(b.Departed), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(strings.ToLower(a.Label), strings.ToLower(b.Label)), a.Compare(b.Ref),
			cmp.Compare(a.Source, b.Source))
	})
	return out[:min(limit, len(out))], whole, nil
}

// beginning returns entries with a name that begins with a text, and the ones that may have it as their id. Beginnings
// of ids are only searched if there are too few, and until a time. The result says whether that was to the end.
func (p *Part) beginning(ctx context.Context, text, prefix string, limit int, until time.Time) (
	refs []directory.Ref, whole bool, err error) {
	g, err := p.indexed(ctx, nil)
	if err != nil {
		return nil, false, err
	}
	found := map[directory.Ref]bool{}
	add := func(ref directory.Ref) {
		if !found[ref] {
			found[ref] = true
			refs = append(refs, ref)
		}
	}
	words := []string{string(rune(tagUser)) + prefix, string(rune(tagGroup)) + prefix}
	if word := plain(prefix); word != "" { // Accents alone are no word.
		words = append(words, string(rune(tagShown))+word)
	}
	for _, word := range words {
		kind := directory.User
		if word[0] == tagGroup {
			kind = directory.Group
		}
		members, err := p.rdb.ZRangeByLex(ctx, p.keys.find, prefixRange(word, 2*limit)).Result()
		if err != nil {
			return nil, false, redisFault("search", err)
		}
		for _, m := range members {
			if _, packed, ok := strings.Cut(m, "\x00"); ok {
				add(directory.Ref{Kind: kind, ID: unpackID(packed)})
			}
		}
	}
	if err := p.stillIndexed(ctx, g, nil); err != nil {
		return nil, false, err
	}
	const shortest = 3 // Every id begins with a letter or two.
	if len(refs) >= limit || len(prefix) < shortest {
		return refs, true, nil
	}
	whole = true
	for _, kind := range directory.Kinds {
		all, err := p.idsBeginning(ctx, kind, prefix, until, func(ref directory.Ref) bool {
			add(ref)
			return len(refs) < limit
		})
		if err != nil {
			return nil, false, err
		}
		whole = whole && all
	}
	for _, kind := range directory.Kinds { // They may not exist, so they come after what is counted.
		add(directory.Ref{Kind: kind, ID: directory.ID(prefix)})
		add(directory.Ref{Kind: kind, ID: directory.ID(text)})
	}
	return refs, whole, nil
}

// idsBeginning visits the entries with an id that begins with a text, until visit returns false. One page is always
// read. The result is not whole if others are left at the given time.
func (p *Part) idsBeginning(ctx context.Context, kind directory.Kind, prefix string, until time.Time,
	visit func(directory.Ref) bool) (whole bool, err error) {
	pattern := kind.String() + "/" + anyCase(prefix) + "*"
	for cursor := uint64(0); ; {
		page, next, err := p.rdb.HScan(ctx, p.keys.digest, cursor, pattern, searchScan).Result()
		if err != nil {
			return false, redisFault("search", err)
		}
		for i := 0; i+1 < len(page); i += 2 {
			if ref, err := refOf(page[i]); err == nil && !visit(ref) {
				return true, nil
			}
		}
		if cursor = next; cursor == 0 || time.Now().After(until) {
			return cursor == 0, nil
		}
	}
}

// anyCase returns a pattern of Redis that matches a text in lower case and its other spellings.
func anyCase(text string) string {
	var b strings.Builder
	for _, c := range text {
		switch {
		case c >= 'a' && c <= 'z':
			b.WriteString("[" + string(c) + strings.ToUpper(string(c)) + "]")
		case strings.ContainsRune(`*?[]\^-`, c):
			b.WriteString(`\` + string(c))
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}
