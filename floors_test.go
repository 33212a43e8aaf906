package rollcall_test

import (
	"cmp"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "rollcall/"

// floors says on which floor each package stands. An import goes to a lower floor or to the same one, so that what decides
// never depends on what carries out. docs/architecture.md has the picture.
var floors = map[string]int{
	// F0: vocabulary. Standard library only; see bare.
	"container":           1,
	"directory":           0,
	"internal/buildinfo":  0,
	"fault":               0,
	"internal/problem":    0,
	"internal/scrub":      0,
	"internal/redisfault": 1,
	"internal/stored":     0,
	"internal/secret":     0,

	// F1: decides, and does nothing.
	"plan": 1,

	// F2: ports, and what keeps or computes for them.
	"mapping":       2,
	"source":        2,
	"provider":      2,
	"provider/pace": 2,
	"ledger":        2,
	"status":        2,
	"decisions":     2,

	// F3: adapters, the engine that knows only ports, simulators and conformance suites.
	"status/watch":              3,
	"source/ldap":               3,
	"directory/store":           3,
	"provider/googleworkspace":  3,
	"provider/entra":            3,
	"provider/providertest":     3,
	"source/sourcetest":         3,
	"ledger/ledgertest":         3,
	"reconcile":                 3,
	"explain":                   3,
	"preview":                   3,
	"simulator/fault":           2,
	"simulator/googleworkspace": 3,
	"simulator/googleworkspace/discoverytest": 2,
	"simulator/graph":                         3,
	"simulator/graph/csdltest":                2,
	"internal/metrics":                        3,

	// F4: who drives the engine, and who shows what it did.
	"jobs":            4,
	"api":             4,
	"internal/config": 4,
	"internal/tokens": 1,
	// Serves asynqmon, and names no type of asynq: asynqmon takes anything that can make a Redis client.
	"internal/dashboard": 4,

	// F5: what the programs share.
	"internal/boot":   5,
	"internal/client": 5,
	"internal/demo":   0,

	// F6: the programs.
	"cmd/api":           6,
	"cmd/worker":        6,
	"cmd/rollcall":      6,
	"internal/demo/gen": 6,
	"deploy/grafana":    6, // writes a dashboard; nothing imports it

	// Helpers of tests; only tests import them.
	"internal/redistest": 1,
	"internal/testclock": 0,
	"internal/slapdtest": 1,
	"internal/sambatest": 1,
}

// bare packages import the standard library and nothing else.
var bare = []string{
	"directory", "fault", "internal/buildinfo", "internal/problem", "internal/scrub", "internal/secret", "internal/stored", "internal/testclock", "internal/demo", "deploy/grafana",
	"simulator/fault", "simulator/googleworkspace", "simulator/googleworkspace/discoverytest", "simulator/graph", "simulator/graph/csdltest",
}

// apart are the adapters and the engine: they know the ports and never each other.
var apart = []string{
	"source/ldap", "directory/store", "provider/googleworkspace", "provider/entra", "reconcile", "simulator/googleworkspace", "simulator/graph",
}

// forTests may be imported by tests only.
var forTests = []string{
	"internal/redistest", "internal/testclock", "internal/slapdtest", "internal/sambatest", "provider/providertest", "source/sourcetest", "ledger/ledgertest",
	"simulator/googleworkspace/discoverytest", "simulator/graph/csdltest",
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
	"github.com/yandex-cloud/go-genproto":  {}, // the clients' types, for a test
}

// imports returns what each package of the module imports outside of its tests, files of every platform. It reads the files
// and does not ask `go list`, so that the result of this test is cached for as long as it is true.
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

func TestFloors(t *testing.T) {
	t.Parallel()
	packages := imports(t)
	for name := range floors {
		if _, there := packages[name]; !there {
			t.Errorf("%s has a floor and is not there: take it out of the table", name)
		}
	}
	for from, list := range packages {
		floor, known := floors[from]
		if !known {
			t.Errorf("%s stands on no floor: write it into the table of floors_test.go", from)
			continue
		}
		for _, path := range list {
			to, ours := strings.CutPrefix(path, module)
			if !ours {
				continue
			}
			if other, known := floors[to]; known && other > floor {
				t.Errorf("%s (F%d) imports %s (F%d): an import goes to a lower floor or stays on its own", from, floor, to, other)
			}
			if slices.Contains(apart, from) && slices.Contains(apart, to) {
				t.Errorf("%s imports %s: adapters and the engine know ports only", from, to)
			}
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
			if slices.Contains(bare, from) && (strings.Contains(first, ".") || strings.HasPrefix(path, module) && path != module+"simulator/fault") {
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
