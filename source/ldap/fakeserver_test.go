package ldap_test

import (
	"net"
	"testing"

	ber "github.com/go-asn1-ber/asn1-ber"
	goldap "github.com/go-ldap/ldap/v3"

	"rollcall/source/ldap"
)

// fake is a server that says what no slapd would: answers are written by hand, message by message (RFC 4511).
type fake struct {
	// answer returns what follows a search request.
	answer func(q query) []message
	// bind is the result of binds.
	bind message
	// announces are the supportedControls of its root DSE; nil hides the root DSE.
	announces []string
	// family adds to the root DSE what tells the family.
	family []attr
}

// activeDirectory is what a domain controller says about itself.
var activeDirectory = []attr{{"supportedCapabilities", []string{"1.2.840.113556.1.4.800"}}}

// query is a search request as far as fakes look at it.
type query struct {
	base, filter string
	attrs        []string
	cookie       string
	dirSync      *goldap.ControlDirSync
	n            int // counts the searches of a connection
}

// message is a protocol operation with controls, or raw bytes.
type message struct {
	op       *ber.Packet
	controls []goldap.Control
	raw      []byte
	id       *int64
	hangUp   bool
}

// start returns a configuration for the fake.
func (f *fake) start(t *testing.T) ldap.Config {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go f.serve(c)
		}
	}()
	c := ldap.DefaultConfig()
	c.Slug, c.ServerURI, c.BaseDN, c.SyncGroups = "corp", "ldap://"+l.Addr().String(), "dc=example,dc=org", false
	return c
}

func (f *fake) serve(c net.Conn) {
	defer c.Close()
	for n := 0; ; {
		req, err := ber.ReadPacket(c)
		if err != nil || len(req.Children) < 2 {
			return
		}
		id, _ := req.Children[0].Value.(int64)
		var answers []message
		switch op := req.Children[1]; op.Tag {
		case goldap.ApplicationBindRequest:
			answers = []message{f.bind}
			if f.bind.op == nil {
				answers = []message{result(goldap.ApplicationBindResponse, 0, "")}
			}
		case goldap.ApplicationSearchRequest:
			q := parseQuery(req)
			if q.base == "" {
				answers = f.root()
				break
			}
			n++
			q.n = n
			answers = f.answer(q)
		default:
			return
		}
		for _, m := range answers {
			if !m.write(c, id) {
				return
			}
		}
	}
}

func (f *fake) root() []message {
	if f.announces == nil {
		return []message{done(goldap.LDAPResultInsufficientAccessRights, "no")}
	}
	return []message{entryOf("", append(f.family, attr{"supportedControl", f.announces})...), done(0, "")}
}

func parseQuery(req *ber.Packet) query {
	op := req.Children[1]
	q := query{base: op.Children[0].Data.String()}
	q.filter, _ = goldap.DecompileFilter(op.Children[6])
	for _, a := range op.Children[7].Children {
		q.attrs = append(q.attrs, a.Data.String())
	}
	if len(req.Children) > 2 {
		for _, child := range req.Children[2].Children {
			if c, err := goldap.DecodeControl(child); err == nil {
				switch c := c.(type) {
				case *goldap.ControlPaging:
					q.cookie = string(c.Cookie)
				case *goldap.ControlDirSync:
					q.dirSync = c
				}
			}
		}
	}
	return q
}

func (m message) write(c net.Conn, id int64) bool {
	if m.hangUp {
		return false
	}
	out := m.raw
	if out == nil {
		if m.id != nil {
			id = *m.id
		}
		p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "message")
		p.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagInteger, id, "id"))
		p.AppendChild(m.op)
		if len(m.controls) > 0 {
			list := ber.Encode(ber.ClassContext, ber.TypeConstructed, 0, nil, "controls")
			for _, ctl := range m.controls {
				list.AppendChild(ctl.Encode())
			}
			p.AppendChild(list)
		}
		out = p.Bytes()
	}
	_, err := c.Write(out)
	return err == nil
}

// entry is a SearchResultEntry with one attribute.
func entry(dn, name string, values ...string) message { return entryOf(dn, attr{name, values}) }

type attr struct {
	name   string
	values []string
}

func entryOf(dn string, attrs ...attr) message {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, goldap.ApplicationSearchResultEntry, nil, "entry")
	op.AppendChild(text(dn))
	list := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "attributes")
	for _, a := range attrs {
		one := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "attribute")
		one.AppendChild(text(a.name))
		set := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSet, nil, "values")
		for _, v := range a.values {
			set.AppendChild(text(v))
		}
		one.AppendChild(set)
		list.AppendChild(one)
	}
	op.AppendChild(list)
	return message{op: op}
}

// person is an entry with what a user needs.
func person(uid string, attrs ...attr) message {
	return entryOf("uid="+uid+",dc=example,dc=org", append(attrs, attr{"entryUUID", []string{"id-" + uid}},
		attr{"uid", []string{uid}})...)
}

func reference(uri string) message {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, goldap.ApplicationSearchResultReference, nil, "reference")
	op.AppendChild(text(uri))
	return message{op: op}
}

// done is a SearchResultDone; controls may follow it.
func done(code uint16, said string, controls ...goldap.Control) message {
	m := result(goldap.ApplicationSearchResultDone, code, said)
	m.controls = controls
	return m
}

// page is a SearchResultDone that carries a cookie.
func page(cookie string) message {
	return done(0, "", &goldap.ControlPaging{Cookie: []byte(cookie)})
}

func result(tag ber.Tag, code uint16, said string) message {
	op := ber.Encode(ber.ClassApplication, ber.TypeConstructed, tag, nil, "result")
	op.AppendChild(ber.NewInteger(ber.ClassUniversal, ber.TypePrimitive, ber.TagEnumerated, int64(code), "code"))
	op.AppendChild(text(""))
	op.AppendChild(text(said))
	return message{op: op}
}

func text(s string) *ber.Packet {
	return ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, s, "")
}
