// Command tokenkeeper is the operator: it keeps the token Secrets of MarketplaceAccounts valid, and serves the pages where
// people sign in.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/tokenkeeper/tokenkeeper/internal/operator"
	"github.com/tokenkeeper/tokenkeeper/internal/version"
)

func main() {
	options, err := operator.Parse(flag.CommandLine, os.Args[1:])
	if err == nil && options.Version {
		fmt.Println(version.Get().Line("tokenkeeper"))
		return
	}
	if err == nil {
		err = operator.Run(ctrl.SetupSignalHandler(), options)
	}
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "tokenkeeper:", err)
		os.Exit(1)
	}
}
