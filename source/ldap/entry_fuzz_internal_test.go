package ldap

import (
	"bytes"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
)

// FuzzEntry decodes entries that a server sends. One that is taken has the name and the values that the library of
// go-ldap reads in it.
func FuzzEntry(f *testing.F) {
	value := func(text string) *ber.Packet {
		return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, text, "")
	}
	for _, dn := range []string{"", "uid=ada,dc=example,dc=org"} {
		body := append(value(dn).Bytes(), ber.NewSequence("").Bytes()...)
		f.Add(body)
		list, attribute := ber.NewSequence(""), ber.NewSequence("")
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "")
		for range 20 {
			set.AppendChild(value("ada@example.org"))
		}
		attribute.AppendChild(value("mail"))
		attribute.AppendChild(set)
		list.AppendChild(attribute)
		list.AppendChild(attribute)
		body = append(value(dn).Bytes(), list.Bytes()...)
		f.Add(body)
		f.Add(body[:len(body)-1])
		f.Add(bytes.Replace(body, []byte{tagSet}, []byte{tagSequence}, 1))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, taken := (&entryTap{}).entry(body)
		if !taken {
			return
		}
		size := []byte{0x84, byte(len(body) >> 24), byte(len(body) >> 16), byte(len(body) >> 8), byte(len(body))}
		p, err := ber.DecodePacketErr(bytes.Join([][]byte{{tagFoundEntry}, size, body}, nil))
		if err != nil {
			t.Fatalf("the library refuses what was taken: %v", err)
		}
		if e.DN != p.Children[0].Data.String() || len(e.Attributes) != len(p.Children[1].Children) {
			t.Fatalf("DN %q with %d attributes, want %q with %d", e.DN, len(e.Attributes), p.Children[0].Data.String(),
				len(p.Children[1].Children))
		}
		for i, a := range e.Attributes {
			want := p.Children[1].Children[i].Children
			if a.Name != want[0].Data.String() || len(a.ByteValues) != len(want[1].Children) {
				t.Fatalf("attribute %q with %d values, want %q with %d", a.Name, len(a.ByteValues),
					want[0].Data.String(), len(want[1].Children))
			}
			for k, v := range a.ByteValues {
				if !bytes.Equal(v, want[1].Children[k].Data.Bytes()) || a.Values[k] != string(v) {
					t.Fatalf("%s has the value %q, want %q", a.Name, v, want[1].Children[k].Data.Bytes())
				}
			}
		}
	})
}
