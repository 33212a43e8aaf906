package gen

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

const (
	domain   = "example.com"
	suffix   = "dc=example,dc=com"
	peopleDN = "ou=people," + suffix
	groupsDN = "ou=groups," + suffix
)

// namespace is what the entryUUIDs are made in (RFC 9562, section 5.5).
var namespace = uuid.NewSHA1(uuid.NameSpaceDNS, []byte("directory."+domain))

func entryUUID(key string) string { return uuid.NewSHA1(namespace, []byte(key)).String() }

// file writes LDIF (RFC 2849) as slapcat does, without a version line, which slapadd would take for an entry.
type file struct {
	bytes.Buffer
	some bool // an entry was begun
}

// entry begins an entry with a comment, its DN and its classes.
func (f *file) entry(comment, dn, id string, classes ...string) {
	if f.some {
		f.WriteString("\n")
	}
	f.some = true
	fmt.Fprintf(f, "# %s\n", comment)
	f.add("dn", dn)
	f.add("objectClass", classes...)
	f.add("entryUUID", entryUUID(id))
}

// add writes the values that are not empty.
func (f *file) add(name string, values ...string) {
	for _, v := range values {
		switch {
		case v == "":
		case safe(v):
			f.fold(name + ": " + v)
		default:
			f.fold(name + ":: " + base64.StdEncoding.EncodeToString([]byte(v)))
		}
	}
}

// fold breaks a line after 76 bytes; a line that goes on begins with a blank.
func (f *file) fold(line string) {
	const width = 76
	for len(line) > width {
		f.WriteString(line[:width] + "\n")
		line = " " + line[width:]
	}
	f.WriteString(line + "\n")
}

// safe reports whether a value may be written as it is: SAFE-STRING of RFC 2849, and no blank at the end.
func safe(v string) bool {
	for i := range len(v) {
		if v[i] == 0 || v[i] == '\n' || v[i] == '\r' || v[i] > 126 {
			return false
		}
	}
	return !strings.ContainsAny(v[:1], " :<") && v[len(v)-1] != ' '
}

// escape makes a text the value of an RDN (RFC 4514, section 2.4).
func escape(v string) string {
	var b strings.Builder
	for i, r := range v {
		if strings.ContainsRune(`,+"\<>;=`, r) || i == 0 && (r == '#' || r == ' ') {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// ldif writes the whole directory.
func (c *company) ldif(title string) []byte {
	f := &file{}
	fmt.Fprintf(f, "# %s\n# Written by `go test ./internal/demo/gen -update`: change the generator, not this file.\n",
		title)
	f.entry("the company", suffix, "root", "top", "dcObject", "organization")
	f.add("dc", "example")
	f.add("o", "Example Instruments")
	f.unit("people", peopleDN)
	f.unit("groups", groupsDN)
	f.unit("services", "ou=services,"+suffix)
	written := map[string]bool{}
	for i := range units {
		for depth := range units[i].path {
			u := unit{path: units[i].path[:depth+1]}
			if !written[u.dn()] {
				written[u.dn()] = true
				f.unit(u.path[depth], u.dn())
			}
		}
	}
	f.entry("a service account, outside of ou=people", backupDN, "svc-backup", "top", "account")
	f.add("uid", "svc-backup")
	for _, p := range c.people {
		if !p.left {
			f.person(p)
		}
	}
	for _, g := range c.groups {
		f.group(g)
	}
	return f.Bytes()
}

func (f *file) unit(name, dn string) {
	f.entry("unit "+name, dn, dn, "top", "organizationalUnit")
	f.add("ou", name)
}

func (f *file) person(p *person) {
	classes := []string{"top", "person", "organizationalPerson", "inetOrgPerson"}
	if p.expired {
		classes = append(classes, "shadowAccount")
	}
	f.entry(p.latin, p.dn(), "user/"+p.key, classes...)
	f.add("uid", p.uid)
	f.add("cn", p.cn)
	f.add("displayName", p.cn)
	f.add("givenName", p.given)
	f.add("sn", p.sn)
	f.add("mail", p.mail...)
	f.add("employeeNumber", fmt.Sprint(p.number))
	f.add("title", p.title)
	f.add("departmentNumber", p.unit.number())
	f.add("ou", p.unit.department())
	f.add("l", p.city)
	// Numbers that are kept free for books and films.
	f.add("telephoneNumber", fmt.Sprintf("+49 30 23125 %03d", p.number-10000))
	if p.mobile {
		f.add("mobile", fmt.Sprintf("+49 171 39200 %02d", p.number%100))
	}
	f.add("description", p.description)
	if p.manager != nil && !p.manager.left && p.manager != p {
		f.add("manager", p.manager.dn())
	}
	if p.expired {
		f.add("shadowExpire", "19000")
	}
	f.add("pwdAccountLockedTime", p.locked)
}

func (f *file) group(g *group) {
	class, attribute := "groupOfNames", "member"
	if g.unique {
		class, attribute = "groupOfUniqueNames", "uniqueMember"
	}
	f.entry(g.comment(), g.dn(), "group/"+g.key(), "top", class)
	f.add("cn", g.cn)
	f.add("description", g.description)
	f.add(attribute, g.members()...)
}
