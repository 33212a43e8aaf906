package config

// What the keys of the file mean, for docs/configuration.md. Types, defaults and what is required come from the code;
// a test fails where a key is missing here or is gone there.

var ldapMeanings = map[string]string{
	"slug": "Names the source in paths, queues and `sources`: 1 to 40 letters, digits, `-` or " +
		"`_`. Do not change it later: it is part of what is stored.",
	"name": "What people call the source; the slug where it is empty.",
	"enabled": "Whether the source is read. One that is switched off keeps its people as they " +
		"were; take it out of the file and of `sources` to let them go.",
	"preset": "A family of servers whose settings are the defaults of the keys below: `active_directory`, `freeipa`, " +
		"`389ds`, `openldap` or `edirectory`. Each key can still be set. See [Presets](#presets).",
	"server_uri": "One or several URIs separated by commas, tried in order: `ldap://`, `ldaps://`, " +
		"or one `file:///….ldif`. Servers that share a name are tried in the order of their IP addresses.",
	"ca_file": "PEM file with the authorities to trust; the system's where it is empty. " +
		"Certificates are always verified.",
	"client_certificate_file": "PEM certificate to present to the server; goes with `client_key_file`.",
	"client_key_file":         "PEM key of that certificate.",
	"start_tls":               "Ask for TLS on an `ldap://` connection before anything else is sent.",
	"tls_server_name":         "The name that the certificate must carry, where it is not the host of the URI.",
	"tls_pin_sha256": "SHA-256 fingerprints of the certificates to trust, separated by commas, whatever their " +
		"authority, names and dates (`openssl x509 -noout -fingerprint -sha256`).",
	"allow_plaintext":     "Permit the bind password to cross a network in the clear.",
	"bind_cn":             "The DN to bind as or, for Active Directory, `user@domain`. Empty binds anonymously.",
	"bind_password_file":  "File with the password.",
	"bind_password_env":   "Name of an environment variable with the password, in place of the file.",
	"base_dn":             "Where users and groups are searched. With a `preset`, the server is asked where it is empty.",
	"additional_user_dn":  "Put in front of `base_dn` for users.",
	"additional_group_dn": "Put in front of `base_dn` for groups.",
	"user_object_filter":  "Which entries are users (RFC 4515).",
	"group_object_filter": "Which entries are groups.",
	"user_membership_field": "The attribute of users with the DNs of their groups, such as `memberOf`, where groups do " +
		"not list their members. It counts beside `group_membership_field`. Several are separated by commas.",
	"group_membership_field": "The group's attribute with its members: DNs, or login names for `memberUid`. " +
		"Several are separated by commas, such as `member,memberUid`.",
	"primary_groups": "Whether the users whose `primaryGroupID` names a group are members of it (Active " +
		"Directory).",
	"leave_out_built_in": "Whether users and groups with `isCriticalSystemObject` are left out (Active " +
		"Directory).",
	"object_uniqueness_field":       "The immutable identifier: `entryUUID`, `objectGUID`, `ipaUniqueID`, `nsUniqueId`.",
	"user_object_uniqueness_field":  "The same for users alone.",
	"group_object_uniqueness_field": "The same for groups alone.",
	"user_name_field":               "The login name; by default `uid`, else `sAMAccountName`, else `cn`.",
	"page_size":                     "How many entries are asked for at once.",
	"connect_timeout":               "Bounds connecting, TLS and binding to one server.",
	"request_timeout":               "How long the server may be silent.",
	"no_address": "What becomes of entries without an address: `hold` (the default) makes a " +
		"conflict of each, `leave_out` leaves those without an account out. The same key of a provider goes before it.",
	"limits":   "How much may leave the source in a day; see Limits.",
	"schedule": "When the source is read; see Schedules. Empty leaves it to the API.",
	"delta": "`auto` asks the server for single changes between the full reads where it can tell them (Active " +
		"Directory, OpenLDAP with overlay syncprov); `off` does not.",
	"delta_every": "How often the server is asked for changes, at least 2s.",
	"sync_users":  "Whether users are read.",
	"sync_groups": "Whether groups are read.",
}

var providerMeanings = map[string]string{
	"id":      "The provider's number in paths, from 1. Do not change it later: it is part of what is stored.",
	"name":    "What people call the provider.",
	"enabled": "Whether the provider is written at all.",
	"sources": "Slugs of the sources that are provisioned; none means all of them.",
	"schedule": "When it is written: see Schedules, or `after_source` for a run after each run of a " +
		"source that changed something. Empty leaves it to the API.",
	"user_delete_action": "What becomes of a user who left: `suspend`, `delete` (suspend, and delete after " +
		"`delete_after`) or `do_nothing`.",
	"group_delete_action": "What becomes of a group that is gone: `do_nothing` or `delete`.",
	"delete_after":        "The grace period between departure and deletion.",
	"adoption": "What becomes of accounts that exist already: `off` leaves them alone, `by_address` " +
		"takes over the one that has the address of exactly one entry.",
	"protected": "Remote ids, addresses and patterns of addresses (`boss@*`) of accounts that are never " +
		"adopted, suspended or deleted.",
	"filter_group": "One group, by its id, DN or cn: only its members, nested ones too, are in scope as users.",
	"user_filter":  "Expression: true for the users that are in scope.",
	"group_filter": "Expression: true for the groups that are in scope.",
	"nested_groups": "`flatten` makes everybody in a nested group a direct member (the default); `keep` " +
		"makes the nested group a member, and flattens groups that contain each other.",
	"exclude": "Entries out of scope: by id, or by patterns of userName, cn (of groups), mail or DN. " +
		"Case does not count.",
	"no_address": "What becomes of entries without an address: `hold` makes a conflict of each, " +
		"`leave_out` leaves those without an account out, and each gets one when it has an address. Empty takes what the " +
		"entry's source says, and `hold` where that says nothing.",
	"rekey_by": "What outlives a re-created directory: an attribute or an expression; by default " +
		"`employeeNumber`, else `mail`.",
	"user_property_mappings":  "Expressions by field; see Mappings.",
	"group_property_mappings": "Expressions by field; see Mappings.",
	"require_approval": "Which plans wait for a person: `guard` (what a guard holds), `first_run` (also the " +
		"first plan, and the first after a change of scope or mapping) or `always`.",
	"limits":          "How much harm a day may see; see Limits.",
	"request_timeout": "Bounds each call.",
}
