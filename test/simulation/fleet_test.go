package simulation_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	fleetSizes  = flag.String("accounts", "40", "how many accounts a fleet has; numbers with commas between them are fleets of their own")
	fleetFor    = flag.Duration("for", time.Hour, "how long a fleet is watched in its steady state")
	fleetOutage = flag.String("outage", "amazon", "the marketplace that is away for an hour")
	fleetShards = flag.Int("shards", 0, "into how many shards a fleet is parted in the end, to see what one of them takes; 0 for none")
	fleetTold   = flag.Bool("table", false, "print what was measured")
)

// TestFleet has an operator keep many accounts of real lifetimes for hours, through a restart, and through an hour without one of the marketplaces.
// Rules that hold for any number of accounts are asserted; figures are printed where they are asked for.
func TestFleet(t *testing.T) {
	var all []*fleet
	for text := range strings.SplitSeq(*fleetSizes, ",") {
		size, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Test(t, func(t *testing.T) {
			f := newFleet(size, lead)
			f.play(t)
			all = append(all, f)
		})
		if *fleetTold {
			report(os.Stdout, all[len(all)-1])
		}
	}
	if *fleetTold && len(all) > 1 {
		reportMillion(os.Stdout, all[len(all)-2], all[len(all)-1])
	}
}

const (
	// lead is how long it takes until all accounts are there, which is the longest life of their tokens.
	lead = 24 * time.Hour
	// look is how long each of the phases after the steady one takes, and shardLook that of a shard.
	look, shardLook = time.Hour, 10 * time.Minute
)

// The phases of a fleet.
const (
	coming       = "they come"
	steady       = "steady"
	restarted    = "after a restart"
	without      = "an outage"
	back         = "after it"
	byLabels     = "a shard by labels"
	byNamespaces = "a shard by namespaces"
)

// play has a fleet come, and measures it in its steady state, after a restart, and during and after an outage of a marketplace.
func (f *fleet) play(t *testing.T) {
	t.Helper()
	o := f.begin(t)
	f.phase(t, o, coming, lead+time.Minute)
	f.phase(t, o, steady, *fleetFor)
	f.holds(t, true)
	f.size()
	o.stop(t)

	o = f.begin(t)
	f.phase(t, o, restarted, look)
	f.holds(t, true)

	away := f.partOf(*fleetOutage)
	away.market.outage, away.market.outageEnds = "page503", time.Now().Add(look)
	f.away = away.host
	f.phase(t, o, without, look)
	f.holds(t, false)
	f.back = time.Now()
	f.phase(t, o, back, look)
	f.holds(t, true)
	o.stop(t)
	f.parted(t)
}

// parted looks at the cost of one of several shards, in either way of dividing them.
func (f *fleet) parted(t *testing.T) {
	t.Helper()
	if *fleetShards < 2 {
		return
	}
	f.away = ""
	o := f.begin(t, "-label="+shardLabel+"=0")
	f.phase(t, o, byLabels, shardLook)
	o.close()
	var names []string
	for name := range f.namespaces {
		if shardOf(name) == "0" {
			names = append(names, name)
		}
	}
	o = f.begin(t, "-namespaces="+strings.Join(names, ","))
	f.phase(t, o, byNamespaces, shardLook)
	o.close()
}

func (f *fleet) phase(t *testing.T, o *running, name string, long time.Duration) {
	t.Helper()
	f.enter(name, o)
	o.run(t, time.Now().Add(long))
	f.now().leave(o.measure(t))
	if *fleetTold {
		p := f.now()
		fmt.Fprintf(os.Stderr, "%d accounts, %s: %d renewals in %s of processor time, %.0f MiB alive\n", len(f.members), name, p.Renewals+p.First, p.CPU, mebibytes(p.End.Alive))
	}
}

// partOf is the part of a fleet at a marketplace.
func (f *fleet) partOf(marketplace string) *fleetPart {
	for _, p := range f.parts {
		if p.marketplace == marketplace {
			return p
		}
	}
	panic("no account is at " + marketplace)
}

// holds asserts the rules for the end of a phase. settled tells that all marketplaces were there for a while.
func (f *fleet) holds(t *testing.T, settled bool) {
	t.Helper()
	p := f.now()
	slack := 5 + len(f.members)/1000 // requests that are under way when a phase begins or ends
	if p.Expired > 0 {
		t.Errorf("%s: %d tokens expired at marketplaces that were there", p.Name, p.Expired)
	}
	asked := -p.Unanswered
	for _, seconds := range p.calls {
		for _, count := range seconds {
			asked += count
		}
	}
	if got := p.Renewals + p.First; asked > got+slack || asked < got-slack {
		t.Errorf("%s: %d requests for tokens were answered, and %d tokens published", p.Name, asked, got)
	}
	for host, most := range p.Underway {
		if most > *poolOfWork/4 {
			t.Errorf("%s: %d requests to %s were under way at once", p.Name, most, host)
		}
	}
	if !settled {
		return
	}
	if writes, most := p.Asked["POST secrets"]+p.Asked["PUT secrets"], 3*(p.Renewals+p.First+slack); writes > most {
		t.Errorf("%s: %d writes of Secrets, and %d are enough: the journal, the grant Secret and the token Secret of each renewal", p.Name, writes, most)
	}
	if overdue, expired := f.overdue(), f.expired(); overdue+expired > 0 {
		t.Errorf("%s: %d accounts are overdue in the end, and %d have an expired token", p.Name, overdue, expired)
	}
	if p.End.Waiting > 0 {
		t.Errorf("%s: %d accounts wait for permits in the end", p.Name, p.End.Waiting)
	}
}
