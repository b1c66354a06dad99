package operator

import (
	"context"
	"log/slog"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// limitMemory makes the garbage collector work harder when the container's memory limit comes near, rather than let the container be
// killed for garbage. GOMEMLIMIT, where it is set, wins.
func limitMemory(log logr.Logger) {
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
