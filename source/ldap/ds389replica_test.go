//go:build ds389

package ldap_test

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"rollcall/internal/slapdtest"
)

const (
	replica      = `cn=replica,cn="` + slapdtest.Suffix + `",cn=mapping tree,cn=config`
	agreement    = "cn=agreement," + replica
	replicator   = "cn=replicator,cn=config"
	replicatorPW = "replicator-secret"
)

// Supply makes the server a supplier with this number, so that it keeps a replica update vector.
func (s *server389) Supply(t testing.TB, id int) {
	t.Helper()
	s.Add(t, replicator, "objectClass", "organizationalRole", "objectClass", "simpleSecurityObject", "cn", "replicator",
		"userPassword", replicatorPW)
	s.Add(t, replica, "objectClass", "nsDS5Replica", "objectClass", "extensibleObject", "cn", "replica",
		"nsDS5ReplicaRoot", slapdtest.Suffix, "nsDS5ReplicaId", strconv.Itoa(id), "nsDS5ReplicaType", "3",
		"nsDS5Flags", "1", "nsDS5ReplicaBindDN", replicator)
}

// Replicate sends all changes to another supplier from now on. With refresh it first replaces what that one has.
func (s *server389) Replicate(t testing.TB, to *server389, refresh bool) {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimPrefix(to.URL, "ldap://"))
	s.must(t, err)
	pairs := []string{"objectClass", "nsDS5ReplicationAgreement", "cn", "agreement", "nsDS5ReplicaRoot", slapdtest.Suffix,
		"nsDS5ReplicaHost", "127.0.0.1", "nsDS5ReplicaPort", port, "nsDS5ReplicaTransportInfo", "LDAP",
		"nsDS5ReplicaBindDN", replicator, "nsDS5ReplicaBindMethod", "SIMPLE", "nsDS5ReplicaCredentials", replicatorPW}
	s.Add(t, agreement, pairs...)
	if refresh { // An agreement that is made with this attribute would begin anew after each pause.
		s.Set(t, agreement, "nsds5BeginReplicaRefresh", "start")
	}
}

// Pause stops the sending of changes until the returned function is called.
func (s *server389) Pause(t testing.TB) (resume func()) {
	t.Helper()
	s.Set(t, agreement, "nsds5ReplicaEnabled", "off")
	return func() { s.Set(t, agreement, "nsds5ReplicaEnabled", "on") }
}

// Await waits until one entry at or below a DN matches a filter.
func (s *server389) Await(t testing.TB, base, filter string) {
	t.Helper()
	conn := s.Conn(t)
	s.must(t, s.proc.WaitUntil(wait389, func() bool {
		found, err := conn.Search(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false,
			filter, []string{"1.1"}, nil))
		return err == nil && len(found.Entries) == 1
	}))
}
