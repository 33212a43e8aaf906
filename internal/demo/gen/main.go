// Command gen writes the directory of the demo, people.ldif, and the same company a morning later, next.ldif:
//
//	go run ./internal/demo/gen
//
// It is deterministic, so that a change of the program is the only reason for a change of the files.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

// The people of the morning; see company.morning.
const (
	renamedUID  = "awojcik"
	disabledUID = "hgauthier"
	movedUID    = "mweiss"
)

// leaversUIDs are gone the next morning.
var leaversUIDs = []string{"stanaka", "gdoyle", "rdeshpande"}

func main() {
	dir := flag.String("dir", filepath.Join("internal", "demo"), "where to write")
	flag.Parse()
	for name, text := range files() {
		if err := os.WriteFile(filepath.Join(*dir, name), text, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

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
