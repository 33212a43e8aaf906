package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// parseDocument returns the one mapping that the file consists of.
func parseDocument(file string, data []byte) (*yaml.Node, Problems) {
	refuse := func(line int, message string) (*yaml.Node, Problems) {
		return nil, Problems{{File: file, Line: line, Message: message}}
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return refuse(0, "is empty: write down a source and a provider")
	case err != nil:
		line, message := explain(err, data)
		return refuse(line, message)
	}
	switch err := dec.Decode(&second); {
	case errors.Is(err, io.EOF):
	case err != nil:
		line, message := explain(err, data)
		return refuse(line, message)
	default:
		return refuse(second.Line, "a second document begins: the file is one document, without ---")
	}
	if len(doc.Content) != 1 || isNull(doc.Content[0]) {
		return refuse(0, "is empty: write down a source and a provider")
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return refuse(root.Line, "want a table that begins with sources:, got "+describe(root))
	}
	return root, nil
}

var (
	syntaxError = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)
	indentTab   = regexp.MustCompile(`^ *\t`)
)

// explain separates the line number from a syntax error. A tab has an error of its own, because the library's text
// about tabs is hard to understand.
func explain(err error, data []byte) (line int, message string) {
	if strings.Contains(err.Error(), "cannot start any token") || strings.Contains(err.Error(), "tab character") {
		for i, text := range strings.Split(string(data), "\n") {
			if indentTab.MatchString(text) {
				return i + 1, "a tab is in the indentation: use blanks"
			}
		}
	}
	m := syntaxError.FindStringSubmatch(strings.Split(err.Error(), "\n")[0])
	if m == nil {
		return 0, "is no YAML: " + err.Error()
	}
	line, _ = strconv.Atoi(m[1])
	return line, "is no YAML: " + m[2]
}

// isNull reports whether nothing stands there.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// describe says what a node is, for people.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a table"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return describe(n.Alias)
	}
	if isNull(n) {
		return "nothing"
	}
	return strconv.Quote(n.Value)
}

// plainFile checks that a file without secrets can be read.
func (k *checker) plainFile(path string, file *string) {
	written := *file
	if !k.absolute(file) {
		return
	}
	f, err := os.Open(*file)
	if err != nil {
		k.fail(path, "%s: %s", written, cause(err))
		return
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		k.fail(path, "%s is a directory", written)
	}
}

// shorten names a file as the configuration does.
func shorten(message, absolute, written string) string {
	message = strings.TrimPrefix(message, "read secret: ")
	message = strings.ReplaceAll(message, absolute, written)
	if !strings.Contains(message, written) {
		message = written + ": " + message
	}
	return message
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// Problem is one mistake.
type Problem struct {
	File string `json:"file"`
	// Line is counted from one; 0 where the mistake is in no line.
	Line int `json:"line,omitempty"`
	// Field is the path of the field, such as sources.ldap[0].base_dn.
	Field   string `json:"field,omitempty"`
	Message string `json:"message"`
}

// String returns the problem as one line: "rollcall.yaml:14: sources.ldap[0].base_dn: …".
func (p Problem) String() string {
	s := p.File
	if p.Line > 0 {
		s = fmt.Sprintf("%s:%d", s, p.Line)
	}
	if p.Field != "" {
		s += ": " + p.Field
	}
	return s + ": " + strings.Join(strings.Fields(p.Message), " ")
}

// Problems are all mistakes of one file, in the order of its lines.
type Problems []Problem

// Error implements error with one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].String()
	}
	return strings.Join(lines, "\n")
}

func compareProblems(a, b Problem) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Field, b.Field), cmp.Compare(a.Message, b.Message))
}

// cause leaves out of a file error what the line says already.
func cause(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err.Error()
	}
	return err.Error()
}

func index(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// sorted returns the problems by line, each once.
func (d *decoder) sorted() Problems {
	slices.SortFunc(d.problems, compareProblems)
	return slices.Compact(d.problems)
}

// What the keys of the file mean, for docs/configuration.md. Types, defaults and what is required come from the code;
// a test fails where a key is missing here or is gone there.

var ldapMeanings = map[string]string{
	"slug": "Names the source in paths, queues and `sources`: 1 to 40 letters, digits, `-` or " +
		"`_`. Do not change it later: it is part of what is stored.",
	"name": "What people call the source; the slug where it is empty.",
	"enabled": "Whether the source is read. One that is switched off keeps its people as they " +
		"were; take it out of the file and of `sources` to let them go.",
	"preset": "A family of servers whose settings are the defaults of the keys below: " +
		"`active_directory`, `freeipa`, `389ds`, `openldap` or `edirectory`. Each key can still be set. See " +
		"[Presets](#presets).",
	"server_uri": "One or several URIs separated by commas, tried in order: `ldap://`, `ldaps://`, " +
		"or one `file:///….ldif`.",
	"ca_file": "PEM file with the authorities to trust; the system's where it is empty. " +
		"Certificates are always verified.",
	"client_certificate_file": "PEM certificate to present to the server; goes with `client_key_file`.",
	"client_key_file":         "PEM key of that certificate.",
	"start_tls":               "Ask for TLS on an `ldap://` connection before anything else is sent.",
	"tls_server_name":         "The name that the certificate must carry, where it is not the host of the URI.",
	"allow_plaintext":         "Permit the bind password to cross a network in the clear.",
	"bind_cn":                 "The DN to bind as or, for Active Directory, `user@domain`. Empty binds anonymously.",
	"bind_password_file":      "File with the password.",
	"bind_password_env":       "Name of an environment variable with the password, in place of the file.",
	"base_dn": "Where users and groups are searched. With a `preset`, the server is asked where " +
		"it is empty.",
	"additional_user_dn":  "Put in front of `base_dn` for users.",
	"additional_group_dn": "Put in front of `base_dn` for groups.",
	"user_object_filter":  "Which entries are users (RFC 4515).",
	"group_object_filter": "Which entries are groups.",
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
	"limits":      "How much may leave the source in a day; see Limits.",
	"schedule":    "When the source is read; see Schedules. Empty leaves it to the API.",
	"sync_users":  "Whether users are read.",
	"sync_groups": "Whether groups are read.",
}

var providerMeanings = map[string]string{
	"id": "The provider's number in paths, from 1. Do not change it later: it is part of what is " +
		"stored.",
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
