// Package gen writes the directory of the demo, people.ldif, and the same company a morning later, next.ldif:
//
//	go test ./internal/demo/gen -update
//
// It is deterministic, so that a change of the program is the only reason for a change of the files.
package gen

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "rewrite people.ldif and next.ldif")

func TestFilesAreUpToDate(t *testing.T) {
	t.Parallel()
	for name, want := range files() {
		path := filepath.Join("..", name)
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is stale: run go test ./internal/demo/gen -update", name)
		}
	}
}

// The people of the morning; see company.morning.
const (
	renamedUID  = "awojcik"
	disabledUID = "hgauthier"
	movedUID    = "mweiss"
)

// leaversUIDs are gone the next morning.
var leaversUIDs = []string{"stanaka", "gdoyle", "rdeshpande"}

// files returns the two states by file name.
func files() map[string][]byte {
	c := &company{byUID: map[string]*person{}}
	c.hire()
	c.special()
	c.organise()
	today := c.ldif("Example Instruments: people and groups of a company that does not exist.")
	c.morning()
	return map[string][]byte{
		"people.ldif": today,
		"next.ldif":   c.ldif("Example Instruments, the next morning."),
	}
}
