package boot_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"rollcall/explain"
	"rollcall/internal/slapdtest"
)

// smallStaff are two people and a group.
func smallStaff() string {
	return person(1, "ada", "mail", mail("ada")) + person(2, "bea", "mail", mail("bea")) +
		slapdtest.Entry("cn=cloud,"+slapdtest.Groups, "objectClass", "groupOfNames", "entryUUID", id(50), "cn", "cloud",
			"mail", mail("all"), "member", dn("ada"))
}

// scans counts how often the users of the local directory are read from their beginning.
type scans struct{ atomic.Int64 }

func (s *scans) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (s *scans) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if args := cmd.Args(); cmd.Name() == "hscan" && strings.HasSuffix(args[1].(string), ":dir:user") &&
			args[2] == uint64(0) {
			s.Add(1)
		}
		return next(ctx, cmd)
	}
}

func (s *scans) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return next(ctx, cmds) }
}

// TestExplainReadsNeighbourhoods checks that an explanation does not read all users.
func TestExplainReadsNeighbourhoods(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeOptions{ldif: smallStaff(), file: true})
	o.sync(corp, workspace, entra)
	var read scans
	o.app.Redis.AddHook(&read)
	d := o.explain(explain.ByUserName, "ada")
	says(t, d, workspace, explain.InStep, "")
	says(t, d, entra, explain.InStep, "")
	if n := read.Load(); n != 0 {
		t.Errorf("all users of the local directory were read %d times, want never", n)
	}
}

// TestExplainAnswersInTime checks that the answer comes without the tenants once the time is spent.
func TestExplainAnswersInTime(t *testing.T) {
	t.Parallel()
	o := newOffice(t, officeOptions{ldif: smallStaff(), file: true})
	o.sync(corp, workspace)
	ctx, cancel := context.WithTimeout(t.Context(), 9*time.Second)
	defer cancel()
	w := httptest.NewRecorder()
	o.api.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/explain/?username=ada", nil))
	var d explain.Document
	if err := json.Unmarshal(w.Body.Bytes(), &d); w.Code != http.StatusOK || err != nil {
		t.Fatalf("%d %v: %s", w.Code, err, w.Body)
	}
	says(t, d, workspace, explain.Unknown, "", "no time was left")
	if s := source(t, d); s.Code != explain.Read || !d.Partial() {
		t.Errorf("the source: %+v", s)
	}
}
