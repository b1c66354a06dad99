package main

import (
	"flag"
	"fmt"

	_ "sigs.k8s.io/controller-runtime/pkg/client/config" // registers --kubeconfig
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
)

// options are the flags of the operator.
type options struct {
	leaderElect             bool
	metricsAddress          string
	probeAddress            string
	maxConcurrentReconciles int
	log                     zap.Options
}

func parse(flags *flag.FlagSet, args []string) (options, error) {
	var o options
	flags.BoolVar(&o.leaderElect, "leader-elect", false,
		"Work only while holding a lease, so that several replicas may run. The manifests set it.")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":8080", `Address of /metrics; "0" turns it off.`)
	flags.StringVar(&o.probeAddress, "health-probe-bind-address", ":8081", `Address of /healthz and /readyz; "0" turns them off.`)
	flags.IntVar(&o.maxConcurrentReconciles, "max-concurrent-reconciles", 16, "How many accounts are worked on at once.")
	o.log.BindFlags(flags)
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q: tokenkeeper takes flags only", flags.Arg(0))
	}
	if o.maxConcurrentReconciles < 1 {
		return o, fmt.Errorf("--max-concurrent-reconciles must be at least 1, is %d", o.maxConcurrentReconciles)
	}
	return o, nil
}
