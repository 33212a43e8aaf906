package ledger

import (
	"encoding/binary"
	"encoding/json"
	"time"

	"rollcall/internal/stored"
	"rollcall/plan"
)

// What a link says with one bit each.
const (
	linkSuspended = 1 << iota
	linkInactive
)

// packLink returns a link in compact form.
func packLink(l plan.Link) []byte {
	bits := byte(0)
	if l.Suspended {
		bits |= linkSuspended
	}
	if l.Inactive {
		bits |= linkInactive
	}
	b := stored.AppendID([]byte{stored.Compact, bits}, l.RemoteID)
	b = stored.AppendText(appendTime(b, l.Created), l.Rekey)
	b = stored.AppendText(b, l.Yields)
	return stored.AppendText(appendTime(b, l.Departed), string(l.Why))
}

// unpackLink reads a link in compact form, or as JSON, which builds of format 1 wrote.
func unpackLink(text string) (l plan.Link, err error) {
	if !stored.IsCompact(text) {
		err = json.Unmarshal([]byte(text), &l)
		return l, err
	}
	r := stored.NewReader(text)
	bits := r.Uint()
	l = plan.Link{
		Suspended: bits&linkSuspended != 0, Inactive: bits&linkInactive != 0,
		RemoteID: r.ID(), Created: readTime(r), Rekey: r.Text(), Yields: r.Text(),
		Departed: readTime(r), Why: plan.Reason(r.Text()),
	}
	return l, r.Err()
}

// appendTime adds a time as the seconds since the zero time, and nanoseconds.
func appendTime(b []byte, t time.Time) []byte {
	b = binary.AppendVarint(b, t.Unix()-time.Time{}.Unix())
	return binary.AppendUvarint(b, uint64(t.Nanosecond())) //nolint:gosec // never negative
}

func readTime(r *stored.Reader) time.Time {
	seconds := r.Int() + time.Time{}.Unix()
	return time.Unix(seconds, int64(r.Uint()%uint64(time.Second))).UTC() //nolint:gosec // less than a second
}
