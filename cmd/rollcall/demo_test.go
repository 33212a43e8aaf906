package main

import (
	"testing"

	"rollcall/provider/all"
)

func TestTheDemonstrationHasATenantOfEachType(t *testing.T) {
	t.Parallel()
	types, tenants := all.Types(), newDemoTenants(all.Types())
	if len(tenants) != len(types) {
		t.Fatalf("%d tenants for %d types: add the new type to makers in simulate.go", len(tenants), len(types))
	}
	for i, tenant := range tenants {
		if tenant.container.Kind() != types[i].Name {
			t.Errorf("tenant %d is %s, want one of %s", i, tenant.container, types[i].Name)
		}
	}
}
