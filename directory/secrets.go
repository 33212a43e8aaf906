package directory

import (
	"slices"
	"strings"
)

// secrets are attributes with passwords, keys or their hashes, in lower case, with the number of those that have a
// well-known one (RFC 4519, section 2.41; [MS-ADA3]). secretEndings are the ends of names that other schemas use.
var (
	secrets = []string{
		"userpassword", "2.5.4.35", "unicodepwd", "1.2.840.113556.1.4.90", "dbcspwd", "ntpwdhistory", "lmpwdhistory",
		"supplementalcredentials", "currentvalue", "priorvalue", "initialauthincoming", "initialauthoutgoing",
		"trustauthincoming", "trustauthoutgoing", "pekkeylist", "msds-managedpassword", "msds-managedpasswordid",
		"msds-executescriptpassword", "ms-mcs-admpwd", "mslaps-encryptedpasswordhistory",
		"mslaps-encrypteddsrmpasswordhistory", "msfve-recoverypassword", "msfve-keypackage", "authpassword",
		"passwordhistory", "pwdhistory", "krbprincipalkey", "krbmkey", "krbextradata", "ipatokenotpkey",
		"ipatokenradiussecret", "ipanthash", "sambapasswordhistory", "userpkcs12", "nsds5replicacredentials",
		"nspassword", "oathsecret", "oathhotptoken", "oathtotptoken", "ipantsupplementalcredentials",
	}
	secretEndings = []string{"password", "passwd", "passwordhash", "pwdhash", "hash", "privatekey", "secret", "secretkey"}
	photos        = []string{"jpegphoto", "photo", "thumbnailphoto", "thumbnaillogo", "0.9.2342.19200300.100.1.60",
		"0.9.2342.19200300.100.1.7", "audio"}
)

// Unmappable returns why no mapping may read an attribute, or "". Such attributes have secrets, or pictures and
// sounds that no field of a tenant takes.
func Unmappable(attribute string) string {
	name, _, _ := strings.Cut(strings.ToLower(attribute), ";")
	ends := func(ending string) bool { return strings.HasSuffix(name, ending) }
	switch {
	case slices.Contains(secrets, name), slices.ContainsFunc(secretEndings, ends):
		return "it may have a password, a key or their hash, which Rollcall never reads"
	case slices.Contains(photos, name):
		return "photos are not synchronized: upload them with the tenant's own tools"
	}
	return ""
}
