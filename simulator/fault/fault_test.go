package fault_test

import (
	"testing"

	"rollcall/simulator/fault"
)

// TestMatching checks that a fault applies to exactly the calls that it names.
func TestMatching(t *testing.T) {
	t.Parallel()
	insert := fault.Call{Method: "users.insert", Path: "/users", Body: []byte(`{"primaryEmail":"J1@example.com"}`)}
	item := fault.Call{Method: "users.update", Path: "/users/U1", Item: true}
	signIn := fault.Call{Method: "token", Path: "/token"}
	for name, tc := range map[string]struct {
		fault  fault.Fault
		struck []fault.Call
	}{
		"every method":    {fault.Fault{}, []fault.Call{insert, item}},
		"a pattern":       {fault.Fault{Method: "users.*"}, []fault.Call{insert, item}},
		"a path":          {fault.Fault{Key: "u1"}, []fault.Call{item}},
		"a body":          {fault.Fault{Body: "j1@EXAMPLE.com"}, []fault.Call{insert}},
		"both":            {fault.Fault{Key: "users", Body: "j2@example.com"}, nil},
		"items":           {fault.Fault{Scope: fault.InBatch}, []fault.Call{item}},
		"own requests":    {fault.Fault{Scope: fault.Alone}, []fault.Call{insert}},
		"the sign-in":     {fault.Fault{Method: "token"}, []fault.Call{signIn}},
		"no such pattern": {fault.Fault{Method: "groups.*"}, nil},
	} {
		set := fault.Set{SignIn: "token"}
		set.Inject(tc.fault)
		for _, c := range []fault.Call{insert, item, signIn} {
			want := false
			for _, s := range tc.struck {
				want = want || s.Method == c.Method
			}
			if got := set.Next(c) != nil; got != want {
				t.Errorf("%s: %s was struck = %v, want %v", name, c.Method, got, want)
			}
		}
	}
}
