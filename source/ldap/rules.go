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

// dnAttributes are the common attributes of syntax DN.
var dnAttributes = []string{
	"member", "memberof", "uniquemember", "owner", "manager", "seealso", "secretary", "roleoccupant", "distinguishedname",
	"entrydn", "aliasedobjectname", "creatorsname", "modifiersname", "managedby", "directreports", "managedobjects", "parent",
	"lastknownparent", "objectcategory", "memberuser", "primarygroup",
}

// ruleFor returns the equality rule of an attribute. Without a schema it goes by the name; nearly everything that people
// filter by is compared by caseIgnoreMatch.
func ruleFor(attr string) rule {
	base, _, _ := strings.Cut(strings.ToLower(attr), ";")
	switch {
	case slices.Contains(dnAttributes, base):
		return dnRule
	case base == "objectguid" || base == "ms-ds-consistencyguid":
		return bytesRule
	case base == "objectsid":
		return sidRule
	}
	return ignoreCaseRule
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
	"person": "top", "organizationalperson": "person", "inetorgperson": "organizationalperson", "residentialperson": "person",
	"user": "organizationalperson", "computer": "user", "contact": "organizationalperson",
	"msds-managedserviceaccount": "computer", "msds-groupmanagedserviceaccount": "computer",
	"posixaccount": "top", "shadowaccount": "top", "posixgroup": "top", "account": "top",
	"group": "top", "groupofnames": "top", "groupofuniquenames": "top", "groupofurls": "top", "groupofmembers": "top",
	"organization": "top", "organizationalunit": "top", "organizationalrole": "top", "domain": "top", "dcobject": "top", "container": "top",
	"inetuser": "top", "mailrecipient": "top", "ipaobject": "top", "ipausergroup": "nestedgroup", "nestedgroup": "groupofnames",
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
