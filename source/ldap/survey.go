package ldap

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"rollcall/directory"
	"rollcall/fault"
)

// Detect connects to the first server of a configuration, or opens its file, and returns the preset that fits, and
// the bases that may have people. It is one base if the directory names it. The preset is empty for an unknown family.
func Detect(ctx context.Context, c Config) (preset string, bases []string, err error) {
	c.SyncUsers, c.SyncGroups = true, true
	if c.BaseDN == "" {
		c.BaseDN = "dc=unknown" // not searched
	}
	s, err := New(c, nil, Options{})
	if err != nil {
		return "", nil, err
	}
	dir, err := s.open(ctx)
	if err != nil {
		return "", nil, err
	}
	defer dir.close()
	if f, ok := dir.(*file); ok {
		return f.preset(), slices.DeleteFunc([]string{f.root()}, func(dn string) bool { return dn == "" }), nil
	}
	root := dir.about()
	return familyPresets[root.family], root.bases(), nil
}

// familyPresets has the preset of each family that a server tells.
var familyPresets = map[family]string{
	activeDirectory: PresetActiveDirectory, freeIPA: PresetFreeIPA, directory389: Preset389, openLDAP: PresetOpenLDAP,
}

// preset returns the preset with the unique id of an export's entries.
func (f *file) preset() string {
	for _, name := range []string{PresetActiveDirectory, PresetFreeIPA, Preset389, PresetOpenLDAP, PresetEDirectory} {
		unique := PresetConfig(name).ObjectUniquenessField
		has := func(e fileEntry) bool { return len(e.GetEqualFoldRawAttributeValues(unique)) > 0 }
		if slices.ContainsFunc(f.entries, has) {
			return name
		}
	}
	return ""
}

// root returns the part of the DN that all entries of an export have in common, as the first entry has it. Entries with
// a DN that cannot be read do not count.
func (f *file) root() string {
	first := slices.IndexFunc(f.entries, func(e fileEntry) bool { return e.norm != "" })
	if first < 0 {
		return ""
	}
	dn, err := ldap.ParseDN(f.entries[first].DN)
	if err != nil {
		return ""
	}
	for i := range dn.RDNs {
		base := (&ldap.DN{RDNs: dn.RDNs[i:]}).String()
		norm, err := NormalizeDN(base)
		if err == nil && !slices.ContainsFunc(f.entries, func(e fileEntry) bool {
			return e.norm != "" && !under(e.norm, norm)
		}) {
			return base
		}
	}
	return ""
}

// Survey is what a directory has, as a configuration reads it.
type Survey struct {
	Server string
	// Users and Groups are what is in scope; Inactive and Addressless count users of them.
	Users, Groups, Inactive, Addressless int
	// Domains and Containers count users by the domain of mail and by the DN above them.
	Domains, Containers map[string]int
	// Filled counts the users who have each of the attributes that were asked for.
	Filled map[string]int
	// WithoutMail are the DNs of the users without mail, at most 10. Nameless are those with mail and without
	// givenName.
	WithoutMail, Nameless []string
	// Shared are the addresses that several active users have, with the DNs.
	Shared []string
	// Classes count what is below the base by object class, and OutOfScope the people and groups there that are not
	// read, by the reason.
	Classes, OutOfScope map[string]int
	// Findings are entries that cannot be used. Notes are those of the read.
	Findings []directory.Finding
	Notes    []string
}

// Survey reads the directory once and counts what is in it. The attributes are those of New.
func (s *Source) Survey(ctx context.Context) (*Survey, error) {
	snap, err := s.Read(ctx, directory.Query{})
	if err != nil {
		return nil, err
	}
	if len(snap.Entries)+len(snap.Findings) == 0 {
		return nil, fault.Errorf(fault.Invalid, "source %s: nothing in scope was found below %s with the preset %q: "+
			"check the base, the preset and the rights of the bind account", s.cfg.Slug, s.cfg.BaseDN, s.cfg.Preset)
	}
	out := &Survey{Server: s.servers[0].String(), Findings: snap.Findings, Notes: snap.Notes,
		Domains: map[string]int{}, Containers: map[string]int{}, Filled: map[string]int{}}
	const some = 10
	byMail := map[string][]string{}
	for i := range snap.Entries {
		e := &snap.Entries[i]
		if e.Kind == directory.Group {
			out.Groups++
			continue
		}
		out.Users++
		if !e.Active {
			out.Inactive++
		}
		mail := strings.ToLower(e.Attributes.Get(directory.Mail))
		_, domain, ok := strings.Cut(mail, "@")
		if ok {
			out.Domains[domain]++
			if e.Active {
				byMail[mail] = append(byMail[mail], e.DN)
			}
			if e.Attributes.Get(directory.GivenName) == "" {
				out.Nameless = append(out.Nameless, e.DN)
			}
		} else {
			if out.Addressless++; out.Addressless <= some {
				out.WithoutMail = append(out.WithoutMail, e.DN)
			}
		}
		out.Containers[containerOf(e.DN)]++
		for _, attr := range s.mapped {
			if e.Attributes.Get(attr) != "" {
				out.Filled[attr]++
			}
		}
	}
	for _, mail := range slices.Sorted(maps.Keys(byMail)) {
		if len(byMail[mail]) > 1 {
			out.Shared = append(out.Shared, mail+": "+strings.Join(byMail[mail], " and "))
		}
	}
	return out, s.census(ctx, snap, out)
}

// censusFilter finds what might be a person or a group in any family.
const censusFilter = "(|(objectClass=person)(objectClass=contact)(objectClass=account)(objectClass=posixAccount)" +
	"(objectClass=group)(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup)" +
	"(objectClass=groupOfURLs))"

// usuallyOut says why an entry of an object class is usually not in scope; the first that fits counts.
var usuallyOut = []struct{ class, reason string }{
	{"contact", "contacts, which are no people with accounts"},
	{"msDS-GroupManagedServiceAccount", "managed service accounts"},
	{"msDS-ManagedServiceAccount", "managed service accounts"},
	{"computer", "computers"}, {"mepManagedEntry", "groups of single users (managed entries)"},
}

// census counts what is below the base, in scope or not.
func (s *Source) census(ctx context.Context, snap directory.Snapshot, out *Survey) error {
	out.Classes, out.OutOfScope = map[string]int{}, map[string]int{}
	seen := make(map[string]bool, len(snap.Entries))
	add := func(dn string) {
		if norm, err := NormalizeDN(dn); err == nil {
			seen[norm] = true
		}
	}
	for i := range snap.Entries {
		add(snap.Entries[i].DN)
	}
	for _, f := range snap.Findings {
		add(f.DN)
	}
	dir, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer dir.close()
	if s, err = s.rooted(dir.about()); err != nil {
		return err
	}
	req := request{base: s.cfg.BaseDN, scope: ldap.ScopeWholeSubtree, filter: censusFilter,
		attrs: append([]string{"objectClass"}, builtInMarks...), paged: true}
	return dir.search(ctx, req, func(e *ldap.Entry) error {
		classes := e.GetEqualFoldAttributeValues("objectClass")
		for _, class := range classes {
			if !strings.EqualFold(class, "top") {
				out.Classes[class]++
			}
		}
		if norm, err := NormalizeDN(e.DN); err == nil && !seen[norm] {
			out.OutOfScope[s.outOfScope(e, classes)]++
		}
		return nil
	})
}

// outOfScope says why an entry is not read.
func (s *Source) outOfScope(e *ldap.Entry, classes []string) string {
	if s.cfg.LeaveOutBuiltIn && isBuiltIn(e) {
		return "built into Active Directory (isCriticalSystemObject)"
	}
	for _, l := range usuallyOut {
		if slices.ContainsFunc(classes, func(c string) bool { return strings.EqualFold(c, l.class) }) {
			return l.reason
		}
	}
	return "people and groups outside of the filters or their bases, such as those in " + containerOf(e.DN)
}

// containerOf returns the DN above an entry, as the server writes it.
func containerOf(dn string) string {
	for i := range len(dn) {
		if separates(dn, i) {
			return strings.TrimSpace(dn[i+1:])
		}
	}
	return fmt.Sprintf("%q", dn)
}
