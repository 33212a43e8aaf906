package graph

import (
	"slices"
	"strings"
)

// valueType is the type of a property in storage and in responses.
type valueType uint8

const (
	text valueType = iota
	boolean
	moment
	integer
	texts    // Collection(Edm.String)
	complex1 // one value of a complex type
	complexN // a collection of them
)

// rule is a set of allowed uses of a property besides reading it.
type rule uint16

const (
	readOnly  rule = 1 << iota // refused in POST and PATCH
	fixed                      // taken in POST, refused in PATCH
	filterEq                   // $filter eq, in
	startsTo                   // $filter startsWith
	elsewhere                  // kept outside the directory: 501 in lists and delta
	required                   // cannot be cleared
	sensitive                  // of an administrator, only another administrator changes it
	hidden                     // never shown
)

// property is one property of a kind.
type property struct {
	name string
	typ  valueType
	rule rule
	max  int // of a text's length; 0 is without limit
}

func (p *property) is(r rule) bool { return p.rule&r != 0 }

// kind is an entity type.
type kind struct {
	name       string // "user"
	set        string // "users"
	title      string // "User", as error messages have it
	properties map[string]*property
	folded     map[string]*property // by lower-case name
	defaults   []*property          // what is shown without $select
}

func newKind(name, set, title string, defaults []string, properties ...property) *kind {
	k := &kind{name: name, set: set, title: title, properties: map[string]*property{}, folded: map[string]*property{}}
	for i := range properties {
		p := &properties[i]
		k.properties[p.name] = p
		k.folded[strings.ToLower(p.name)] = p
	}
	for _, name := range defaults {
		k.defaults = append(k.defaults, k.properties[name])
	}
	return k
}

// property returns the property of that name, or nil. Graph ignores the case of names.
func (k *kind) property(name string) *property {
	if p := k.properties[name]; p != nil {
		return p
	}
	return k.folded[strings.ToLower(name)]
}

// many makes properties of one type and rule.
func many(typ valueType, r rule, names ...string) []property {
	list := make([]property, 0, len(names))
	for _, name := range names {
		list = append(list, property{name: name, typ: typ, rule: r})
	}
	return list
}

var userKind = newKind("user", "users", "User",
	[]string{
		"businessPhones", "displayName", "givenName", "jobTitle", "mail", "mobilePhone", "officeLocation",
		"preferredLanguage",
		"surname", "userPrincipalName", "id",
	},
	slices.Concat(
		[]property{
			{"id", text, readOnly | filterEq, 0},
			{"accountEnabled", boolean, filterEq | required | sensitive, 0},
			{"businessPhones", texts, filterEq | sensitive, 64},
			{"city", text, filterEq | startsTo, 128},
			{"companyName", text, filterEq | startsTo, 64},
			{"country", text, filterEq | startsTo, 128},
			{"department", text, filterEq, 64},
			{"displayName", text, filterEq | startsTo | required, 256},
			{"employeeId", text, filterEq | startsTo, 16},
			{"employeeType", text, filterEq | startsTo, 128},
			{"givenName", text, filterEq | startsTo, 64},
			{"jobTitle", text, filterEq | startsTo, 128},
			{"mail", text, filterEq | startsTo, 256},
			{"mailNickname", text, filterEq | startsTo | required, 64},
			{"mobilePhone", text, sensitive, 64},
			{"officeLocation", text, 0, 128},
			{"onPremisesImmutableId", text, filterEq | sensitive, 256},
			{"otherMails", texts, filterEq | sensitive, 250},
			{"passwordProfile", complex1, hidden | sensitive, 0},
			{"postalCode", text, 0, 40},
			{"preferredLanguage", text, 0, 64},
			{"state", text, filterEq, 128},
			{"streetAddress", text, 0, 1024},
			{"surname", text, filterEq | startsTo, 64},
			{"usageLocation", text, filterEq | startsTo | required, 2},
			{"userPrincipalName", text, filterEq | startsTo | required | sensitive, 113},
			{"userType", text, filterEq, 0},
			{"onPremisesSyncEnabled", boolean, readOnly | filterEq, 0},
			{"onPremisesDistinguishedName", text, readOnly, 0},
			{"onPremisesSamAccountName", text, readOnly | filterEq | startsTo, 0},
			{"onPremisesSecurityIdentifier", text, readOnly | filterEq, 0},
			{"proxyAddresses", texts, readOnly | filterEq, 0},
		},
		many(text, 0, "ageGroup", "consentProvidedForMinor", "faxNumber", "passwordPolicies", "preferredDataLocation"),
		many(boolean, 0, "showInAddressList"),
		many(moment, 0, "employeeHireDate", "employeeLeaveDateTime"),
		many(complex1, 0, "employeeOrgData", "onPremisesExtensionAttributes"),
		many(text, readOnly, "creationType", "externalUserState", "identityParentId", "legalAgeGroupClassification",
			"onPremisesDomainName", "onPremisesUserPrincipalName", "securityIdentifier"),
		many(boolean, readOnly, "isManagementRestricted", "isResourceAccount"),
		many(moment, readOnly, "createdDateTime", "deletedDateTime", "externalUserStateChangeDateTime",
			"lastPasswordChangeDateTime",
			"onPremisesLastSyncDateTime", "signInSessionsValidFromDateTime"),
		many(texts, readOnly, "imAddresses"),
		many(complex1, readOnly, "authorizationInfo", "customSecurityAttributes"),
		many(complexN, readOnly, "assignedLicenses", "assignedPlans", "identities", "licenseAssignmentStates",
			"onPremisesProvisioningErrors", "provisionedPlans", "serviceProvisioningErrors"),
		many(text, elsewhere, "aboutMe", "mySite", "preferredName"),
		many(moment, elsewhere, "birthday", "hireDate"),
		many(texts, elsewhere, "interests", "pastProjects", "responsibilities", "schools", "skills"),
		many(integer, elsewhere, "deviceEnrollmentLimit"),
		many(complex1, elsewhere, "mailboxSettings", "print", "signInActivity"),
	)...)

var groupKind = newKind("group", "groups", "Group",
	[]string{
		"id", "deletedDateTime", "classification", "createdDateTime", "description", "displayName", "expirationDateTime",
		"groupTypes",
		"isAssignableToRole", "mail", "mailEnabled", "mailNickname", "membershipRule", "membershipRuleProcessingState",
		"onPremisesDomainName", "onPremisesLastSyncDateTime", "onPremisesNetBiosName", "onPremisesSamAccountName",
		"onPremisesSecurityIdentifier", "onPremisesSyncEnabled", "preferredDataLocation", "preferredLanguage",
		"proxyAddresses",
		"renewedDateTime", "resourceBehaviorOptions", "resourceProvisioningOptions", "securityEnabled",
		"securityIdentifier", "theme",
		"uniqueName", "visibility", "onPremisesProvisioningErrors", "serviceProvisioningErrors",
	},
	slices.Concat(
		[]property{
			{"id", text, readOnly | filterEq, 0},
			{"classification", text, 0, 0},
			{"description", text, filterEq | startsTo, 1024},
			{"displayName", text, filterEq | startsTo | required, 256},
			{"groupTypes", texts, filterEq, 0},
			{"isAssignableToRole", boolean, fixed | filterEq, 0},
			{"mailEnabled", boolean, filterEq | required, 0},
			{"mailNickname", text, filterEq | startsTo | required, 64},
			{"securityEnabled", boolean, filterEq | required, 0},
			{"uniqueName", text, readOnly, 128},
			{"visibility", text, 0, 0},
			{"mail", text, readOnly | filterEq | startsTo, 0},
			{"onPremisesSyncEnabled", boolean, readOnly | filterEq, 0},
			{"onPremisesSamAccountName", text, readOnly | filterEq | startsTo, 0},
			{"onPremisesSecurityIdentifier", text, readOnly | filterEq, 0},
			{"membershipRule", text, 0, 0},
			{"membershipRuleProcessingState", text, 0, 0},
		},
		many(text, 0, "preferredDataLocation", "preferredLanguage", "theme"),
		many(texts, fixed, "resourceBehaviorOptions", "resourceProvisioningOptions"),
		many(text, readOnly, "accessType", "onPremisesDomainName", "onPremisesNetBiosName", "organizationId",
			"securityIdentifier"),
		many(boolean, readOnly, "hasMembersWithLicenseErrors", "isManagementRestricted"),
		many(moment, readOnly, "createdDateTime", "deletedDateTime", "expirationDateTime", "onPremisesLastSyncDateTime",
			"renewedDateTime"),
		many(texts, readOnly, "infoCatalogs"),
		many(texts, readOnly|filterEq, "proxyAddresses"),
		many(complex1, readOnly, "licenseProcessingState", "onPremisesExtensionAttributes"),
		many(complexN, readOnly, "assignedLabels", "assignedLicenses", "onPremisesProvisioningErrors",
			"serviceProvisioningErrors"),
		many(boolean, elsewhere, "allowExternalSenders", "autoSubscribeNewMembers", "hideFromAddressLists",
			"hideFromOutlookClients",
			"isArchived", "isFavorite", "isSubscribedByMail", "welcomeMessageEnabled"),
		many(integer, elsewhere, "unseenConversationsCount", "unseenCount", "unseenMessagesCount"),
	)...)

var roleKind = newKind("directoryRole", "directoryRoles", "DirectoryRole",
	[]string{"id", "deletedDateTime", "description", "displayName", "roleTemplateId"},
	property{"id", text, readOnly | filterEq, 0},
	property{"deletedDateTime", moment, readOnly, 0},
	property{"description", text, readOnly, 0},
	property{"displayName", text, readOnly | filterEq, 0},
	property{"roleTemplateId", text, readOnly | filterEq, 0},
)
