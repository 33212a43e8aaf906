// Package mapping turns the local directory into what one provider should have. It decides scope, resolves nested
// groups and evaluates the mapping expressions, before anything is compared.
//
// Expressions are written in expr-lang/expr and compiled when the configuration is read. They see an entry under
// SCIM's names (userName, givenName, …) and any attribute of the directory as ldap.<name> (one value) or
// ldap_all.<name> (all of them). Attributes reports which ones they name, and sources ask for no others.
package mapping

// Field describes one remote field that a mapping may set, in the provider's own words.
type Field struct {
	// Name is the provider's name: "name.givenName", "orgUnitPath".
	Name string
	// Default is the expression that is used where the configuration says nothing; empty leaves the field alone.
	Default string
	// Required says that an empty value holds the entry.
	Required bool
	// MaxLength in characters (not bytes); 0 means no limit. A longer value holds the entry.
	MaxLength int
	// Check returns why the remote side never takes a value, with the vendor's page; nil takes every value. Such a value
	// holds the entry.
	Check func(value string) error
	// MultiLine says that the value may have several lines: CR, LF and TAB are allowed. Other control characters and bidi
	// overrides are never written.
	MultiLine bool
	// Many says that the expression may give a list.
	Many bool
	// Bool says that the value is a truth. The expression gives true or false, or a text of the directory with that
	// meaning. The field holds "true" or "false".
	Bool bool
	// CreateOnly fields are set when the object is created and never compared again.
	CreateOnly bool
	// Doc is one line for docs/configuration.md.
	Doc string
}

// Spec is what a provider lets mappings set.
type Spec struct {
	User, Group []Field
	// UserAddress and GroupAddress are the default expressions of the address (plan.AddressField in the configuration).
	UserAddress, GroupAddress string
	// CheckUserAddress and CheckGroupAddress return why the remote side never takes an address, with the vendor's page;
	// nil takes every address. Such an address holds the entry.
	CheckUserAddress, CheckGroupAddress func(address string) error
}
