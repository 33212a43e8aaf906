package jobs

import (
	"errors"
	"fmt"
	"testing"

	"rollcall/decisions"
	"rollcall/fault"
)

// What failed together with a pause is not lost.
func TestBesidesAPause(t *testing.T) {
	t.Parallel()
	pause := fault.New(fault.Canceled, "", &decisions.PausedError{})
	other, third := errors.New("the ledger is away"), errors.New("and the plan")
	for _, tc := range []struct {
		err  error
		want []error
	}{
		{nil, nil}, {pause, nil}, {fmt.Errorf("apply: %w", pause), nil}, {errors.Join(pause, pause), nil},
		{other, []error{other}}, {errors.Join(pause, other), []error{other}},
		{fmt.Errorf("run: %w", errors.Join(other, errors.Join(pause, third))), []error{other, third}},
	} {
		got := besides(tc.err)
		if (got == nil) != (len(tc.want) == 0) || got != nil && pausedBy(got) != nil {
			t.Errorf("besides(%v) = %v, want %v", tc.err, got, tc.want)
		}
		for _, want := range tc.want {
			if !errors.Is(got, want) {
				t.Errorf("besides(%v) = %v, want %v in it", tc.err, got, want)
			}
		}
	}
}
