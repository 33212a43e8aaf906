package boot

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
)

// A tokens file that was edited badly is named once, and again when it is wrong in another way.
func TestABadEditOfTheTokensFileIsNamed(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &App{Log: slog.New(slog.NewTextHandler(&out, nil))}
	var said atomic.Value
	said.Store("")
	first, second := errors.New("line 2: no scope"), errors.New("line 3: no hash")
	for _, err := range []error{nil, first, first, second, nil, first} {
		a.complain(err, &said)
	}
	if got := strings.Count(out.String(), "level=ERROR"); got != 3 || strings.Count(out.String(), "line 2") != 2 {
		t.Errorf("it said %d times what is wrong, want 3:\n%s", got, out.String())
	}
}
