package boot

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"rollcall/internal/metrics"
)

// A tokens file that was edited badly is named once, and again when it is wrong in another way.
func TestABadEditOfTheTokensFileIsNamed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &App{Log: slog.New(slog.NewTextHandler(&out, nil)), access: metrics.NewAccess()}
	var said atomic.Value
	said.Store("")
	first, second := errors.New("line 2: no scope"), errors.New("line 3: no hash")
	for _, err := range []error{nil, first, first, second, nil, errors.Join(first, second)} {
		a.complain(err, &said)
	}
	if got := testutil.ToFloat64(a.access.FileErrors); got != 2 {
		t.Errorf("rollcall_tokens_file_errors is %v, want 2", got)
	}
	if got := strings.Count(out.String(), "level=ERROR"); got != 3 || strings.Count(out.String(), "line 2") != 2 {
		t.Errorf("it said %d times what is wrong, want 3:\n%s", got, out.String())
	}
}
