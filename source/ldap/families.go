package ldap

import (
	"context"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
)

// familyFilters are filters, and words by which a filter is known to be written for another family.
type familyFilters struct {
	user, group string
	// own and foreign are object classes and attributes, in lower case.
	own, foreign []string
}

var (
	standardClasses = []string{
		"person", "inetorgperson", "organizationalperson", "posixaccount", "account", "shadowaccount",
		"groupofnames", "groupofuniquenames", "groupofmembers", "posixgroup", "ipausergroup", "nestedgroup",
	}
	activeDirectoryWords = []string{"user", "group", "objectcategory", "samaccounttype", "samaccountname",
		"useraccountcontrol", "grouptype"}
)

// families has the filters that fit each family.
var families = map[family]familyFilters{
	activeDirectory: {
		"(&(objectCategory=person)(objectClass=user))", "(&(objectClass=group)(!(isCriticalSystemObject=TRUE)))",
		append([]string{"person", "organizationalperson"}, activeDirectoryWords...), standardClasses[1:],
	},
	openLDAP:     {"(objectClass=inetOrgPerson)", "(objectClass=groupOfNames)", standardClasses, activeDirectoryWords},
	freeIPA:      {"(objectClass=posixAccount)", "(objectClass=ipaUserGroup)", standardClasses, activeDirectoryWords},
	directory389: {"(objectClass=inetOrgPerson)", "(objectClass=groupOfNames)", standardClasses, activeDirectoryWords},
}

// judgeFilter reports a filter that is written for another family, where the family's own finds more.
func (c *checking) judgeFilter(ctx context.Context, s *scope, out *Sample) error {
	f, known := families[family(c.report.Family)]
	if !known || out.More {
		return nil
	}
	words := filterWords(s.filter)
	names := func(list []string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return slices.Contains(list, w) })
	}
	if !names(f.foreign) || names(f.own) {
		return nil
	}
	proper := f.user
	if s.kind == directory.Group {
		proper = f.group
	}
	n, more := 0, false
	req := request{base: s.base, scope: ldap.ScopeWholeSubtree, filter: proper, attrs: []string{ldapNoAttributes},
		paged: true, sample: &more}
	err := c.dir.search(ctx, req, func(*ldap.Entry) error { n++; return nil })
	if err != nil || n <= out.Count {
		return err
	}
	atLeast := ""
	if more {
		atLeast = "at least "
	}
	c.report.fail("%s_object_filter %s is written for another family of servers and finds %d %ss; on %s this one "+
		"finds %s%d: %s_object_filter: %s (and object_uniqueness_field: %s)",
		s.kind, s.filter, out.Count, s.kind, c.report.Family, atLeast, n, s.kind, proper,
		family(c.report.Family).uniqueness())
	return nil
}

// filterWords returns the attributes of a filter and the object classes that it asks for, in lower case.
func filterWords(filter string) (words []string) {
	packet, err := ldap.CompileFilter(filter)
	if err != nil {
		return nil
	}
	walkFilter(packet, func(attr, value string) {
		if strings.EqualFold(attr, "objectClass") {
			words = append(words, strings.ToLower(value))
			return
		}
		words = append(words, strings.ToLower(attr))
	})
	return words
}
