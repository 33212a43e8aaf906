package ldap

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// attributeKind is what a schema says about an attribute type, as far as it matters here (RFC 4512, section 2.5.1).
type attributeKind struct {
	// names are its short names and its OID, the preferred name first.
	names []string
	// exact is set where values that differ in case only are different; dn where they are DNs; binary where they are
	// not text.
	exact, dn, binary bool
}

// schema is the attribute types of a directory: those that a server's subschema has, in front of the standard ones.
type schema struct {
	kinds map[string]*attributeKind // by each name in lower case
	// complete is set where a server gave its subschema: a name that it does not have is then a mistake.
	complete bool
}

// kind returns the type that a description names; nil where it is unknown.
func (s *schema) kind(description string) *attributeKind {
	base, _, _ := strings.Cut(trimOID(description), ";")
	if k, ok := s.kinds[strings.ToLower(base)]; ok {
		return k
	}
	return standardSchema.kinds[strings.ToLower(base)]
}

// key returns the form in which attribute descriptions are compared: sn, surname and 2.5.4.4 have one key (RFC 4512,
// section 2.5). Options make another attribute of it (cn;lang-de).
func (s *schema) key(description string) string {
	base, options, _ := strings.Cut(strings.ToLower(trimOID(description)), ";")
	if k := s.kind(base); k != nil {
		base = strings.ToLower(k.names[0])
	}
	if options == "" {
		return base
	}
	return base + ";" + options
}

// preferred returns the description with the preferred name of its type in the standard schemas: servers that know an
// attribute by one name only know it by that one.
func preferred(description string) string {
	base, options, more := strings.Cut(trimOID(description), ";")
	if k := standardSchema.kind(base); k != nil {
		base = k.names[0]
	}
	if !more {
		return base
	}
	return base + ";" + options
}

// ignoresCase reports whether two values that differ in case only are one value. Of an unknown type they are two.
func (s *schema) ignoresCase(description string) bool {
	k := s.kind(description)
	return k != nil && !k.exact && !k.binary
}

// knows reports whether an attribute of this name can exist.
func (s *schema) knows(description string) bool {
	base, _, _ := strings.Cut(strings.ToLower(trimOID(description)), ";")
	standard, _, _ := strings.Cut(strings.ToLower(preferred(description)), ";")
	return !s.complete || s.kinds[base] != nil || s.kinds[standard] != nil
}

// standardSchema has the attribute types of RFC 4512, 4519, 4523, 4524, 4530, 2798 and 2307, and those of Active
// Directory, FreeIPA and 389 Directory Server that are commonly used. A line has an OID, the names with the preferred
// one first, and what is special.
var standardSchema = parseStandard(`
2.5.4.0 objectClass
2.5.4.3 cn commonName
2.5.4.4 sn surname
2.5.4.5 serialNumber
2.5.4.6 c countryName
2.5.4.7 l localityName
2.5.4.8 st stateOrProvinceName
2.5.4.9 street
2.5.4.10 o organizationName
2.5.4.11 ou organizationalUnitName
2.5.4.12 title
2.5.4.13 description
2.5.4.15 businessCategory
2.5.4.16 postalAddress
2.5.4.17 postalCode
2.5.4.18 postOfficeBox
2.5.4.19 physicalDeliveryOfficeName
2.5.4.20 telephoneNumber
2.5.4.21 telexNumber
2.5.4.23 facsimileTelephoneNumber fax
2.5.4.24 x121Address
2.5.4.25 internationalISDNNumber
2.5.4.26 registeredAddress
2.5.4.27 destinationIndicator
2.5.4.28 preferredDeliveryMethod
2.5.4.31 member !dn
2.5.4.32 owner !dn
2.5.4.33 roleOccupant !dn
2.5.4.34 seeAlso !dn
2.5.4.35 userPassword !exact
2.5.4.36 userCertificate !binary
2.5.4.37 cACertificate !binary
2.5.4.41 name
2.5.4.42 givenName gn
2.5.4.43 initials
2.5.4.44 generationQualifier
2.5.4.45 x500UniqueIdentifier !exact
2.5.4.46 dnQualifier
2.5.4.49 distinguishedName !dn
2.5.4.50 uniqueMember !dn
2.5.4.51 houseIdentifier
2.5.18.1 createTimestamp
2.5.18.2 modifyTimestamp
2.5.18.3 creatorsName !dn
2.5.18.4 modifiersName !dn
0.9.2342.19200300.100.1.1 uid userid
0.9.2342.19200300.100.1.3 mail rfc822Mailbox
0.9.2342.19200300.100.1.4 info
0.9.2342.19200300.100.1.5 drink favouriteDrink
0.9.2342.19200300.100.1.6 roomNumber
0.9.2342.19200300.100.1.7 photo !binary
0.9.2342.19200300.100.1.8 userClass
0.9.2342.19200300.100.1.9 host
0.9.2342.19200300.100.1.10 manager !dn
0.9.2342.19200300.100.1.20 homePhone homeTelephoneNumber
0.9.2342.19200300.100.1.21 secretary !dn
0.9.2342.19200300.100.1.25 dc domainComponent
0.9.2342.19200300.100.1.37 associatedDomain
0.9.2342.19200300.100.1.38 associatedName !dn
0.9.2342.19200300.100.1.39 homePostalAddress
0.9.2342.19200300.100.1.40 personalTitle
0.9.2342.19200300.100.1.41 mobile mobileTelephoneNumber
0.9.2342.19200300.100.1.42 pager pagerTelephoneNumber
0.9.2342.19200300.100.1.43 co friendlyCountryName
0.9.2342.19200300.100.1.44 uniqueIdentifier
0.9.2342.19200300.100.1.45 organizationalStatus
0.9.2342.19200300.100.1.48 buildingName
0.9.2342.19200300.100.1.55 audio !binary
0.9.2342.19200300.100.1.60 jpegPhoto !binary
1.2.840.113549.1.9.1 emailAddress email e pkcs9email
2.16.840.1.113730.3.1.1 carLicense
2.16.840.1.113730.3.1.2 departmentNumber
2.16.840.1.113730.3.1.3 employeeNumber
2.16.840.1.113730.3.1.4 employeeType
2.16.840.1.113730.3.1.39 preferredLanguage
2.16.840.1.113730.3.1.40 userSMIMECertificate !binary
2.16.840.1.113730.3.1.216 userPKCS12 !binary
2.16.840.1.113730.3.1.241 displayName
2.16.840.1.113730.3.1.542 nsUniqueId
2.16.840.1.113730.3.1.610 nsAccountLock
2.16.840.1.113730.3.1.973 nsds5ReplConflict
2.16.840.1.113730.3.8.3.1 ipaUniqueID
1.3.6.1.4.1.250.1.57 labeledURI !exact
1.3.6.1.1.16.4 entryUUID
1.3.6.1.1.20 entryDN !dn
1.3.6.1.1.1.1.0 uidNumber
1.3.6.1.1.1.1.1 gidNumber
1.3.6.1.1.1.1.2 gecos
1.3.6.1.1.1.1.3 homeDirectory !exact
1.3.6.1.1.1.1.4 loginShell !exact
1.3.6.1.1.1.1.10 shadowExpire
1.3.6.1.1.1.1.12 memberUid !exact
1.3.6.1.4.1.42.2.27.8.1.17 pwdAccountLockedTime
1.2.840.113556.1.2.102 memberOf !dn
1.2.840.113556.1.2.141 department
1.2.840.113556.1.2.146 company
1.2.840.113556.1.2.210 proxyAddresses
1.2.840.113556.1.2.256 streetAddress
1.2.840.113556.1.4.2 objectGUID !binary
1.2.840.113556.1.4.8 userAccountControl
1.2.840.113556.1.4.35 employeeID
1.2.840.113556.1.4.90 unicodePwd !binary
1.2.840.113556.1.4.98 primaryGroupID
1.2.840.113556.1.4.146 objectSid !binary
1.2.840.113556.1.4.159 accountExpires
1.2.840.113556.1.4.221 sAMAccountName
1.2.840.113556.1.4.656 userPrincipalName
1.2.840.113556.1.4.653 managedBy !dn
1.2.840.113556.1.4.1360 mS-DS-ConsistencyGuid !binary
2.16.840.1.113730.3.1.35 thumbnailPhoto !binary
2.16.840.1.113719.1.1.4.1.501 GUID !binary
1.2.840.113556.1.4.1853 msDS-UserAccountDisabled
krbPrincipalExpiration
ds-pwp-account-disabled
`)

func parseStandard(table string) *schema {
	s := &schema{kinds: map[string]*attributeKind{}}
	for line := range strings.Lines(strings.TrimSpace(table)) {
		k := &attributeKind{}
		fields := strings.Fields(line)
		for _, field := range append(fields[1:], fields[0]) {
			switch field {
			case "!exact":
				k.exact = true
			case "!dn":
				k.dn = true
			case "!binary":
				k.binary = true
			default:
				k.names = append(k.names, field)
			}
		}
		s.add(k)
	}
	return s
}

func (s *schema) add(k *attributeKind) {
	for _, name := range k.names {
		s.kinds[strings.ToLower(name)] = k
	}
}

// readSchema reads the server's subschema (RFC 4512, section 4.2). One that cannot be read leaves the standard schemas.
func (s *session) readSchema(ctx context.Context) error {
	if s.root.subschema == "" || s.root.types.complete {
		return nil
	}
	var values []string
	req := request{base: s.root.subschema, scope: ldap.ScopeBaseObject, filter: "(objectClass=*)",
		attrs: []string{"attributeTypes"}}
	err := s.search(ctx, req, func(e *ldap.Entry) error {
		values = e.GetEqualFoldAttributeValues("attributeTypes")
		return nil
	})
	if isResult(err) {
		return nil //nolint:nilerr // the server does not show its schema
	}
	if err == nil && len(values) > 0 {
		s.root.types = parseSubschema(values)
	}
	return err
}

// parseSubschema reads attribute type descriptions (RFC 4512, section 4.1.2). Types inherit from their supertypes.
func parseSubschema(values []string) *schema {
	s := &schema{kinds: make(map[string]*attributeKind, 2*len(values)), complete: true}
	var all []typeDescription
	for _, v := range values {
		if d := parseType(v); len(d.names) > 0 {
			s.add(&d.attributeKind)
			all = append(all, d)
		}
	}
	byName := map[string]*typeDescription{}
	for i := range all {
		for _, name := range all[i].names {
			byName[strings.ToLower(name)] = &all[i]
		}
	}
	for i := range all {
		equality, syntax := all[i].equality, all[i].syntax
		for sup, depth := all[i].sup, 0; sup != "" && (equality == "" || syntax == "") && depth < 20; depth++ {
			super, ok := byName[strings.ToLower(sup)]
			if !ok {
				break
			}
			equality = cmp.Or(equality, super.equality)
			syntax = cmp.Or(syntax, super.syntax)
			sup = super.sup
		}
		s.kinds[strings.ToLower(all[i].names[0])].judge(equality, syntax)
	}
	return s
}

// judge draws the conclusions from a type's equality rule and syntax. Active Directory's schema has no rules: its
// Unicode strings ignore case, and its other strings do not ([MS-ADTS], section 3.1.1.2.2.4.2).
func (k *attributeKind) judge(equality, syntax string) {
	const base = "1.3.6.1.4.1.1466.115.121.1."
	syntax, _, _ = strings.Cut(strings.Trim(syntax, "'"), "{")
	rule := strings.ToLower(equality)
	k.dn = strings.Contains(rule, "distinguishednamematch") || strings.Contains(rule, "uniquemembermatch") ||
		syntax == base+"12"
	k.binary = slices.Contains([]string{base + "4", base + "5", base + "8", base + "9", base + "10", base + "23",
		base + "28", base + "40"}, syntax)
	switch {
	case rule != "":
		k.exact = !strings.HasPrefix(rule, "caseignore") && !k.dn && rule != "uuidmatch" && rule != "telephonenumbermatch"
	default:
		k.exact = syntax != base+"15" && !k.dn
	}
	if standard := standardSchema.kinds[strings.ToLower(k.names[0])]; standard != nil {
		k.binary = standard.binary
	}
}

// typeDescription is one value of attributeTypes.
type typeDescription struct {
	attributeKind
	sup, equality, syntax string
}

func parseType(text string) (d typeDescription) {
	words := schemaWords(text)
	if len(words) < 2 || words[0] != "(" {
		return d
	}
	oid := words[1]
	for i := 2; i+1 < len(words); i++ {
		switch words[i] {
		case "NAME":
			if words[i+1] != "(" {
				d.names = append(d.names, words[i+1])
				break
			}
			for i += 2; i < len(words) && words[i] != ")"; i++ {
				d.names = append(d.names, words[i])
			}
			continue
		case "SUP":
			d.sup = words[i+1]
		case "EQUALITY":
			d.equality = words[i+1]
		case "SYNTAX":
			d.syntax = words[i+1]
		case "DESC":
		default:
			continue
		}
		i++
	}
	d.names = append(d.names, oid)
	return d
}

// schemaWords splits a description into words, parentheses and quoted texts without their quotes.
func schemaWords(text string) (words []string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimLeft(text, " \t\r\n") {
		switch text[0] {
		case '(', ')':
			words, text = append(words, text[:1]), text[1:]
		case '\'':
			word, rest, _ := strings.Cut(text[1:], "'")
			words, text = append(words, word), rest
		default:
			end := strings.IndexAny(text, " \t\r\n()")
			if end < 0 {
				end = len(text)
			}
			words, text = append(words, text[:end]), text[end:]
		}
	}
	return words
}
