package rollcall_test

import (
	"cmp"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "rollcall/"

// edge is an import that must not be, directly or through other packages of ours.
type edge struct {
	from, to []string
	why      string
}

// Names of packages end in /... where they mean everything below.
var (
	vocabulary = []string{
		"container", "directory", "fault", "internal/buildinfo", "internal/problem", "internal/redisfault",
		"internal/secret", "internal/stored",
	}
	ports = []string{"source", "provider", "provider/pace", "provider/remote", "mapping", "ledger", "status",
		"decisions", "audit"}
	engine  = []string{"reconcile", "explain", "preview", "shadow", "status/watch"}
	drivers = []string{"jobs", "api", "internal/client", "internal/console", "internal/dashboard", "internal/metrics",
		"internal/session"}
	wiring   = []string{"provider/all", "internal/config", "internal/boot"}
	programs = []string{"cmd/..."}
)

// edges are the imports that must not be. What decides never depends on what carries out; packages side by side may
// import each other. docs/architecture.md has the picture.
func edges(packages map[string][]string) []edge {
	var out []edge
	adapters := adapters(packages)
	for _, a := range adapters {
		others := slices.DeleteFunc(slices.Clone(adapters), func(b string) bool { return a == b })
		out = append(out, edge{[]string{a}, others, "adapters know nothing of each other"})
	}
	above := slices.Concat(engine, drivers, wiring)
	return append(out,
		edge{vocabulary, slices.Concat([]string{"plan"}, ports, adapters, above), "the vocabulary depends on nothing"},
		edge{[]string{"plan"}, slices.Concat(ports, adapters, above), "the planner knows only the vocabulary"},
		edge{ports, slices.Concat(adapters, above), "a port does not know who is behind it"},
		edge{adapters, above, "an adapter does not know who calls it"},
		edge{[]string{"directory/store"}, slices.Concat(adapters, above), "the local directory is an adapter, too"},
		edge{engine, slices.Concat(adapters, []string{"api", "internal/client", "internal/dashboard"}, wiring),
			"the engine sees ports, never adapters"},
		edge{[]string{"reconcile"}, []string{"directory/store"}, "the engine sees ports, never adapters"},
		edge{drivers, slices.Concat(adapters, []string{"directory/store"}, wiring),
			"who drives the engine is given what it drives"},
		edge{[]string{"provider/all"}, []string{"internal/config", "internal/boot"},
			"the list of types is read, and reads nothing"},
		edge{[]string{"internal/config"}, slices.Concat([]string{"internal/boot"}, engine, []string{"jobs", "api"}),
			"a file is checked without a process"},
		edge{[]string{"..."}, programs, "nothing imports a program"},
	)
}

// adapters are the packages directly below the ports of sources and providers, without what serves all of them.
func adapters(packages map[string][]string) []string {
	var out []string
	for name := range packages {
		port, below, _ := strings.Cut(name, "/")
		serves := slices.Contains(ports, name) || slices.Contains(wiring, name) || slices.Contains(forTests, name)
		if (port == "source" || port == "provider") && below != "" && !serves {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}

// in reports whether a list names a package.
func in(list []string, name string) bool {
	return slices.ContainsFunc(list, func(pattern string) bool {
		under, all := strings.CutSuffix(pattern, "...")
		return name == pattern || all && strings.HasPrefix(name, under)
	})
}

// reach returns the packages of ours that a package imports, directly or not, each with the one that imports it.
func reach(packages map[string][]string, from string) map[string]string {
	by := map[string]string{}
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		for _, path := range packages[todo[0]] {
			to, ours := strings.CutPrefix(path, module)
			if _, seen := by[to]; ours && !seen {
				by[to] = todo[0]
				todo = append(todo, to)
			}
		}
	}
	return by
}

// bare packages import the standard library and nothing else.
var bare = []string{
	"directory", "fault", "internal/buildinfo", "internal/problem", "internal/secret", "internal/stored",
	"internal/testclock", "internal/demo",
	"simulator/fault", "simulator/googleworkspace", "simulator/googleworkspace/discoverytest", "simulator/graph",
	"simulator/graph/csdltest", "simulator/scim", "simulator/wiretest",
}

// forTests may be imported by tests only.
var forTests = []string{
	"internal/redistest", "internal/npmtest", "internal/testclock", "internal/sambatest",
	"internal/slapdtest", "internal/testprocess", "provider/providertest", "provider/scim/elimitytest",
	"source/sourcetest",
	"simulator/googleworkspace/discoverytest", "simulator/graph/csdltest", "simulator/scim/rfctest",
	"simulator/wiretest",
}

// owners says who alone may import a dependency: the types of a vendor stay in their adapter.
var owners = map[string][]string{
	"github.com/hibiken/asynq":             {"jobs"},
	"github.com/hibiken/asynqmon":          {"internal/dashboard"},
	"github.com/chromedp":                  {}, // a browser, for a test
	"google.golang.org/api":                {"provider/googleworkspace"},
	"github.com/go-ldap":                   {"source/ldap", "internal/slapdtest", "internal/sambatest"},
	"github.com/go-asn1-ber":               {"source/ldap"},
	"github.com/expr-lang/expr":            {"mapping"},
	"github.com/Azure":                     {"provider/entra"},
	"github.com/cenkalti/backoff":          {"provider/pace"},
	"github.com/kelseyhightower/envconfig": {"internal/boot", "internal/config"},
	"github.com/getkin/kin-openapi":        {},
	"go.einride.tech/aip":                  {"api"},
	"github.com/prometheus":                {"internal/metrics", "internal/boot"},
	// These two are for tests: the types of the clients, and another SCIM server.
	"github.com/yandex-cloud/go-genproto": {},
	"github.com/elimity-com/scim":         {"provider/scim/elimitytest", "simulator/scim/rfctest"},
}

// imports returns what each package of the module imports outside of its tests, files of every platform. It reads the
// files and does not ask `go list`, so that the result of this test is cached for as long as it is true.
func imports(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		switch base := filepath.Base(path); {
		case err != nil:
			return err
		case d.IsDir() && path != "." && (base[0] == '.' || base[0] == '_' || base == "testdata" || base == "tools"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(base, ".go") || strings.HasSuffix(base, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		out[pkg] = slices.Grow(out[pkg], len(f.Imports)) // A package that imports nothing is one, too.
		for _, i := range f.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			out[pkg] = append(out[pkg], to)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	delete(out, ".") // the root, which is a comment
	if len(out) < 20 {
		t.Fatalf("only %d packages were found", len(out))
	}
	return out
}

func TestForbiddenImports(t *testing.T) {
	t.Parallel()
	packages := imports(t)
	all := slices.Sorted(maps.Keys(packages))
	for _, e := range edges(packages) {
		for _, name := range slices.Concat(e.from, e.to) {
			if _, there := packages[name]; !there && !strings.HasSuffix(name, "...") {
				t.Errorf("%s is named in floors_test.go and is not there", name)
			}
		}
		for _, from := range all {
			if !in(e.from, from) {
				continue
			}
			for to, by := range reach(packages, from) {
				if in(e.to, to) && from != to {
					t.Errorf("%s imports %s, by way of %s: %s", from, to, by, e.why)
				}
			}
		}
	}
	for _, from := range all {
		for _, path := range packages[from] {
			to := strings.TrimPrefix(path, module)
			if slices.Contains(forTests, to) && !slices.Contains(forTests, from) {
				t.Errorf("%s imports %s, which is for tests", from, to)
			}
		}
	}
}

func TestVendorsStayInTheirAdapters(t *testing.T) {
	t.Parallel()
	for from, list := range imports(t) {
		for _, path := range list {
			first, _, _ := strings.Cut(path, "/")
			if slices.Contains(bare, from) && (strings.Contains(first, ".") || strings.HasPrefix(path, module) &&
				path != module+"simulator/fault" && path != module+"simulator/wiretest") {
				t.Errorf("%s imports %s: it may import the standard library only", from, path)
			}
			for vendor, may := range owners {
				if (path == vendor || strings.HasPrefix(path, vendor+"/")) && !slices.Contains(may, from) {
					t.Errorf("%s imports %s: only %s may", from, path, cmp.Or(strings.Join(may, ", "), "tests"))
				}
			}
		}
	}
}
