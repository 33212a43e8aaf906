package audit

import (
	"errors"
	"path/filepath"
	"testing"
)

// TestALogThatIsWrittenIsCheckedAgain checks a log in another process. A break counts only if no file changed
// meanwhile.
func TestALogThatIsWrittenIsCheckedAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "audit")
	l, err := Open(t.Context(), Config{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	broken := errors.New("broken")
	for name, changes := range map[string]int{"no change": 0, "one change": 1, "changes all the time": 1000} {
		calls := 0
		_, err := settled(path, func(files []string) (Report, error) {
			if calls++; calls > changes {
				if changes == 0 {
					return Report{}, broken
				}
				return verify(files)
			}
			_, err := l.Write(t.Context(), Record{Event: "sync", Outcome: Done}, false)
			return Report{}, errors.Join(err, broken)
		})
		if failed := errors.Is(err, broken); failed != (changes != 1) || calls > mostTries {
			t.Errorf("%s: %v after %d checks", name, err, calls)
		}
	}
}
