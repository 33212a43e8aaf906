package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/source"
)

// rule brings a value into the form in which it is compared; false for one that the attribute cannot have.
type rule func(string) (string, bool)

func ignoreCaseRule(v string) (string, bool) { return prepare(v), true }

func exactRule(v string) (string, bool) { return squeeze(v), true }

func bytesRule(v string) (string, bool) { return v, true }

func dnRule(v string) (string, bool) {
	norm, err := NormalizeDN(v)
	return norm, err == nil
}

// sidRule takes Active Directory's text form in assertions too.
func sidRule(v string) (string, bool) {
	if text, err := sidText([]byte(v)); err == nil {
		return text, true
	}
	return strings.ToUpper(v), true
}

// ruleFor returns the equality rule of an attribute by the standard schemas. Nearly everything that filters ask for is
// compared by caseIgnoreMatch, so attributes that they do not have are, too.
func ruleFor(attr string) rule {
	kind := standardSchema.kind(attr)
	switch base, _, _ := strings.Cut(strings.ToLower(attr), ";"); {
	case base == "objectsid":
		return sidRule
	case slices.Contains(linkAttributes, base), kind != nil && kind.dn:
		return dnRule
	case kind != nil && kind.binary:
		return bytesRule
	case kind != nil && kind.exact:
		return exactRule
	}
	return ignoreCaseRule
}

// linkAttributes are attributes of syntax DN that the standard schemas do not have.
var linkAttributes = []string{
	"aliasedobjectname", "directreports", "managedobjects", "parent", "lastknownparent", "objectcategory", "memberuser",
	"primarygroup",
}

// valuesOf returns an entry's values of an attribute and its subtypes by options (RFC 4512, section 2.5.2).
func valuesOf(e *ldap.Entry, attr string) []string {
	var values []string
	for _, a := range e.Attributes {
		switch {
		case !describes(attr, a.Name):
		case values == nil:
			values = a.Values
		default:
			values = slices.Concat(values, a.Values)
		}
	}
	return values
}

// describes reports whether the description asked for covers name: cn covers cn;lang-de and commonName.
func describes(asked, name string) bool {
	if len(asked) == len(name) && strings.EqualFold(asked, name) {
		return true
	}
	base, options, _ := strings.Cut(name, ";")
	askedBase, askedOptions, _ := strings.Cut(asked, ";")
	if askedOptions != "" && !strings.EqualFold(askedOptions, options) {
		return false
	}
	return shortType(base) == shortType(askedBase)
}

// superclasses has the object classes of the standard schemas (RFC 4519, 2798, 2307, Active Directory). A server knows
// that an inetOrgPerson is a person. An export from OpenLDAP says so only if the entry was written with both classes.
var superclasses = map[string]string{
	"person": "top", "organizationalperson": "person", "inetorgperson": "organizationalperson",
	"residentialperson": "person",
	"user":              "organizationalperson", "computer": "user", "contact": "organizationalperson",
	"msds-managedserviceaccount": "computer", "msds-groupmanagedserviceaccount": "computer",
	"posixaccount": "top", "shadowaccount": "top", "posixgroup": "top", "account": "top",
	"group": "top", "groupofnames": "top", "groupofuniquenames": "top", "groupofurls": "top", "groupofmembers": "top",
	"organization": "top", "organizationalunit": "top", "organizationalrole": "top", "domain": "top", "dcobject": "top",
	"container": "top",
	"inetuser":  "top", "mailrecipient": "top", "ipaobject": "top", "ipausergroup": "nestedgroup",
	"nestedgroup": "groupofnames",
}

// isClass reports whether class is want or has it above itself; both are lower case.
func isClass(class, want string) bool {
	if want == "top" {
		return true
	}
	for ; class != want; class = superclasses[class] {
		if class == "" {
			return false
		}
	}
	return true
}

// conflictAttribute marks the conflict objects of 389 Directory Server and FreeIPA.
const conflictAttribute = "nsds5ReplConflict"

// conflictName reports whether replication made the RDN of an entry, because one name was added on two servers. On
// Active Directory the value of such an RDN ends with a line feed, CNF: and a GUID. On 389 Directory Server the RDN has
// nsuniqueid.
func conflictName(dn string) bool {
	if lower := strings.ToLower(dn); !strings.Contains(lower, "cnf:") && !strings.Contains(lower, "nsuniqueid=") {
		return false
	}
	for _, part := range ownRDN(dn) {
		if strings.EqualFold(part.attr, "nsuniqueid") {
			return true
		}
		if _, guid, ok := strings.Cut(strings.ToLower(part.value), "\ncnf:"); ok { // Some tools write DNs in lower case.
			if _, err := guidAssertion(strings.TrimSpace(guid)); err == nil {
				return true
			}
		}
	}
	return false
}

// tombstone reports whether an entry of an export was deleted. Active Directory marks such an entry with isDeleted
// ([MS-ADTS], section 3.1.1.5.5), and 389 Directory Server with an object class.
func tombstone(e *ldap.Entry) bool {
	return strings.EqualFold(e.GetEqualFoldAttributeValue("isDeleted"), "TRUE") ||
		slices.ContainsFunc(e.GetEqualFoldAttributeValues("objectClass"),
			func(class string) bool { return strings.EqualFold(class, "nsTombstone") })
}

// Bounds of what is told about members that are left out: in the messages of a run, and in an explanation of a group.
const (
	namedInMessages = 20
	mostLeftOut     = 200
)

// notThere is the reason for a value that names no entry. A server that hides an entry answers as if it were absent.
const notThere = "no such entry, or the bind account may not see it"

// leftOut collects the values of groups that lead to no usable entry.
type leftOut struct {
	// values are the first of them; groups has the DN of the group of each.
	values []source.LeftOut
	groups []string
	// count is how many values there are, and in counts how many groups they are.
	count, in int
	last      string
	// moved maps the first RDN of the entries in scope to their DNs; nil until it is needed.
	moved map[string][]string
}

// leaveOut records a value that leads to no usable entry.
func (r *reading) leaveOut(x *memberIndex, g *record, field int, value string) {
	l, key := &r.left, x.key(field, value)
	if l.count++; l.last != g.norm {
		l.in, l.last = l.in+1, g.norm
	}
	if len(l.values) == mostLeftOut {
		return
	}
	l.values = append(l.values, source.LeftOut{Value: value, Reason: r.whyLeftOut(x, field, key)})
	l.groups = append(l.groups, g.DN)
}

// whyLeftOut returns the reason why the value with this key leads to no usable entry.
func (r *reading) whyLeftOut(x *memberIndex, field int, key string) string {
	switch _, _, several := x.refs.find(key); {
	case several:
		return "several entries may have this name"
	case x.fields[field].byLogin:
		return "no user in scope has this login name"
	case key == "":
		return "it is not a DN"
	case !r.mayBeInScope(key):
		return "it is outside the searched bases"
	case x.reasons[key] != "" && x.reasons[key] != notThere:
		return x.reasons[key]
	}
	reason := notThere
	if x.reasons[key] == "" {
		reason = "no entry in scope has this DN"
	}
	if dns := r.namesakes(looseDN(key)); len(dns) == 1 {
		reason += fmt.Sprintf("; %s has the same name: if that entry was moved, repair the value in the directory", dns[0])
	}
	return reason
}

// namesakes returns the DNs of the entries in scope that have the same RDN elsewhere, as an entry has whose
// container was renamed on a server without referential integrity.
func (r *reading) namesakes(key string) []string {
	if r.left.moved == nil {
		r.left.moved = map[string][]string{}
		for rec := range r.seen() {
			rdn := firstRDN(rec.norm)
			r.left.moved[rdn] = append(r.left.moved[rdn], rec.DN)
		}
	}
	return r.left.moved[firstRDN(key)]
}

// findNamesakes looks for the entries in scope that have the names of some of the entries that are not there, for a
// read of a few entries has no others.
func (r *reading) findNamesakes(ctx context.Context, x *memberIndex) error {
	r.left.moved = map[string][]string{}
	var parts []naming
	for _, key := range slices.Sorted(maps.Keys(x.reasons)) {
		if rdn := ownRDN(key); x.reasons[key] == notThere && len(rdn) == 1 && !rdn[0].final && len(parts) < batch {
			parts = append(parts, rdn[0])
		}
	}
	if len(parts) == 0 {
		return nil
	}
	names := "(|"
	for _, p := range parts {
		names += "(" + p.attr + "=" + ldap.EscapeFilter(p.value) + ")"
	}
	for _, s := range r.scopes() {
		if !s.enabled {
			continue
		}
		err := r.each(ctx, s.base, "(&"+s.filter+names+"))", []string{ldapNoAttributes}, func(e *ldap.Entry) {
			if norm, err := NormalizeDN(e.DN); err == nil {
				r.left.moved[firstRDN(norm)] = append(r.left.moved[firstRDN(norm)], e.DN)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// firstRDN returns the first RDN of a normalised DN.
func firstRDN(norm string) string {
	for i := range len(norm) {
		if separates(norm, i) {
			return norm[:i]
		}
	}
	return norm
}

// note is the message of a run about the values; "" where there is none.
func (l *leftOut) note() string {
	if l.count == 0 {
		return ""
	}
	var named []string
	for i, v := range l.values[:min(len(l.values), namedInMessages)] {
		named = append(named, fmt.Sprintf("%s of %s (%s)", v.Value, l.groups[i], v.Reason))
	}
	note := fmt.Sprintf("%d members of %d groups are neither users nor groups in scope and were left out: %s",
		l.count, l.in, strings.Join(named, "; "))
	if more := l.count - len(named); more > 0 {
		note += fmt.Sprintf("; and %d more", more)
	}
	return note
}
