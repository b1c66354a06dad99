package operator

import (
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// garbagePercent is how much garbage there may be before it is collected, by what is alive. With Go's default of 100 a process that holds 10,000 accounts
// takes as much memory for garbage as for accounts. With less, as many more collections cost processor time: at the default they are a ninth of what
// renewals take.
const garbagePercent = 75

// limitMemory makes the garbage collector keep the process small, and work harder when the container's memory limit comes near, rather than let
// the container be killed for garbage. GOGC and GOMEMLIMIT, where they are set, win.
func limitMemory(log logr.Logger, environment func(string) string) {
	if environment("GOGC") == "" {
		debug.SetGCPercent(garbagePercent)
	}
	limit, err := memlimit.Set(memlimit.WithRatio(bounds.MemoryShare), memlimit.WithProvider(memlimit.FromCgroup), memlimit.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		log.V(1).Info("Running without a memory limit", "reason", err.Error())
		return
	}
	log.Info("Keeping below the memory limit", "bytes", limit)
}

// memoryRelease returns the memory that the first lists took, some kilobytes of garbage for each Secret, which would otherwise stay with the
// process until it needs it again.
type memoryRelease struct{}

// Start implements manager.Runnable. The manager calls it when the caches are filled.
func (memoryRelease) Start(context.Context) error {
	debug.FreeOSMemory()
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: every replica lists.
func (memoryRelease) NeedLeaderElection() bool { return false }
