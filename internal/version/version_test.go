package version

import (
	"runtime/debug"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWhereTheIdentityComesFrom(t *testing.T) {
	recorded := &debug.BuildInfo{
		Main: debug.Module{Version: "v0.1.1-0.20261129-abc"},
		Settings: []debug.BuildSetting{
			{Key: "vcs.revision", Value: "abc"},
			{Key: "vcs.time", Value: "2026-11-29T19:30:00Z"},
			{Key: "GOOS", Value: "linux"},
		},
	}
	for name, test := range map[string]struct {
		told     Info
		recorded *debug.BuildInfo
		want     Info
	}{
		"the linker was told everything": {
			told:     Info{Version: "v0.1.0", Commit: "def", Date: "2026-12-01T00:00:00Z"},
			recorded: recorded,
			want:     Info{Version: "v0.1.0", Commit: "def", Date: "2026-12-01T00:00:00Z"},
		},
		"a plain build in a checkout": {
			recorded: recorded,
			want:     Info{Version: "v0.1.1-0.20261129-abc", Commit: "abc", Date: "2026-11-29T19:30:00Z"},
		},
		"a build without a version control system": {
			recorded: &debug.BuildInfo{Main: debug.Module{Version: "(devel)"}},
			want:     Info{Version: "(devel)", Commit: Unknown, Date: Unknown},
		},
		"nothing is known": {want: Info{Version: Unknown, Commit: Unknown, Date: Unknown}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, from(test.told, test.recorded)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheLineNamesVersionCommitAndDate(t *testing.T) {
	line := Info{Version: "v0.1.0", Commit: "abc", Date: "2026-11-29T19:30:00Z"}.Line("tokenkeeper")
	if !strings.HasPrefix(line, "tokenkeeper v0.1.0 (commit abc, 2026-11-29T19:30:00Z, go") {
		t.Errorf("the line is %q", line)
	}
}
