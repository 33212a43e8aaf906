package config

// What the keys of the file mean, for docs/configuration.md. Types, defaults and what is required come from the code;
// a test fails where a key is missing here or is gone there.

var ldapMeanings = map[string]string{
	"slug":                          "Names the source in paths, queues and `sources`: 1 to 40 letters, digits, `-` or `_`. Do not change it later: it is part of what is stored.",
	"name":                          "What people call the source; the slug where it is empty.",
	"enabled":                       "Whether the source is read. One that is switched off keeps its people as they were; take it out of the file and of `sources` to let them go.",
	"server_uri":                    "One or several URIs separated by commas, tried in order: `ldap://`, `ldaps://`, or one `file:///….ldif`.",
	"ca_file":                       "PEM file with the authorities to trust; the system's where it is empty. Certificates are always verified.",
	"client_certificate_file":       "PEM certificate to present to the server; goes with `client_key_file`.",
	"client_key_file":               "PEM key of that certificate. A secret file.",
	"start_tls":                     "Ask for TLS on an `ldap://` connection before anything else is sent.",
	"tls_server_name":               "The name that the certificate must carry, where it is not the host of the URI.",
	"allow_plaintext":               "Permit the bind password to cross a network in the clear.",
	"bind_cn":                       "The DN to bind as or, for Active Directory, `user@domain`. Empty binds anonymously.",
	"bind_password_file":            "File with the password. A secret file.",
	"bind_password_env":             "Name of an environment variable with the password, in place of the file.",
	"base_dn":                       "Where users and groups are searched.",
	"additional_user_dn":            "Put in front of `base_dn` for users.",
	"additional_group_dn":           "Put in front of `base_dn` for groups.",
	"user_object_filter":            "Which entries are users (RFC 4515).",
	"group_object_filter":           "Which entries are groups.",
	"group_membership_field":        "The group's attribute with its members: DNs, or login names for `memberUid`.",
	"object_uniqueness_field":       "The immutable identifier: `entryUUID`, `objectGUID`, `ipaUniqueID`, `nsUniqueId`.",
	"user_object_uniqueness_field":  "The same for users alone.",
	"group_object_uniqueness_field": "The same for groups alone.",
	"user_name_field":               "The login name; by default `uid`, else `sAMAccountName`, else `cn`.",
	"page_size":                     "How many entries are asked for at once.",
	"connect_timeout":               "Bounds connecting, TLS and binding to one server.",
	"request_timeout":               "How long the server may be silent.",
	"schedule":                      "When the source is read; see Schedules. Empty leaves it to the API.",
	"sync_users":                    "Whether users are read.",
	"sync_groups":                   "Whether groups are read.",
}

var providerMeanings = map[string]string{
	"id":                      "The provider's number in paths, from 1. Do not change it later: it is part of what is stored.",
	"name":                    "What people call the provider.",
	"enabled":                 "Whether the provider is written at all.",
	"sources":                 "Slugs of the sources that are provisioned; none means all of them.",
	"schedule":                "When it is written: see Schedules, or `after_source` for a run after each run of a source that changed something. Empty leaves it to the API.",
	"user_delete_action":      "What becomes of a user who left: `suspend`, `delete` (suspend, and delete after `delete_after`) or `do_nothing`.",
	"group_delete_action":     "What becomes of a group that is gone: `do_nothing` or `delete`.",
	"delete_after":            "The grace period between departure and deletion.",
	"adoption":                "What becomes of accounts that exist already: `off` leaves them alone, `by_address` takes over the one that has the address of exactly one entry.",
	"protected":               "Remote ids, addresses and patterns of addresses (`boss@*`) of accounts that are never adopted, suspended or deleted.",
	"filter_group":            "One group, by its id, DN or cn: only its members, nested ones too, are in scope as users.",
	"user_filter":             "Expression: true for the users that are in scope.",
	"group_filter":            "Expression: true for the groups that are in scope.",
	"nested_groups":           "`flatten` makes everybody in a nested group a direct member (the default); `keep` makes the nested group a member, and flattens groups that contain each other.",
	"exclude":                 "Entries out of scope: by id, or by patterns of userName, cn (of groups), mail or DN. Case does not count.",
	"rekey_by":                "What outlives a re-created directory: an attribute or an expression; by default `employeeNumber`, else `mail`.",
	"user_property_mappings":  "Expressions by field; see Mappings.",
	"group_property_mappings": "Expressions by field; see Mappings.",
	"require_approval":        "Which plans wait for a person: `guard` (what a guard holds), `first_run` (also the first plan, and the first after a change of scope or mapping) or `always`.",
	"request_timeout":         "Bounds each call.",
}

var googleMeanings = map[string]string{
	"delegated_subject":          "The administrator in whose name the service account acts.",
	"credentials_file":           "JSON key of a service account with domain-wide delegation. A secret file.",
	"customer":                   "The customerId of the account.",
	"default_group_email_domain": "The domain of the addresses that are made for groups: `domain` in expressions.",
	"endpoint":                   "Root of the API; plain http is for tests on this machine only.",
	"max_requests_per_second":    "What all workers together may use of the quota. A quarter of it may create users: Google allows 40 calls and 10 new users a second.",
}

var entraMeanings = map[string]string{
	"tenant_id":                 "The tenant's id, or one of its domains.",
	"client_id":                 "The id of the app registration. It needs the application permissions `User.ReadWrite.All`, `Group.ReadWrite.All`, `Directory.Read.All` and `Domain.Read.All`, with an administrator's consent.",
	"client_secret_file":        "A client secret of the app. It, `certificate_file` or a workload identity is needed. A secret file.",
	"certificate_file":          "A certificate of the app with its private key, as PEM or PKCS #12. A secret file.",
	"certificate_password_file": "The password of that file. A secret file.",
	"federated_token_file":      "The token of a workload identity (Kubernetes).",
	"workload_identity":         "Take the path of that token from `AZURE_FEDERATED_TOKEN_FILE`.",
	"authority":                 "The sign-in service: `https://login.microsoftonline.us/` or `https://login.chinacloudapi.cn/` for other clouds.",
	"endpoint":                  "Microsoft Graph with its version: `https://graph.microsoft.us/v1.0`, `https://microsoftgraph.chinacloudapi.cn/v1.0`.",
	"ca_file":                   "More certificate authorities, as PEM: for a private endpoint or the simulator.",
	"max_requests_per_second":   "What all workers together may use of the quota, in resource units.",
	"max_writes_per_second":     "The same for writes.",
}
