package provider_test

import (
	"strings"
	"testing"

	"rollcall/directory"
	"rollcall/plan"
	"rollcall/provider"
)

func TestRoom(t *testing.T) {
	t.Parallel()
	p := &plan.Plan{Changes: []plan.Change{
		{Op: plan.Create, Ref: directory.Ref{Kind: directory.User}},
		{Op: plan.Create, Ref: directory.Ref{Kind: directory.User}},
		{Op: plan.Create, Ref: directory.Ref{Kind: directory.Group}}, {Op: plan.Suspend},
	}}
	for _, tt := range []struct {
		room        provider.Room
		shown, fits string
	}{
		{provider.Room{}, "the quota of objects is not visible", ""},
		{provider.Room{Used: 10, Total: 100}, "10 of 100 objects are in use, so there is room for 90 more",
			"The plan creates 2 users and 1 groups, and the tenant has room for 90 objects"},
		{provider.Room{Used: 97, Total: 100}, "warning: 97 of 100", "has room for 3 objects"},
		{provider.Room{Used: 98, Total: 100}, "warning: 98 of 100", "the last 1 creations fail"},
		{provider.Room{Used: 120, Total: 100}, "room for 0 more", "which leaves 0. Raise the quota first"},
	} {
		if got := tt.room.String(); !strings.Contains(got, tt.shown) {
			t.Errorf("%+v: String() = %q, want %q", tt.room, got, tt.shown)
		}
		if got := tt.room.Fits(p); !strings.Contains(got, tt.fits) || tt.fits == "" && got != "" {
			t.Errorf("%+v: Fits() = %q, want %q", tt.room, got, tt.fits)
		}
	}
	room := provider.Room{Used: 1, Total: 1}
	if got := room.Fits(&plan.Plan{Changes: p.Changes[3:]}); got != "" {
		t.Errorf("Fits() = %q for a plan that creates nothing", got)
	}
}
