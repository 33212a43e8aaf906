package slapdtest

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// configLDIF is the cn=config tree of a server.
func configLDIF(dir string, o *Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "dn: cn=config\nobjectClass: olcGlobal\ncn: config\nolcPidFile: %[1]s/run/slapd.pid\nolcThreads: 4\n",
		dir)
	if o.TLS {
		fmt.Fprintf(&b, "olcTLSCACertificateFile: %[1]s/tls/ca.pem\nolcTLSCertificateFile: "+
			"%[1]s/tls/server.pem\nolcTLSCertificateKeyFile: %[1]s/tls/server.key\n", dir)
		b.WriteString("olcTLSVerifyClient: allow\n")
	}
	b.WriteString("\ndn: cn=module,cn=config\nobjectClass: olcModuleList\ncn: module\nolcModulePath: " +
		"/usr/lib/ldap\nolcModuleLoad: back_mdb\n")
	if o.PPolicy {
		b.WriteString("olcModuleLoad: ppolicy\n")
	}
	if o.SyncProv {
		b.WriteString("olcModuleLoad: syncprov\n")
	}
	b.WriteString("\ndn: cn=schema,cn=config\nobjectClass: olcSchemaConfig\ncn: schema\n\n")
	for _, schema := range []string{"core", "cosine", "nis", "inetorgperson"} {
		fmt.Fprintf(&b, "include: file:///etc/ldap/schema/%s.ldif\n", schema)
	}
	// The schema has the attribute names of other vendors, with OIDs from a range for examples.
	b.WriteString(vendorSchema)
	b.WriteString("\ndn: olcDatabase=frontend,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: " +
		"olcFrontendConfig\nolcDatabase: frontend\n")
	b.WriteString("olcSizeLimit: " + cmp.Or(o.SizeLimit, "unlimited") + "\n\n")
	b.WriteString("dn: olcDatabase=config,cn=config\nobjectClass: olcDatabaseConfig\nolcDatabase: config\nolcRootDN: " +
		"cn=config\nolcRootPW: " + RootPassword + "\n\n")
	fmt.Fprintf(&b, "dn: olcDatabase=mdb,cn=config\nobjectClass: olcDatabaseConfig\nobjectClass: "+
		"olcMdbConfig\nolcDatabase: mdb\nolcDbDirectory: %s/data\n", dir)
	fmt.Fprintf(&b, "olcDbMaxSize: 1073741824\nolcDbNoSync: TRUE\nolcSuffix: %s\nolcRootDN: %s\nolcRootPW: %s\n", Suffix,
		RootDN, RootPassword)
	b.WriteString("olcDbIndex: objectClass eq\nolcDbIndex: entryUUID,entryCSN eq\nolcDbIndex: uid,cn,mail,member eq\n")
	if o.ReaderLimits != "" {
		fmt.Fprintf(&b, "olcLimits: dn.exact=%q %s\n", Reader, o.ReaderLimits)
	}
	for i, rule := range o.Access {
		fmt.Fprintf(&b, "olcAccess: {%d}%s\n", i, rule)
	}
	if o.PPolicy {
		b.WriteString("\ndn: olcOverlay=ppolicy,olcDatabase={1}mdb,cn=config\nobjectClass: olcOverlayConfig\nobjectClass: " +
			"olcPPolicyConfig\nolcOverlay: ppolicy\n")
	}
	if o.SyncProv {
		b.WriteString("\ndn: olcOverlay=syncprov,olcDatabase={1}mdb,cn=config\nobjectClass: " +
			"olcOverlayConfig\nobjectClass: olcSyncProvConfig\nolcOverlay: syncprov\n")
		if o.SessionLog > 0 {
			fmt.Fprintf(&b, "olcSpSessionlog: %d\n", o.SessionLog)
		}
	}
	return b.String()
}

const vendorSchema = `
dn: cn=vendors,cn=schema,cn=config
objectClass: olcSchemaConfig
cn: vendors
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.1 NAME 'nsAccountLock' EQUALITY caseIgnoreMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.2 NAME 'userAccountControl' EQUALITY integerMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.3 NAME 'accountExpires' EQUALITY integerMatch ORDERING
  integerOrderingMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.27 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.4 NAME 'sAMAccountName' EQUALITY caseIgnoreMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.5 NAME 'objectGUID' EQUALITY octetStringMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.6 NAME 'objectSid' EQUALITY octetStringMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.7 NAME 'ipaUniqueID' EQUALITY caseExactMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.8 NAME 'nsUniqueId' EQUALITY caseIgnoreMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.9 NAME 'employeeID' EQUALITY caseIgnoreMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
olcAttributeTypes: ( 1.3.6.1.4.1.32473.1.99 NAME 'vendorToken' EQUALITY caseIgnoreMatch SYNTAX
  1.3.6.1.4.1.1466.115.121.1.15 )
olcObjectClasses: ( 1.3.6.1.4.1.32473.2.1 NAME 'vendorObject' SUP top AUXILIARY MAY ( nsAccountLock $
  userAccountControl $ accountExpires $ sAMAccountName $ objectGUID $ objectSid $ ipaUniqueID $ nsUniqueId $
  employeeID $ mail $ vendorToken ) )
`

// baseLDIF is the tree that every server has.
const baseLDIF = `dn: ` + Suffix + `
objectClass: domain
dc: example

dn: ` + People + `
objectClass: organizationalUnit
ou: people

dn: ` + Groups + `
objectClass: organizationalUnit
ou: groups

dn: ou=services,` + Suffix + `
objectClass: organizationalUnit
ou: services

dn: ` + Reader + `
objectClass: applicationProcess
objectClass: simpleSecurityObject
cn: reader
userPassword: ` + ReaderPassword + `

`

// writeCertificates makes an authority (ca.pem) and a certificate for localhost (server.pem, server.key) in dir, and a
// client's pair (client.pem, client.key).
func writeCertificates(dir string) error {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	ca := certificate(1, "slapdtest CA")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	if err := sign(dir, "ca", ca, ca, caKey, caKey); err != nil {
		return err
	}
	srv := certificate(2, "localhost")
	srv.DNSNames, srv.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	srv.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	client := certificate(3, "rollcall")
	client.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	for name, c := range map[string]*x509.Certificate{"server": srv, "client": client} {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		if err := sign(dir, name, c, ca, key, caKey); err != nil {
			return err
		}
	}
	return nil
}

func certificate(serial int64, name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name}, KeyUsage: x509.KeyUsageDigitalSignature,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

func sign(dir, name string, c, issuer *x509.Certificate, key, issuerKey *ecdsa.PrivateKey) error {
	der, err := x509.CreateCertificate(rand.Reader, c, issuer, &key.PublicKey, issuerKey)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := os.WriteFile(filepath.Join(dir, name+".pem"), certPEM, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name+".key"), keyPEM, 0o600)
}
