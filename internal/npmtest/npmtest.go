// Package npmtest runs programs of npm packages in tests. It needs node and npm, which fetches the packages, so its
// callers have the build tag npm.
package npmtest

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Folder is a copy of testdata/npm with its packages installed.
type Folder struct {
	t testing.TB
	// Dir is the path of the folder. It is removed after the test.
	Dir string
	// Env is added to the environment of the programs.
	Env []string
}

// Install copies testdata/npm and installs the packages of its lock file, without their scripts. The test fails where
// it cannot.
func Install(t testing.TB) *Folder {
	t.Helper()
	return InstallFrom(t, ".")
}

// InstallFrom is Install for the testdata/npm of another package's folder.
func InstallFrom(t testing.TB, dir string) *Folder {
	t.Helper()
	f := &Folder{t: t, Dir: t.TempDir()}
	if err := os.CopyFS(f.Dir, os.DirFS(filepath.Join(dir, "testdata", "npm"))); err != nil {
		t.Fatal(err)
	}
	f.Run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
	return f
}

// File returns the contents of a file of the folder.
func (f *Folder) File(path ...string) []byte {
	f.t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{f.Dir}, path...)...))
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

// Write makes a file in the folder.
func (f *Folder) Write(name string, text []byte) {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.Dir, name), text, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// Run runs a program in the folder to its end, and returns its output. The test fails where the program does.
func (f *Folder) Run(name string, args ...string) []byte {
	f.t.Helper()
	out, err := f.command(name, args).Output()
	if err != nil {
		f.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return out
}

// Serve starts server.mjs in the folder, and returns the first line of its output. The server ends with the test.
func (f *Folder) Serve(args ...string) string {
	f.t.Helper()
	server := f.command("node", append([]string{"server.mjs"}, args...))
	out, err := server.StdoutPipe()
	if err == nil {
		err = server.Start()
	}
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		f.t.Fatal(err)
	}
	return strings.TrimSpace(line)
}

func (f *Folder) command(name string, args []string) *exec.Cmd {
	cmd := exec.CommandContext(f.t.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.Stderr = f.Dir, append(os.Environ(), f.Env...), f.t.Output()
	return cmd
}
