// Command mutants plants faults into the engine, one at a time, and runs the test that must fail with each. It changes
// no file, because the go command reads the faulty file in place of the real one (-overlay). It ends with 1 if a fault
// survives.
//
// With -simulation it runs the simulation in place of the named tests. With a regular expression as its argument it
// plants only the faults with a matching name.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	simulated := flag.Int("simulation", 0, "run `n` histories of the simulation in place of the named tests")
	flag.Parse()
	survived, err := run(flag.Arg(0), *simulated)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if survived > 0 {
		fmt.Printf("%d survived\n", survived)
		os.Exit(1)
	}
}

// run plants the faults with a matching name and returns how many survived.
func run(pattern string, simulated int) (survived int, err error) {
	chosen, err := regexp.Compile(pattern)
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	for _, m := range mutants {
		if !chosen.MatchString(m.name) {
			continue
		}
		if simulated > 0 {
			m.pkg, m.test = "./internal/simulate", "TestSimulation"
		}
		began := time.Now()
		by, err := m.try(dir, simulated)
		switch {
		case err != nil:
			survived++
			by = "NOT TRIED: " + err.Error()
		case by == "":
			survived++
			by = "SURVIVED"
		}
		fmt.Printf("%-50s %-60s %s\n", m.name, by, time.Since(began).Round(time.Second))
	}
	return survived, nil
}

// mutated returns the text of the file with the fault.
func (m *mutant) mutated(text string) (string, error) {
	if n := strings.Count(text, m.old); m.old == "" || n != 1 {
		return "", fmt.Errorf("%q occurs %d times in %s, want 1", m.old, n, m.file)
	}
	return strings.Replace(text, m.old, m.new, 1), nil
}

var failed = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)

// try runs the test with the fault and returns the name of the test that failed; empty if the fault survived.
func (m *mutant) try(dir string, simulated int) (by string, err error) {
	text, err := os.ReadFile(m.file)
	if err != nil {
		return "", err
	}
	faulty, err := m.mutated(string(text))
	if err != nil {
		return "", err
	}
	real, err := filepath.Abs(m.file)
	if err != nil {
		return "", err
	}
	file, overlay := filepath.Join(dir, filepath.Base(m.file)), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]map[string]string{"Replace": {real: file}})
	if err != nil {
		return "", err
	}
	for name, data := range map[string][]byte{file: []byte(faulty), overlay: list} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			return "", err
		}
	}
	args := []string{"test", "-vet=off", "-count=1", "-timeout=20m", "-overlay", overlay, "-run",
		"^" + m.test + "$", m.pkg}
	if simulated > 0 {
		args = append(args, fmt.Sprintf("-rapid.checks=%d", simulated), "-rapid.nofailfile", "-rapid.shrinktime=1s")
	}
	out, err := exec.CommandContext(context.Background(), "go", args...).CombinedOutput()
	if err == nil {
		return "", nil
	}
	found := failed.FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("no test failed, but: %s", bytes.TrimSpace(out))
	}
	return m.pkg + " " + string(found[1]), nil
}
