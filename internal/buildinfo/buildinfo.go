// Package buildinfo tells which build this is, for `rollcall version` and for the metric rollcall_build_info.
//
// The Go toolchain records the commit where it finds a repository. Elsewhere, as in the build of the image, the
// linker sets the variables:
//
//	p=rollcall/internal/buildinfo
//	go build -ldflags "-X $p.version=v1.2.3 -X $p.revision=$(git rev-parse HEAD)"
package buildinfo

import (
	"cmp"
	"runtime/debug"
)

// Set by the linker, or empty.
var version, revision string

// Info names a build.
type Info struct {
	// Version is that of a release; devel otherwise.
	Version string
	// Revision is the commit; "unknown" where the build did not record it. A plus sign at its end stands for
	// uncommitted changes.
	Revision string
	// Go is the version of the toolchain.
	Go string
}

// Read returns what is known of this program.
func Read() Info {
	b, _ := debug.ReadBuildInfo()
	return read(version, revision, b)
}

func read(version, revision string, b *debug.BuildInfo) Info {
	info := Info{Version: version, Revision: revision}
	modified := ""
	if b != nil {
		info.Go = b.GoVersion
		for _, s := range b.Settings {
			switch {
			case s.Key == "vcs.revision" && info.Revision == "":
				info.Revision = s.Value
			case s.Key == "vcs.modified" && s.Value == "true" && revision == "":
				modified = "+"
			}
		}
	}
	info.Version = cmp.Or(info.Version, "devel")
	info.Revision = cmp.Or(info.Revision, "unknown")
	info.Revision += modified
	return info
}
