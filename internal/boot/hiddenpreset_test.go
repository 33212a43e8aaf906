package boot_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"rollcall/container"
	"rollcall/internal/slapdtest"
)

// sid is the security identifier of the account with a number in the domain.
func sid(n int) string {
	raw := []byte{1, 2, 0, 0, 0, 0, 0, 5}
	raw = binary.LittleEndian.AppendUint32(raw, 21)
	return string(binary.LittleEndian.AppendUint32(raw, uint32(n)))
}

// presetCompany is a directory of one family of servers, with every attribute that its preset or the mapping reads.
// common are the attributes that all families have, of a user by its number.
func presetCompany(family string, people int) []entry {
	out := []entry{{"ou=unit," + slapdtest.People, []string{"objectClass", "organizationalUnit", "ou", "unit"}}}
	var dns []string
	for n := range people {
		uid := fmt.Sprintf("u%06d", n)
		dn := "uid=" + uid + "," + []string{"ou=unit," + slapdtest.People, slapdtest.People}[min(1, n%3)]
		dns = append(dns, dn)
		p := []string{"cn", "First Last" + uid, "sn", "Last" + uid, "givenName", "First", "displayName", "Shown " + uid,
			"mail", uid + "@example.org", "employeeNumber", fmt.Sprint(n), "title", "Engineer", "department", "R and D",
			"telephoneNumber", "+1 555 " + uid[1:], "proxyAddresses", "SMTP:" + uid + "@example.org",
			"proxyAddresses", "smtp:a" + uid + "@example.org"}
		if n > 0 {
			p = append(p, "manager", dns[0])
		}
		out = append(out, entry{dn, append(p, presetPerson(family, uid, n)...)})
	}
	for n := range 6 {
		p := []string{"cn", fmt.Sprintf("g%05d", n), "description", "Group"}
		switch family {
		case "active_directory":
			number := 5000 + n
			if n == 5 { // Domain Admins
				number, p = 512, append(p, "isCriticalSystemObject", "TRUE")
			}
			p = append(p, "objectClass", "group", "objectClass", "groupOfNames", "objectGUID", fmt.Sprintf("G%015d", n),
				"objectSid", sid(number), "sAMAccountName", fmt.Sprintf("g%05d", n))
		case "389ds":
			p = append(p, "objectClass", "groupOfNames", "nsUniqueId", fmt.Sprintf("a%07d-00000000-00000000-00000000", n))
		case "freeipa":
			p = append(p, "objectClass", "groupOfNames", "objectClass", "ipaUserGroup",
				"ipaUniqueID", slapdtest.UUID(slapdtest.GroupUUIDs+n))
		default:
			p = append(p, "objectClass", "groupOfNames", "entryUUID", slapdtest.UUID(slapdtest.GroupUUIDs+n))
		}
		for i, dn := range dns {
			switch (i + n) % 4 {
			case 0:
				p = append(p, "member", dn)
			case 1: // A few groups list two more members by their login names.
				if family == "openldap" && n < 4 && i > 8 && i < 16 {
					p = append(p, "memberUid", fmt.Sprintf("u%06d", i))
				}
			}
		}
		out = append(out, entry{slapdtest.GroupDN(n), p})
	}
	return out
}

// presetPerson has what only one family of servers gives a person. Every eighth is inactive by one attribute, and the
// next by another.
func presetPerson(family, uid string, n int) []string {
	inactive, expired := n%8 == 0, n%8 == 1
	switch family {
	case "active_directory":
		control, expires := "512", "9223372036854775807"
		if inactive {
			control = "514"
		}
		if expired {
			expires = "130000000000000000"
		}
		return []string{"objectClass", "top", "objectClass", "user", "objectGUID", fmt.Sprintf("P%015d", n),
			"objectSid", sid(1000 + n), "primaryGroupID", fmt.Sprint(5000 + n%2), "sAMAccountName", uid,
			"sAMAccountType", "805306368",
			"userAccountControl", control, "accountExpires", expires, "userPrincipalName", uid + "@example.org"}
	case "389ds":
		p := []string{"objectClass", "inetOrgPerson", "uid", uid,
			"nsUniqueId", fmt.Sprintf("b%07d-00000000-00000000-00000000", n)}
		if inactive || expired {
			p = append(p, "nsAccountLock", "TRUE")
		}
		return p
	case "freeipa":
		p := []string{"objectClass", "person", "objectClass", "posixAccount", "uid", uid, "ipaUniqueID", slapdtest.UUID(n),
			"nsAccountLock", strings.ToUpper(fmt.Sprint(inactive))}
		if expired {
			p = append(p, "krbPrincipalExpiration", "20200101000000Z")
		}
		return p
	}
	p := []string{"objectClass", "inetOrgPerson", "objectClass", "shadowAccount", "uid", uid, "entryUUID",
		slapdtest.UUID(n)}
	if inactive {
		p = append(p, "pwdAccountLockedTime", "000001010000Z")
	}
	if expired {
		p = append(p, "shadowExpire", "1000")
	}
	return p
}

// locks are the attributes that only inactive people have.
var locks = []string{"nsAccountLock", "krbPrincipalExpiration", "pwdAccountLockedTime", "shadowExpire"}

// Each attribute that a preset reads, and each that the mapping reads, becomes invisible in turn. The tenants stay as
// they are, and the next runs find nothing to do when it is visible again.
func TestLaw13EachAttributeOfAPresetHiddenInTurn(t *testing.T) {
	t.Parallel()
	for _, family := range []string{"active_directory", "openldap", "389ds", "freeipa"} {
		t.Run(family, func(t *testing.T) {
			t.Parallel()
			all := presetCompany(family, 48)
			o := newOffice(t, officeOptions{ldif: ldif(all, nil), file: true, source: []string{"preset: " + family},
				google: []string{"  aliases: ldap_all.proxyAddresses", "  organizations.department: ldap.department"},
				entra:  []string{"user_property_mappings: {manager: address_of(ldap.manager), department: ldap.department}"}})
			o.sync(corp, workspace, entra)
			for _, name := range []container.ID{workspace, entra} {
				if run := o.begin(name); work(run) > 0 || len(o.held(name).Changes) > 0 {
					t.Fatalf("%s: the second run plans %+v and holds %d", name, run.Progress, len(o.held(name).Changes))
				}
			}
			before := o.tenants()
			var attrs []string
			for _, e := range all {
				for i := 0; i < len(e.pairs); i += 2 {
					attrs = append(attrs, e.pairs[i])
				}
			}
			slices.Sort(attrs)
			for _, attr := range slices.Compact(attrs) {
				places := map[string]string{"everywhere": "", "for people": ",ou=people,", "for groups": ",ou=groups,"}
				if !slices.Contains(locks, attr) {
					places["in one unit"] = ",ou=unit," // Only a server can say whether a few of these are hidden.
				}
				for where, dns := range places {
					what := attr + " hidden " + where
					o.replace(ldif(all, func(dn, a string) bool { return a == attr && strings.Contains(dn, dns) }))
					o.judge(what, before, true)
					o.replace(ldif(all, nil))
					o.judge(what+" and visible again", before, true)
				}
			}
		})
	}
}
