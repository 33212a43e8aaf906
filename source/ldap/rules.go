package ldap

import (
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
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
		if !describes(attr, a.Name) {
			continue
		}
		if values == nil {
			values = a.Values
			continue
		}
		values = slices.Concat(values, a.Values)
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

// superclasses has the object classes of the standard schemas (RFC 4519, 2798, 2307, Active Directory): a server knows
// that an inetOrgPerson is a person, and an export from OpenLDAP says so only where the entry was written so.
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

// conflictName reports whether an entry's own RDN is what replication leaves where one name was added on two
// servers: on Active Directory a value that ends with a line feed, CNF: and a GUID; on 389 Directory Server an RDN
// with nsuniqueid.
func conflictName(dn string) bool {
	if !strings.Contains(dn, "CNF:") && !strings.Contains(strings.ToLower(dn), "nsuniqueid=") {
		return false
	}
	for _, part := range ownRDN(dn) {
		if strings.EqualFold(part.attr, "nsuniqueid") {
			return true
		}
		if _, guid, ok := strings.Cut(part.value, "\nCNF:"); ok {
			if _, err := guidAssertion(strings.TrimSpace(guid)); err == nil {
				return true
			}
		}
	}
	return false
}
