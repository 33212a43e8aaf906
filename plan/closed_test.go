package plan_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"rollcall/plan"
)

// constants returns the values of the package's constants of a string type, as the source has them.
func constants(t *testing.T, typeName string) []string {
	t.Helper()
	found := map[string]bool{}
	names, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.HasSuffix(name.Name(), ".go") || strings.HasSuffix(name.Name(), "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if of, ok := spec.Type.(*ast.Ident); ok && of.Name == typeName {
				value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found[value] = true
			}
			return true
		})
	}
	return slices.Sorted(maps.Keys(found))
}

// TestClosedSetsAreComplete checks that metrics and explanations list what the package has.
func TestClosedSetsAreComplete(t *testing.T) {
	t.Parallel()
	texts := func(n int, at func(int) string) []string {
		out := make([]string, n)
		for i := range n {
			out[i] = at(i)
		}
		slices.Sort(out)
		return out
	}
	rules, reasons := plan.Rules(), plan.Reasons()
	if diff := cmp.Diff(constants(t, "Rule"), texts(len(rules),
		func(i int) string { return string(rules[i]) })); diff != "" {
		t.Errorf("Rules() (-constants +list)\n%s", diff)
	}
	if diff := cmp.Diff(constants(t, "Reason"), texts(len(reasons),
		func(i int) string { return string(reasons[i]) })); diff != "" {
		t.Errorf("Reasons() (-constants +list)\n%s", diff)
	}
}
