// Package version tells the version, commit and date of a program's build.
package version

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the linker: -ldflags "-X github.com/tokenkeeper/tokenkeeper/internal/version.version=v0.1.0 …".
var version, commit, date string

// Unknown is the value of a field that a build does not tell.
const Unknown = "unknown"

// Info is the identity of a build.
type Info struct {
	// Version is the release, or "(devel)" for a build of a working copy.
	Version string
	// Commit is the Git commit, in full.
	Commit string
	// Date is the commit's time in RFC 3339, and not that of the build: two builds of one commit are the same file.
	Date string
}

// Get returns the identity of this program: the values given to the linker, else the record of the go command.
func Get() Info {
	recorded, _ := debug.ReadBuildInfo()
	return from(Info{Version: version, Commit: commit, Date: date}, recorded)
}

// from completes the linker's values by the go command's record.
func from(told Info, recorded *debug.BuildInfo) Info {
	var known Info
	if recorded != nil {
		known.Version = recorded.Main.Version
		for _, setting := range recorded.Settings {
			switch setting.Key {
			case "vcs.revision":
				known.Commit = setting.Value
			case "vcs.time":
				known.Date = setting.Value
			}
		}
	}
	return Info{
		Version: cmp.Or(told.Version, known.Version, Unknown),
		Commit:  cmp.Or(told.Commit, known.Commit, Unknown),
		Date:    cmp.Or(told.Date, known.Date, Unknown),
	}
}

// Line is the output of --version for a program.
func (i Info) Line(program string) string {
	return fmt.Sprintf("%s %s (commit %s, %s, %s %s/%s)",
		program, i.Version, i.Commit, i.Date, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
