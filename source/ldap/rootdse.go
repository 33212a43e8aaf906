package ldap

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/fault"
)

// rootDSE is what a server says about itself (RFC 4512, section 5.1). A server may hide it.
type rootDSE struct {
	vendor, version string
	controls        []string
	contexts        []string
	family          family
	// base is the naming context that the server calls the default.
	base string
	// subschema is the DN of the server's schema; types has its attributes once they were read.
	subschema string
	types     *schema
	// domain is set for a domain controller: AD LDS, which has no userAccountControl, does not announce it.
	domain bool
	// service is the DN of a domain controller's settings, and usn its highestCommittedUSN.
	service, usn string
}

// defaultBase returns the naming context with the people: the one that the server calls so, or the only one.
func (r *rootDSE) defaultBase() (string, error) {
	if own := r.bases(); len(own) == 1 {
		return own[0], nil
	}
	return "", fault.Errorf(fault.Invalid, "base_dn is not set, and the server does not say where its people are "+
		"(naming contexts %q): set base_dn", r.contexts)
}

// bases returns the naming contexts that may have people.
func (r *rootDSE) bases() (own []string) {
	if r.base != "" {
		return []string{r.base}
	}
	for _, c := range r.contexts {
		if norm, err := NormalizeDN(c); err == nil && norm != "" && !strings.HasPrefix(norm, "cn=") && norm != "o=ipaca" {
			own = append(own, c)
		}
	}
	return own
}

// family is a kind of directory server, as far as it matters to us.
type family string

const (
	activeDirectory family = "Active Directory"
	openLDAP        family = "OpenLDAP"
	freeIPA         family = "FreeIPA"
	directory389    family = "389 Directory Server"
	unknownFamily   family = "unknown"
)

// uniqueness is the identifier that a family keeps through renames and moves.
func (f family) uniqueness() string {
	switch f {
	case activeDirectory:
		return "objectGUID"
	case freeIPA:
		return "ipaUniqueID"
	case directory389:
		return "nsUniqueId"
	}
	return "entryUUID"
}

func (r *rootDSE) supports(control string) bool {
	return r != nil && slices.Contains(r.controls, control)
}

var rootAttributes = []string{
	"vendorName", "vendorVersion", "supportedControl", "namingContexts", "supportedCapabilities", "objectClass",
	"forestFunctionality", "defaultNamingContext", "dsServiceName", "highestCommittedUSN", "subschemaSubentry",
	"supportedExtension",
}

// probe reads the root DSE. One that cannot be read is no error: then nothing is known about the server.
func (s *session) probe(ctx context.Context) error {
	s.root = &rootDSE{family: unknownFamily, types: standardSchema}
	req := ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)",
		rootAttributes, nil)
	_, err := s.page(ctx, "read the root DSE of "+s.String(), req, func(e *ldap.Entry) error {
		s.root = parseRootDSE(e)
		return nil
	})
	if isResult(err) {
		return nil //nolint:nilerr // the server hides it
	}
	return err
}

// isResult reports whether the server answered, with a result other than success.
func isResult(err error) bool {
	_, ok := errors.AsType[*resultError](err)
	return ok
}

func parseRootDSE(e *ldap.Entry) *rootDSE {
	r := &rootDSE{
		vendor: e.GetEqualFoldAttributeValue("vendorName"), version: e.GetEqualFoldAttributeValue("vendorVersion"),
		controls:  e.GetEqualFoldAttributeValues("supportedControl"),
		contexts:  e.GetEqualFoldAttributeValues("namingContexts"),
		subschema: e.GetEqualFoldAttributeValue("subschemaSubentry"), types: standardSchema,
		service: e.GetEqualFoldAttributeValue("dsServiceName"), usn: e.GetEqualFoldAttributeValue("highestCommittedUSN"),
	}
	r.domain = slices.Contains(e.GetEqualFoldAttributeValues("supportedCapabilities"), capabilityActiveDirectory)
	r.base = e.GetEqualFoldAttributeValue("defaultNamingContext")
	r.family = familyOf(r, e)
	return r
}

// capabilityActiveDirectory is announced by domain controllers alone ([MS-ADTS], section 3.1.1.3.4.3.1).
const capabilityActiveDirectory = "1.2.840.113556.1.4.800"

// familyOf goes by what each server alone says. Active Directory (and Samba's) has the OID of a capability, and the
// root of OpenLDAP has an object class of its own. FreeIPA has extended operations for keytabs
// (2.16.840.1.113730.3.8.10.1 and others), or the naming context of its authority, which not every domain has.
func familyOf(r *rootDSE, e *ldap.Entry) family {
	switch {
	case r.domain, e.GetEqualFoldAttributeValue("forestFunctionality") != "":
		return activeDirectory
	case slices.ContainsFunc(e.GetEqualFoldAttributeValues("objectClass"),
		func(c string) bool { return strings.EqualFold(c, "OpenLDAProotDSE") }):
		return openLDAP
	case slices.ContainsFunc(r.contexts, func(c string) bool { return strings.EqualFold(c, "o=ipaca") }),
		slices.ContainsFunc(e.GetEqualFoldAttributeValues("supportedExtension"),
			func(oid string) bool { return strings.HasPrefix(oid, "2.16.840.1.113730.3.8.10.") }):
		return freeIPA
	case strings.Contains(r.vendor, "389 Project"), strings.HasPrefix(r.version, "389-Directory"):
		return directory389
	}
	return unknownFamily
}

// position reads how far the server is, before anything else is read from it. base is where the source reads. A server
// that does not show its position has none: that is no error.
func (s *session) position(ctx context.Context, base string) (directory.Position, error) {
	p := directory.Position{Name: s.String(), Seen: map[string]string{}}
	if s.root.family != unknownFamily {
		p.Name += ", " + string(s.root.family)
	}
	var err error
	switch context := s.contextOf(base); {
	case s.root.family == activeDirectory:
		err = s.controllerPosition(ctx, context, &p)
	case context == "":
	case s.root.family == directory389 || s.root.family == freeIPA:
		err = s.replicaPosition(ctx, context, &p)
	default:
		err = contextPosition(ctx, s, context, &p)
	}
	return p, err
}

// position is that of an export which OpenLDAP wrote with the operational attributes of its naming context.
func (f *file) position(ctx context.Context, base string) (directory.Position, error) {
	norm, _ := NormalizeDN(base)
	for _, e := range f.entries {
		if len(e.GetEqualFoldAttributeValues("contextCSN")) > 0 && under(norm, e.norm) {
			p := directory.Position{Name: f.String(), Seen: map[string]string{}}
			err := contextPosition(ctx, f, e.DN, &p)
			return p, err
		}
	}
	return directory.Position{}, nil
}

// contextOf returns the naming context that holds base.
func (s *session) contextOf(base string) (holder string) {
	norm, _ := NormalizeDN(base)
	longest := -1
	for _, c := range s.root.contexts {
		if n, err := NormalizeDN(c); err == nil && under(norm, n) && len(n) > longest {
			holder, longest = c, len(n)
		}
	}
	return holder
}

// valuesAt returns the values of one attribute of the entries found; none where the server refuses.
func valuesAt(ctx context.Context, dir searcher, r request) ([][]byte, error) {
	var values [][]byte
	err := dir.search(ctx, r, func(e *ldap.Entry) error {
		values = append(values, e.GetEqualFoldRawAttributeValues(r.attrs[0])...)
		return nil
	})
	if isResult(err) {
		return nil, nil //nolint:nilerr // no rights, or nothing there
	}
	return values, err
}

func baseRequest(dn, attr string) request {
	return request{base: dn, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)", attrs: []string{attr}}
}

// controllerPosition is Active Directory's: the controller's invocationId with its highestCommittedUSN, and what it has
// seen of the other controllers ([MS-ADTS], sections 3.1.1.1.9 and 3.1.1.1.11).
func (s *session) controllerPosition(ctx context.Context, base string, p *directory.Position) error {
	if s.root.service == "" || s.root.usn == "" {
		return nil
	}
	if _, server, ok := strings.Cut(s.root.service, ","); ok { // CN=NTDS Settings,CN=DC1,…
		if rdn := ownRDN(server); rdn != nil {
			p.Name += " " + rdn[0].value
		}
	}
	ids, err := valuesAt(ctx, s, baseRequest(s.root.service, "invocationId"))
	if err != nil || len(ids) != 1 {
		return err
	}
	if p.Server, err = guidText(ids[0]); err != nil {
		return nil //nolint:nilerr // what is no GUID identifies nothing
	}
	if base != "" {
		vector, err := valuesAt(ctx, s, baseRequest(base, "replUpToDateVector"))
		if err != nil {
			return err
		}
		if len(vector) == 1 {
			readVector(vector[0], p.Seen)
		}
	}
	p.Seen[p.Server] = s.root.usn
	return nil
}

// readVector adds the cursors of an up-to-dateness vector, UPTODATE_VECTOR_V1_EXT or V2_EXT ([MS-DRSR], sections 5.202
// and 5.203). After a header of 16 bytes with version and count, each cursor has an invocationId, a USN and, in version
// 2, a time.
func readVector(raw []byte, seen map[string]string) {
	const header, id, usn = 16, 16, 8
	if len(raw) < header {
		return
	}
	size := id + usn
	if binary.LittleEndian.Uint32(raw) == 2 {
		size += 8
	}
	count := int(binary.LittleEndian.Uint32(raw[8:]))
	for at := header; count > 0 && at+size <= len(raw); at, count = at+size, count-1 {
		if server, err := guidText(raw[at : at+id]); err == nil {
			seen[server] = strconv.FormatUint(binary.LittleEndian.Uint64(raw[at+id:]), 10)
		}
	}
}

// contextPosition is OpenLDAP's: one contextCSN for each server ID that changes came from, such as
// 20261129181743.123456Z#000000#001#000000.
func contextPosition(ctx context.Context, dir searcher, base string, p *directory.Position) error {
	values, err := valuesAt(ctx, dir, baseRequest(base, "contextCSN"))
	for _, v := range values {
		csn := string(v)
		parts := strings.Split(csn, "#")
		if len(parts) != 4 {
			continue
		}
		p.Seen["sid "+parts[2]] = csn
		if at, err := time.Parse("20060102150405.999999Z", parts[0]); err == nil && at.After(p.Changed) {
			p.Changed = at
		}
	}
	return err
}

// replicaPosition is that of 389 Directory Server: the replica update vector. Its values are
// "{replicageneration} 5f" and "{replica 1 ldap://host:389} <first CSN> <last CSN>". A vector of another generation is
// another database. It is read from the configuration of the replica: the tombstone with the vector is shown to the
// directory manager alone.
func (s *session) replicaPosition(ctx context.Context, base string, p *directory.Position) error {
	values, err := valuesAt(ctx, s, request{base: "cn=mapping tree,cn=config", scope: ldap.ScopeWholeSubtree,
		attrs:  []string{"nsds50ruv"},
		filter: "(&(objectClass=nsDS5Replica)(nsDS5ReplicaRoot=" + ldap.EscapeFilter(base) + "))"})
	generation := ""
	for _, v := range values {
		head, rest, ok := strings.Cut(strings.TrimPrefix(string(v), "{"), "}")
		fields, name := strings.Fields(rest), strings.Fields(head)
		switch {
		case !ok || len(fields) == 0:
		case head == "replicageneration":
			generation = fields[0]
		case len(name) > 1 && name[0] == "replica" && len(fields) == 2:
			p.Seen["replica "+name[1]] = fields[1]
			if seconds, err := hex.DecodeString(fields[1][:min(8, len(fields[1]))]); err == nil && len(seconds) == 4 {
				if at := time.Unix(int64(binary.BigEndian.Uint32(seconds)), 0).UTC(); at.After(p.Changed) {
					p.Changed = at
				}
			}
		}
	}
	seen := make(map[string]string, len(p.Seen))
	for origin, csn := range p.Seen {
		seen[strings.TrimSpace(origin+" "+generation)] = csn
	}
	p.Seen = seen
	return err
}

// refuseCatalog refuses the Global Catalog of Active Directory, which has only a part of each entry.
func (s *session) refuseCatalog() error {
	if s.root.family != activeDirectory || !strings.HasSuffix(s.server.addr, ":3268") &&
		!strings.HasSuffix(s.server.addr, ":3269") {
		return nil
	}
	return fault.New(fault.Invalid, "connect to "+s.String(), fmt.Errorf("this is the port of the Global Catalog, "+
		"which lacks accountExpires, employeeID, title, department and proxyAddresses, and the members of other domains' "+
		"global groups: use port 389 or 636"))
}
