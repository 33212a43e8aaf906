package buildinfo

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestRead(t *testing.T) {
	t.Parallel()
	vcs := func(revision, modified string) *debug.BuildInfo {
		return &debug.BuildInfo{GoVersion: "go1.26.8", Settings: []debug.BuildSetting{
			{Key: "vcs.modified", Value: modified}, {Key: "vcs.revision", Value: revision},
		}}
	}
	for _, test := range []struct {
		name              string
		version, revision string
		build             *debug.BuildInfo
		want              Info
	}{
		{"nothing is known", "", "", nil, Info{"devel", "unknown", ""}},
		{"a clean repository", "", "", vcs("abc", "false"), Info{"devel", "abc", "go1.26.8"}},
		{"a changed repository", "", "", vcs("abc", "true"), Info{"devel", "abc+", "go1.26.8"}},
		{"the linker", "v1.2.3", "def", &debug.BuildInfo{GoVersion: "go1.26.8"}, Info{"v1.2.3", "def", "go1.26.8"}},
		{"the linker is right", "v1.2.3", "def", vcs("abc", "true"), Info{"v1.2.3", "def", "go1.26.8"}},
	} {
		if got := read(test.version, test.revision, test.build); got != test.want {
			t.Errorf("%s: read() = %+v, want %+v", test.name, got, test.want)
		}
	}
}

func TestReadKnowsTheToolchain(t *testing.T) {
	t.Parallel()
	if got := Read().Go; got != runtime.Version() {
		t.Errorf("Go = %q, want %q", got, runtime.Version())
	}
}
