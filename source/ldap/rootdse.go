package ldap

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// rootDSE is what a server says about itself (RFC 4512, section 5.1). A server may hide it.
type rootDSE struct {
	vendor, version string
	controls        []string
	contexts        []string
	family          family
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
	"forestFunctionality", "dsServiceName",
}

// probe reads the root DSE. One that cannot be read is no error: then nothing is known about the server.
func (s *session) probe(ctx context.Context) error {
	s.root = &rootDSE{family: unknownFamily}
	req := ldap.NewSearchRequest("", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", rootAttributes, nil)
	_, err := s.page(ctx, "read the root DSE of "+s.String(), req, func(e *ldap.Entry) error {
		s.root = parseRootDSE(e)
		return nil
	})
	if _, answered := errors.AsType[*resultError](err); answered {
		return nil
	}
	return err
}

func parseRootDSE(e *ldap.Entry) *rootDSE {
	r := &rootDSE{
		vendor: e.GetEqualFoldAttributeValue("vendorName"), version: e.GetEqualFoldAttributeValue("vendorVersion"),
		controls: e.GetEqualFoldAttributeValues("supportedControl"), contexts: e.GetEqualFoldAttributeValues("namingContexts"),
	}
	r.family = familyOf(r, e)
	return r
}

// familyOf goes by what each server alone says: Active Directory (and Samba's) by a capability's OID, OpenLDAP by its
// root's object class, FreeIPA by the naming context of its authority.
func familyOf(r *rootDSE, e *ldap.Entry) family {
	const capabilityActiveDirectory = "1.2.840.113556.1.4.800"
	switch {
	case slices.Contains(e.GetEqualFoldAttributeValues("supportedCapabilities"), capabilityActiveDirectory),
		e.GetEqualFoldAttributeValue("forestFunctionality") != "":
		return activeDirectory
	case slices.ContainsFunc(e.GetEqualFoldAttributeValues("objectClass"), func(c string) bool { return strings.EqualFold(c, "OpenLDAProotDSE") }):
		return openLDAP
	case slices.ContainsFunc(r.contexts, func(c string) bool { return strings.EqualFold(c, "o=ipaca") }):
		return freeIPA
	case strings.Contains(r.vendor, "389 Project"), strings.HasPrefix(r.version, "389-Directory"):
		return directory389
	}
	return unknownFamily
}
