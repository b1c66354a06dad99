// Assets prints the directory that holds etcd, kube-apiserver and kubectl, for KUBEBUILDER_ASSETS: the tests and
// the quickstart run a real API server from there.
//
// It takes the first that it finds: the directory that $KUBEBUILDER_ASSETS names; a directory of the user's cache
// that is named after the pinned versions; what setup-envtest has downloaded, or downloads now. Else it builds the
// three programs from their Go modules into the cache, which is slow and happens once. Only the path goes to
// standard output. It needs Go and no shell, and is started from anywhere in the repository:
//
//	KUBEBUILDER_ASSETS=$(go run ./hack/assets) go test ./test/api
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	directory, err := find(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "assets:", err)
		os.Exit(1)
	}
	fmt.Println(directory)
}

func find(ctx context.Context) (string, error) {
	if named := os.Getenv("KUBEBUILDER_ASSETS"); named != "" {
		return checkNamed(named)
	}
	tools, err := findTools(ctx)
	if err != nil {
		return "", err
	}
	pinned, err := readPinned(ctx, tools)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the user's cache (set HOME, or KUBEBUILDER_ASSETS): %w", err)
	}
	directory := pinned.directory(cache)
	missing := lacks(directory, "etcd", "kube-apiserver", "kubectl")
	if len(missing) == 0 {
		return directory, nil
	}
	downloaded, err := download(ctx, tools, pinned.kubernetes)
	if err == nil {
		return downloaded, nil
	}
	explainBuild(os.Stderr, pinned, missing, directory, err)
	return directory, build(ctx, pinned.programs(tools, missing), directory, newMeter(os.Stderr))
}
