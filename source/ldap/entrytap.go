package ldap

import (
	"bytes"
	"net"
	"sync"

	"github.com/go-ldap/ldap/v3"
)

// entryTap takes the entries of one search out of what the server sends and decodes them without go-ldap, which makes
// some thirty objects of each value. Everything else goes on to go-ldap as it came: results, references, entries with
// controls, and whatever is not plain enough. TestTappedEntriesAreThoseOfGoLDAP compares the two.
type entryTap struct {
	net.Conn
	buf   []byte // read and not yet given on, from at to end
	at    int
	end   int
	pass  int   // how many bytes of a message are still to be given on
	plain bool  // the rest of the stream is given on as it is
	err   error // of the connection, after the bytes before it
	names map[string]string
	// reused is the entry that is handed over, and attributes are those that it may have.
	reused     ldap.Entry
	attributes []*ldap.EntryAttribute

	// mu is held while each runs.
	mu   sync.Mutex
	each func(*ldap.Entry)
	id   []byte // the message ID of the search; nil before it was sent
}

// The tags of RFC 4511, section 4.
const (
	tagInteger    = 0x02
	tagOctets     = 0x04
	tagSequence   = 0x30
	tagSet        = 0x31
	tagSearch     = 0x63
	tagFoundEntry = 0x64
)

// tapEntries has each called for the entries of the next search that is sent. Each may keep the values of an entry, but
// not the entry.
func (t *entryTap) tapEntries(each func(*ldap.Entry)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.each, t.id = each, nil
}

// untap ends tapEntries. When it returns, each is no longer running.
func (t *entryTap) untap() { t.tapEntries(nil) }

// Write implements net.Conn. It notes the message ID of the search.
func (t *entryTap) Write(p []byte) (int, error) {
	t.mu.Lock()
	if t.each != nil && t.id == nil {
		if body, _, ok := element(p, tagSequence); ok {
			if id, rest, ok := element(body, tagInteger); ok && len(rest) > 0 && rest[0] == tagSearch {
				t.id = bytes.Clone(id)
			}
		}
	}
	t.mu.Unlock()
	return t.Conn.Write(p)
}

// Read implements net.Conn.
func (t *entryTap) Read(p []byte) (int, error) {
	for t.pass == 0 && !t.plain {
		t.next()
	}
	if t.at == t.end {
		if t.err != nil {
			return 0, t.err
		}
		t.fill()
	}
	n := t.end - t.at
	if !t.plain {
		n = min(n, t.pass)
	}
	n = copy(p, t.buf[t.at:t.at+n])
	t.at += n
	if !t.plain {
		t.pass -= n
	}
	if n == 0 && t.err != nil {
		return 0, t.err
	}
	return n, nil
}

// next looks at the next message, and either takes it or has it given on.
func (t *entryTap) next() {
	size, ok := t.messageSize()
	if !ok {
		t.plain = true // The end of the stream, or what is no message: go-ldap says what is wrong.
		return
	}
	const head = 16 // has the length, the message ID and the tag of the operation
	if !t.have(min(size, head)) {
		t.plain = true
		return
	}
	if t.wanted(t.buf[t.at:t.at+min(size, head)]) && t.have(size) && t.take(t.buf[t.at:t.at+size]) {
		t.at += size
		return
	}
	t.pass = size
}

// messageSize returns the size of the message that comes next.
func (t *entryTap) messageSize() (int, bool) {
	if !t.have(2) || t.buf[t.at] != tagSequence {
		return 0, false
	}
	first := int(t.buf[t.at+1])
	if first < 0x80 {
		return 2 + first, true
	}
	n := first & 0x7f
	if n == 0 || n > 4 || !t.have(2+n) {
		return 0, false
	}
	size := 0
	for _, b := range t.buf[t.at+2 : t.at+2+n] {
		size = size<<8 | int(b)
	}
	const most = 1 << 30
	return 2 + n + size, size >= 0 && size < most // It is negative where an int has 32 bits.
}

// wanted reports whether the beginning of a message is that of an entry of the search.
func (t *entryTap) wanted(head []byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.each == nil || t.id == nil {
		return false
	}
	head = head[2:]
	if n := int(t.buf[t.at+1]); n >= 0x80 {
		head = head[n&0x7f:]
	}
	n := 2 + len(t.id)
	return len(head) > n && head[0] == tagInteger && int(head[1]) == len(t.id) && bytes.Equal(head[2:n], t.id) &&
		head[n] == tagFoundEntry
}

// have reads until n bytes are there.
func (t *entryTap) have(n int) bool {
	for t.end-t.at < n && t.err == nil {
		if t.end == len(t.buf) {
			t.room()
		}
		t.fill()
	}
	return t.end-t.at >= n
}

// room makes place at the end of the buffer. It grows with what came, and not with the length that a message claims.
func (t *entryTap) room() {
	to := t.buf
	if 2*t.at <= len(to) {
		to = make([]byte, max(64<<10, 2*len(to)))
	}
	t.end = copy(to, t.buf[t.at:t.end])
	t.at, t.buf = 0, to
}

// fill reads what is there.
func (t *entryTap) fill() {
	if t.at == t.end {
		t.at, t.end = 0, 0
	}
	if t.end == len(t.buf) {
		t.room()
	}
	n, err := t.Conn.Read(t.buf[t.end:])
	t.end += n
	t.err = err
}

// take decodes the entry of a message and hands it over. It reports false for what is not as plain as it should be.
func (t *entryTap) take(message []byte) bool {
	body, _, _ := element(message, tagSequence)
	_, body, _ = element(body, tagInteger)
	body, controls, ok := element(body, tagFoundEntry)
	if !ok || len(controls) > 0 {
		return false
	}
	e, ok := t.entry(bytes.Clone(body))
	if !ok {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.each != nil {
		t.each(e)
	}
	return true
}

// frame returns the entry that is used again and again, with n attributes.
func (t *entryTap) frame(n int) *ldap.Entry {
	for len(t.attributes) < n {
		t.attributes = append(t.attributes, &ldap.EntryAttribute{})
	}
	t.reused.Attributes = t.attributes[:n]
	return &t.reused
}

// entry decodes a SearchResultEntry (RFC 4511, section 4.5.2). The values belong to the caller, and so does body. The
// entry and its attributes are those of the next entry, too.
func (t *entryTap) entry(body []byte) (*ldap.Entry, bool) {
	dn, rest, ok := element(body, tagOctets)
	list, rest, ok2 := element(rest, tagSequence)
	if !ok || !ok2 || len(rest) > 0 {
		return nil, false
	}
	n, values, ok := count(list)
	if !ok {
		return nil, false
	}
	e := t.frame(n)
	e.DN = string(dn)
	texts, raws := make([]string, values), make([][]byte, values)
	for _, a := range e.Attributes {
		name, set, rest := attribute(list)
		list = rest
		n, _ := elements(set)
		a.Name = t.name(name)
		if n <= few {
			a.Values, texts = texts[:n:n], texts[n:]
			a.ByteValues, raws = raws[:n:n], raws[n:]
		} else { // An array of its own is not kept for the sake of the others.
			a.Values, a.ByteValues = make([]string, n), make([][]byte, n)
		}
		for k := range n {
			a.ByteValues[k], set, _ = element(set, tagOctets)
			a.Values[k] = string(a.ByteValues[k])
		}
	}
	return e, true
}

// few is how many values of an attribute share an array with those of others.
const few = 16

// count checks a list of attributes. It returns how many there are, and how many values those with few have.
func count(list []byte) (attributes, values int, ok bool) {
	for ; len(list) > 0; attributes++ {
		name, set, rest := attribute(list)
		n, ok := elements(set)
		if name == nil || !ok {
			return 0, 0, false
		}
		if list = rest; n <= few {
			values += n
		}
	}
	return attributes, values, true
}

// attribute splits off the first attribute of a list. The name is nil if it is not as it should be.
func attribute(list []byte) (name, set, rest []byte) {
	body, rest, ok := element(list, tagSequence)
	name, body, ok2 := element(body, tagOctets)
	set, more, ok3 := element(body, tagSet)
	if !ok || !ok2 || !ok3 || len(more) > 0 {
		return nil, nil, nil
	}
	return name, set, rest
}

// elements counts the values of a set. It reports false if one is no string of octets.
func elements(set []byte) (n int, ok bool) {
	for ; len(set) > 0; n++ {
		if _, set, ok = element(set, tagOctets); !ok {
			return 0, false
		}
	}
	return n, true
}

// name returns the one string for an attribute's name.
func (t *entryTap) name(raw []byte) string {
	if name, ok := t.names[string(raw)]; ok {
		return name
	}
	if t.names == nil {
		t.names = map[string]string{}
	}
	name := string(raw)
	if len(t.names) < 1000 {
		t.names[name] = name
	}
	return name
}

// element splits off the first element (X.690, definite lengths) if it has the tag.
func element(p []byte, tag byte) (content, rest []byte, ok bool) {
	if len(p) < 2 || p[0] != tag {
		return nil, nil, false
	}
	size, p := int(p[1]), p[2:]
	if size >= 0x80 {
		n := size & 0x7f
		if n == 0 || n > 4 || len(p) < n {
			return nil, nil, false
		}
		size = 0
		for _, b := range p[:n] {
			size = size<<8 | int(b)
		}
		p = p[n:]
	}
	if size < 0 || size > len(p) { // It is negative where an int has 32 bits.
		return nil, nil, false
	}
	return p[:size], p[size:], true
}
