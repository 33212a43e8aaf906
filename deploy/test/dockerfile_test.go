package deploy_test

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// dockerfile parses deploy/Dockerfile as BuildKit does.
func dockerfile(t *testing.T) []instructions.Stage {
	t.Helper()
	parsed, err := parser.Parse(strings.NewReader(read(t, "deploy/Dockerfile")))
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range parsed.Warnings {
		t.Errorf("deploy/Dockerfile: %s", w.Short)
	}
	stages, _, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 {
		t.Fatalf("deploy/Dockerfile has %d stages, want one that builds and one that runs", len(stages))
	}
	return stages
}

// find returns the commands of one kind.
func find[C instructions.Command](s instructions.Stage) (out []C) {
	for _, c := range s.Commands {
		if c, is := c.(C); is {
			out = append(out, c)
		}
	}
	return out
}

func TestBaseImagesArePinned(t *testing.T) {
	t.Parallel()
	stages := dockerfile(t)
	version := regexp.MustCompile(`(?m)^go (\S+)$`).FindStringSubmatch(read(t, "go.mod"))[1]
	if base := stages[0].BaseName; !strings.HasPrefix(base, "golang:"+version+"-") {
		t.Errorf("it builds with %s, and go.mod says %s", base, version)
	}
	if base := stages[1].BaseName; !regexp.MustCompile(`@sha256:[0-9a-f]{64}$`).MatchString(base) {
		t.Errorf("it runs on %s, whose tag can move: want a digest", base)
	}
}

func TestTheImageRunsAsNobody(t *testing.T) {
	t.Parallel()
	final := dockerfile(t)[1]
	if users := find[*instructions.UserCommand](final); len(users) != 1 || users[0].User != "65532:65532" {
		t.Errorf("USER = %v, want the number of nonroot, which Kubernetes can tell from root's", users)
	}
	if runs := find[*instructions.RunCommand](final); len(runs) != 0 {
		t.Errorf("RUN needs a shell, and there is none")
	}
	if entry := find[*instructions.EntrypointCommand](final); len(entry) != 0 {
		t.Error("an ENTRYPOINT stands in the way of choosing the program by its name")
	}
	labels := map[string]string{}
	for _, l := range find[*instructions.LabelCommand](final) {
		for _, kv := range l.Labels {
			labels[kv.Key] = kv.Value
		}
	}
	for _, name := range []string{"title", "description", "licenses", "version", "revision", "base.name"} {
		if labels["org.opencontainers.image."+name] == "" {
			t.Errorf("the label org.opencontainers.image.%s is missing", name)
		}
	}
}

// buildContext copies what the build gets to see, by .dockerignore, and returns where it is.
func buildContext(t *testing.T, dir string) string {
	t.Helper()
	patterns, err := ignorefile.ReadAll(strings.NewReader(read(t, ".dockerignore")))
	if err != nil {
		t.Fatal(err)
	}
	ignored, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == ".git" {
			return filepath.SkipDir
		}
		rel, err := filepath.Rel(root, path)
		if err != nil || d.IsDir() {
			return err
		}
		if out, err := ignored.MatchesOrParentMatches(filepath.ToSlash(rel)); err != nil || out {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		to := filepath.Join(dir, rel)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		return os.WriteFile(to, data, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The build sees only sources, and no configuration, token or key that lies beside them.
func TestTheBuildSeesOnlySources(t *testing.T) {
	t.Parallel()
	dir := buildContext(t, t.TempDir())
	sources := []string{".go", ".mod", ".sum", ".lua", ".html", ".css", ".js", ".svg", ".json", ".tmpl", ".ldif"}
	profiles := filepath.Join(dir, "provider", "scim", "profiles") // Any other YAML may be a configuration.
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if filepath.Dir(path) == profiles && filepath.Ext(path) == ".yaml" {
			return err
		}
		if err == nil && !d.IsDir() && (!slices.Contains(sources, filepath.Ext(path)) ||
			strings.HasSuffix(path, "_test.go")) {
			t.Errorf("the build sees %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range find[*instructions.CopyCommand](dockerfile(t)[0]) {
		for _, source := range c.SourcePaths {
			if _, err := os.Stat(filepath.Join(dir, source)); err != nil {
				t.Errorf("COPY %s: %v", source, err)
			}
		}
	}
}

// goBuild returns the command of the Dockerfile that builds.
func goBuild(t *testing.T) string {
	t.Helper()
	for _, c := range find[*instructions.RunCommand](dockerfile(t)[0]) {
		if line := strings.Join(c.CmdLine, " "); strings.Contains(line, "go build") {
			return line
		}
	}
	t.Fatal("deploy/Dockerfile builds nothing")
	return ""
}

// build runs that command over a copy of what the build sees, for one program. The build cache is shared. It knows
// packages by what they are compiled from, and the path is part of that unless the command keeps it out.
func build(t *testing.T, dir string) (program string) {
	t.Helper()
	const all, out = "./cmd/api ./cmd/worker ./cmd/rollcall", "-o /out/"
	line := goBuild(t)
	if !strings.Contains(line, all) || !strings.Contains(line, out) {
		t.Fatalf("the build is another than it was: %s", line)
	}
	line = strings.NewReplacer(all, "./cmd/rollcall", out, "-o ../out/").Replace(line)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", line)
	cmd.Dir = buildContext(t, filepath.Join(dir, "src"))
	cmd.Env = append(os.Environ(), "GOFLAGS=", "TARGETOS=linux", "TARGETARCH="+runtime.GOARCH, "VERSION=v1.2.3",
		"REVISION=0123abc")
	for _, c := range find[*instructions.EnvCommand](dockerfile(t)[0]) {
		for _, kv := range c.Env {
			cmd.Env = append(cmd.Env, kv.Key+"="+kv.Value)
		}
	}
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, text)
	}
	return filepath.Join(dir, "out", "rollcall")
}

func TestTheBuildIsStaticAndReproducible(t *testing.T) {
	t.Parallel()
	first := build(t, t.TempDir())
	second := build(t, filepath.Join(t.TempDir(), "a", "longer", "path"))
	if a, b := sum(t, first), sum(t, second); a != b {
		t.Errorf("two builds of the same sources differ: %s and %s", a, b)
	}

	file, err := elf.Open(first)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if libraries, err := file.ImportedLibraries(); len(libraries) != 0 || err != nil {
		t.Errorf("it needs %v (%v), and the image has no libraries", libraries, err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a dynamic loader")
		}
	}
	info, err := buildinfo.ReadFile(first)
	if err != nil || info.Path != "rollcall/cmd/rollcall" || len(info.Deps) < 20 {
		t.Errorf("scanners read nothing of its modules: %v", err)
	}
	out, err := exec.Command(first, "version").Output()
	if want := []byte("rollcall v1.2.3, revision 0123abc, go1."); err != nil || !bytes.HasPrefix(out, want) {
		t.Errorf("rollcall version = %q, %v, want %s…", out, err, want)
	}
}

func sum(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}
