// Command quickstart shows tokenkeeper at work on one machine and without a cluster: it starts etcd, kube-apiserver,
// the demo marketplace and the operator on loopback, applies the samples, and prints the table of accounts as they
// become authenticated and their tokens are renewed. Below it are the links with which people sign in; with --once it
// follows them as a person would. It runs from the root of the repository, as "make quickstart" does, ends on SIGINT or
// SIGTERM, and leaves nothing behind.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	o, err := parseOptions(os.Args[1:], os.Getenv, os.Stderr)
	if err == nil {
		err = checkRoot(os.DirFS("."))
	}
	if err == nil {
		ctx, hurry := interruptible(context.Background())
		err = run(ctx, o, newScreen(os.Stdout), hurry)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

// run shows everything until ctx ends, or with --once until there is nothing more to show. The programs that it started are stopped
// when it returns, and the files that it wrote are gone.
func run(ctx context.Context, o options, out *screen, hurry <-chan struct{}) (err error) {
	dir, err := os.MkdirTemp("", "tokenkeeper-quickstart-")
	if err != nil {
		return fmt.Errorf("making a temporary directory: %w", err)
	}
	show := &show{options: o, screen: out, hurry: hurry, dir: dir}
	defer func() { err = errors.Join(err, show.end()) }()
	if err := show.begin(ctx); err != nil {
		return err
	}
	return show.watch(ctx)
}
