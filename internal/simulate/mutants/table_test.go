package main

import (
	"os"
	"testing"
)

// Each fault can still be planted, and names the test that kills it. `make mutants` plants them.
func TestTable(t *testing.T) {
	t.Chdir("../../..")
	if len(mutants) < 25 {
		t.Errorf("there are %d mutants, want at least 25", len(mutants))
	}
	seen := map[string]bool{}
	for _, m := range mutants {
		text, err := os.ReadFile(m.file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := m.mutated(string(text)); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if m.test == "" || m.pkg == "" || seen[m.name] {
			t.Errorf("%s: it is there twice, or no test is named", m.name)
		}
		seen[m.name] = true
	}
}
