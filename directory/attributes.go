package directory

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Attribute is a name with its values. LDAP values are sets, and their order means nothing (RFC 4511, section 4.1.7).
// A source puts the value of the entry's own RDN first and the others in byte order, so that equal sets are equal
// lists.
type Attribute struct {
	Name   string
	Values []string
}

// Attributes is a list of attributes, sorted by name. Names are unique, ignoring case (RFC 4512, section 2.5). A list
// takes a third of a map's memory, which matters with hundreds of thousands of entries.
type Attributes []Attribute

// Get returns the first value of the attribute, or "".
func (a Attributes) Get(name string) string {
	if v := a.Values(name); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Values returns the values of the attribute, or nil. The caller must not change them.
func (a Attributes) Values(name string) []string {
	for i := range a {
		if strings.EqualFold(a[i].Name, name) {
			return a[i].Values
		}
	}
	return nil
}

// Set returns the list with the attribute's values replaced. Without values it removes the attribute.
func (a Attributes) Set(name string, values ...string) Attributes {
	i := slices.IndexFunc(a, func(at Attribute) bool { return strings.EqualFold(at.Name, name) })
	switch {
	case i >= 0 && len(values) == 0:
		return slices.Delete(a, i, i+1)
	case i >= 0:
		a[i].Values = values
		return a
	case len(values) == 0:
		return a
	}
	at, _ := slices.BinarySearchFunc(a, name,
		func(at Attribute, name string) int { return strings.Compare(at.Name, name) })
	return slices.Insert(a, at, Attribute{name, values})
}

// Clone returns a deep copy, so that the caller may change its values.
func (a Attributes) Clone() Attributes {
	out := slices.Clone(a)
	for i := range out {
		out[i].Values = slices.Clone(out[i].Values)
	}
	return out
}

// MarshalJSON writes the list as an object of string arrays.
func (a Attributes) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, at := range a {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := json.Marshal(at.Name)
		if err != nil {
			return nil, err
		}
		values, err := json.Marshal(at.Values)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(values)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (a *Attributes) UnmarshalJSON(data []byte) error {
	var m map[string][]string
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	*a = make(Attributes, 0, len(m))
	for name, values := range m {
		*a = append(*a, Attribute{name, values})
	}
	slices.SortFunc(*a, func(x, y Attribute) int { return strings.Compare(x.Name, y.Name) })
	return nil
}

// Digest returns a short text that is equal for equal entries. It is the version of the entry. It covers every field;
// the order of members does not matter because members are sorted, and the order of values does not matter either.
func (e *Entry) Digest() string {
	h := make([]byte, 0, 512)
	add := func(s string) {
		h = append(h, byte(len(s)>>24), byte(len(s)>>16), byte(len(s)>>8), byte(len(s)))
		h = append(h, s...)
	}
	active := "0"
	if e.Active {
		active = "1"
	}
	for _, s := range []string{e.Kind.String(), string(e.ID), e.Source, e.DN, active} {
		add(s)
	}
	for _, at := range e.Attributes {
		add(at.Name)
		values := at.Values
		if !slices.IsSorted(values) {
			values = slices.Sorted(slices.Values(values))
		}
		for _, v := range values {
			add(v)
		}
		h = append(h, 0xff)
	}
	h = append(h, 0xfe)
	for _, m := range e.Members {
		h = append(h, byte(m.Kind))
		add(string(m.ID))
	}
	sum := sha256.Sum256(h)
	return hex.EncodeToString(sum[:12])
}

// secrets are attributes with passwords, keys or their hashes, in lower case. Those with a well-known number are there
// by their numbers, too (RFC 4519, section 2.41; [MS-ADA3]). secretEndings are the ends of names that other schemas
// use.
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
