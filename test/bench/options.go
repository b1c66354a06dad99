package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	only string
	runs int
	json string
	// people is how many sign in at once.
	people int
	// accounts is how many accounts the fleet has, and few how many the other scenarios.
	accounts, few int
	// concurrency is how many accounts are worked on at once where time is compared with that of the floor, and how many
	// requests a marketplace takes at once.
	concurrency int
	// creators is how many accounts are created at once, and turns how often floor and operator take turns at creating all.
	creators, turns int
	// lifetime is that of the fleet's tokens, short that of the few.
	lifetime, short time.Duration
	// rounds is how often each token of the fleet is renewed while it is watched.
	rounds int
	// rest is how long the operator is left alone before its memory is read.
	rest time.Duration
	// patience is how long dead grants are watched.
	patience time.Duration
	// foreign and large are how many Secrets of others there are, of 1 KB and of 1 MB.
	foreign, large int
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.only, "only", strings.Join(benchmarks, ","), "which `benchmarks` to run")
	flags.IntVar(&o.runs, "runs", 3, "how often each is repeated")
	flags.StringVar(&o.json, "json", "", "`file` for the figures; default standard output")
	flags.IntVar(&o.people, "people", 100, "how many people sign in at once")
	flags.IntVar(&o.accounts, "accounts", 10000, "how many accounts the fleet has")
	flags.IntVar(&o.few, "few", 1000, "how many accounts there are where few are enough")
	flags.IntVar(&o.concurrency, "concurrency", 64, "how many new accounts are worked on at once, by the operator and by the floor")
	flags.IntVar(&o.creators, "creators", 16, "how many accounts are created at once")
	flags.IntVar(&o.turns, "turns", 4, "in how many turns with the floor the fleet is created")
	flags.DurationVar(&o.lifetime, "lifetime", 6*time.Minute, "how long the fleet's tokens live")
	flags.DurationVar(&o.short, "short", 90*time.Second, "how long the tokens of the few live")
	flags.IntVar(&o.rounds, "rounds", 3, "how often each of the fleet's tokens is renewed")
	flags.DurationVar(&o.rest, "rest", 15*time.Second, "how long the operator is left alone before its memory is read")
	flags.DurationVar(&o.patience, "patience", time.Minute, "how long dead grants are watched")
	flags.IntVar(&o.foreign, "foreign", 30000, "how many Secrets of 1 KB others have")
	flags.IntVar(&o.large, "large", 300, "how many Secrets of 1 MB others have")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	for name := range strings.SplitSeq(o.only, ",") {
		if !slices.Contains(benchmarks, name) {
			return o, fmt.Errorf("there is no benchmark %q; there are %s", name, strings.Join(benchmarks, ", "))
		}
	}
	if min(o.runs, o.people, o.accounts, o.concurrency, o.creators, o.turns, o.rounds, o.foreign, o.large) < 1 || o.few < 2 {
		return o, errors.New("numbers must be at least 1, and -few at least 2")
	}
	if min(o.lifetime, o.short) < 30*time.Second {
		return o, errors.New("-lifetime and -short must be at least 30s: the operator renews no token in its first ten seconds")
	}
	return o, nil
}
