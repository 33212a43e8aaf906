package ldap

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/google/go-cmp/cmp"
)

// TestTappedEntriesAreThoseOfGoLDAP sends random streams of messages in random pieces through a tap. The entries of the
// search come out as go-ldap decodes them, and everything else comes out byte by byte.
func TestTappedEntriesAreThoseOfGoLDAP(t *testing.T) {
	t.Parallel()
	for seed := range uint64(100) {
		rng := rand.New(rand.NewPCG(seed, 7))
		const id = 300 // two bytes
		var stream, others []byte
		var want []*ldap.Entry
		for range rng.IntN(30) {
			var message []byte
			switch rng.IntN(6) {
			case 0:
				message = entryMessage(rng, 5, false).Bytes() // of another search
			case 1:
				message = entryMessage(rng, id, true).Bytes() // with a control
			case 2:
				message = referenceMessage(id).Bytes()
			default:
				p := entryMessage(rng, id, false)
				stream = append(stream, p.Bytes()...)
				want = append(want, decoded(t, p.Bytes()))
				continue
			}
			stream, others = append(stream, message...), append(others, message...)
		}
		var got []*ldap.Entry
		tap := &entryTap{Conn: &pieces{rng: rng, left: stream}}
		tap.tapEntries(func(e *ldap.Entry) { got = append(got, kept(e)) })
		if _, err := tap.Write(searchMessage(id).Bytes()); err != nil {
			t.Fatal(err)
		}
		passed, err := io.ReadAll(tap)
		if err != nil || !bytes.Equal(passed, others) {
			t.Fatalf("seed %d: %d bytes were passed on (%v), want %d", seed, len(passed), err, len(others))
		}
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("seed %d (-go-ldap +tap):\n%s", seed, cmp.Diff(want, got))
		}
	}
}

// kept copies an entry without its values.
func kept(e *ldap.Entry) *ldap.Entry {
	out := &ldap.Entry{DN: e.DN, Attributes: make([]*ldap.EntryAttribute, len(e.Attributes))}
	for i, a := range e.Attributes {
		attribute := *a
		out.Attributes[i] = &attribute
	}
	return out
}

// TestATapPassesOnWhatItCannotRead sends entries with a byte changed or the end missing. go-ldap gets what the tap did
// not take, and the tap neither fails nor waits.
func TestATapPassesOnWhatItCannotRead(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 9))
	for range 2000 {
		message := entryMessage(rng, 7, false).Bytes()
		if rng.IntN(2) == 0 {
			message = message[:rng.IntN(len(message))]
		} else {
			message[rng.IntN(len(message))] ^= byte(1 << rng.IntN(8))
		}
		taken := 0
		tap := &entryTap{Conn: &pieces{rng: rng, left: message}}
		tap.tapEntries(func(*ldap.Entry) { taken++ })
		_, _ = tap.Write(searchMessage(7).Bytes())
		passed, err := io.ReadAll(tap)
		if err != nil || taken == 0 && !bytes.Equal(passed, message) {
			t.Fatalf("%x: %d taken, passed on %x (%v)", message, taken, passed, err)
		}
	}
}

func decoded(t *testing.T, message []byte) *ldap.Entry {
	t.Helper()
	packet, err := ber.DecodePacketErr(message)
	if err != nil {
		t.Fatal(err)
	}
	e := &ldap.Entry{DN: packet.Children[1].Children[0].Data.String(), Attributes: []*ldap.EntryAttribute{}}
	for _, child := range packet.Children[1].Children[1].Children {
		a := &ldap.EntryAttribute{Name: child.Children[0].Data.String(), Values: []string{}, ByteValues: [][]byte{}}
		for _, value := range child.Children[1].Children {
			a.Values = append(a.Values, ber.DecodeString(value.Data.Bytes()))
			a.ByteValues = append(a.ByteValues, append([]byte{}, value.ByteValue...))
		}
		e.Attributes = append(e.Attributes, a)
	}
	return e
}

func operation(id int64, tag ber.Tag) (message, op *ber.Packet) {
	message = ber.NewSequence("")
	message.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, ""))
	return message, ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "")
}

func octets(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}

func searchMessage(id int64) *ber.Packet {
	message, op := operation(id, ldap.ApplicationSearchRequest)
	op.AppendChild(octets("dc=example,dc=org"))
	message.AppendChild(op)
	return message
}

func referenceMessage(id int64) *ber.Packet {
	message, op := operation(id, ldap.ApplicationSearchResultReference)
	op.AppendChild(octets("ldap://elsewhere/"))
	message.AppendChild(op)
	return message
}

func entryMessage(rng *rand.Rand, id int64, control bool) *ber.Packet {
	message, op := operation(id, ldap.ApplicationSearchResultEntry)
	op.AppendChild(octets("uid=" + strings.Repeat("x", rng.IntN(300)) + ",dc=example,dc=org"))
	list := ber.NewSequence("")
	for i := range rng.IntN(6) {
		a := ber.NewSequence("")
		a.AppendChild(octets("attribute" + string(rune('a'+i))))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for range []int{0, 1, 1, 2, few, few + 1, 90}[rng.IntN(7)] {
			value := make([]byte, rng.IntN(40))
			for k := range value {
				value[k] = byte(rng.IntN(256))
			}
			set.AppendChild(octets(string(value)))
		}
		a.AppendChild(set)
		list.AppendChild(a)
	}
	op.AppendChild(list)
	message.AppendChild(op)
	if control {
		controls := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "")
		controls.AppendChild(ldap.NewControlString("1.2.3", true, "").Encode())
		message.AppendChild(controls)
	}
	return message
}

// pieces is a connection that gives its bytes in pieces of random sizes, and then ends.
type pieces struct {
	net.Conn
	rng  *rand.Rand
	left []byte
}

func (p *pieces) Write(b []byte) (int, error) { return len(b), nil }

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.left) == 0 {
		return 0, io.EOF
	}
	if len(b) == 0 {
		return 0, errors.New("read into nothing")
	}
	n := copy(b, p.left[:min(len(p.left), 1+p.rng.IntN(700))])
	p.left = p.left[n:]
	return n, nil
}
