// Mutate holds the tests of packages against mutants of their code: "make mutate". A mutant is the package with one operator changed,
// and is killed where a test of that package fails. Gremlins makes the mutants and runs the tests; it is pinned in hack/tools.
//
//	go run ./hack/mutate [-share 95] [-workers 1] [package folders]
//
// It prints each mutant that lives and a row for each package, and fails where less than the share of all mutants is killed. A mutant that
// does not compile is killed, as a test that does not compile would say so. One that hangs the tests is not: on a loaded machine time
// says nothing.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"text/tabwriter"
)

// packages decide what happens to an account, or keep the custody of accounts.
var packages = []string{
	"internal/custody", "internal/facts", "internal/failures", "internal/invitation", "internal/lifecycle", "internal/reasons", "internal/conditions", "internal/renewal", "internal/throttle",
	"internal/answer", "internal/tokensecret",
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if filepath.Base(os.Args[0]) == goName {
		status := runGo(ctx, os.Args[1:])
		stop()
		os.Exit(status)
	}
	share := flag.Float64("share", 95, "percentage of its mutants that the tests of each package must kill")
	workers := flag.Int("workers", 1, "how many mutants are tried at once; each worker has a copy of the checkout")
	flag.Parse()
	if flag.NArg() > 0 {
		packages = flag.Args()
	}
	err := run(ctx, os.Stdout, packages, *workers, *share)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, out io.Writer, packages []string, workers int, share float64) error {
	tool, err := prepare(ctx, workers)
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tool.folder) }()
	var all []counts
	for _, folder := range packages {
		folder = strings.TrimPrefix(filepath.ToSlash(filepath.Clean(folder)), "./")
		found, err := tool.mutate(ctx, folder)
		if err != nil {
			return fmt.Errorf("mutating %s: %w", folder, err)
		}
		c := count(folder, found)
		for _, mutant := range c.survivors {
			fmt.Fprintln(out, mutant)
		}
		all = append(all, c)
	}
	if err := printTable(out, all); err != nil {
		return err
	}
	return judge(all, share)
}

// counts are the ends of the mutants of a package. Mutants that are neither killed, nor lived, nor timed out had an error.
type counts struct {
	folder                           string
	mutants, killed, lived, timedOut int
	// survivors are the mutants that are not killed, a line each.
	survivors []string
}

func count(folder string, found report) counts {
	c := counts{folder: folder}
	for _, file := range found.Files {
		for _, mutant := range file.Mutations {
			c.mutants++
			switch mutant.Status {
			case "KILLED", "NOT VIABLE":
				c.killed++
				continue
			case "LIVED":
				c.lived++
			case "TIMED OUT":
				c.timedOut++
			}
			c.survivors = append(c.survivors, fmt.Sprintf("%s/%s:%d:%d: %s %s", folder, file.Name, mutant.Line, mutant.Column, mutant.Type, mutant.Status))
		}
	}
	return c
}

// share is the percentage of the mutants that were killed. A package without any has nothing to change.
func (c counts) share() float64 {
	if c.mutants == 0 {
		return 100
	}
	return 100 * float64(c.killed) / float64(c.mutants)
}

func printTable(out io.Writer, all []counts) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "package\tmutants\tkilled\tlived\ttimed out\tkilled of all\t")
	for _, c := range all {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%.1f %%\t\n", c.folder, c.mutants, c.killed, c.lived, c.timedOut, c.share())
	}
	return table.Flush()
}

func judge(all []counts, share float64) error {
	var errs []error
	for _, c := range all {
		if c.share() < share {
			errs = append(errs, fmt.Errorf("the tests of %s kill %.1f %% of its mutants, less than %g %%: add a test that fails with one of those above",
				c.folder, c.share(), share))
		}
	}
	return errors.Join(errs...)
}
