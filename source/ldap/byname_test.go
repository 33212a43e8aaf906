//go:build samba || ds389

package ldap_test

import "rollcall/directory"

// byName finds the entries that the tests are about; a domain has many of its own.
func byName(snap directory.Snapshot) map[string]directory.Entry {
	out := map[string]directory.Entry{}
	for _, e := range snap.Entries {
		out[e.Attributes.Get(directory.CommonName)] = e
	}
	return out
}
