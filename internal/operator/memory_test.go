package operator

import (
	"runtime/debug"
	"testing"

	"github.com/go-logr/logr"
)

// TestGarbageIsCollectedEarly unless the environment says otherwise.
func TestGarbageIsCollectedEarly(t *testing.T) {
	limit := debug.SetMemoryLimit(-1)
	before := debug.SetGCPercent(300)
	defer func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(before)
	}()
	for set, want := range map[string]int{"300": 300, "": garbagePercent} {
		debug.SetGCPercent(300)
		limitMemory(logr.Discard(), func(name string) string {
			if name == "GOGC" {
				return set
			}
			return ""
		})
		if got := debug.SetGCPercent(300); got != want {
			t.Errorf("with GOGC=%q it is %d, want %d", set, got, want)
		}
	}
}
