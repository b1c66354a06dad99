package simulation_test

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"
)

// report prints the figures of a fleet, phase by phase.
func report(to io.Writer, f *fleet) {
	fmt.Fprintf(to, "\n%d accounts, %.0f KiB of each in the API server (%.1f of it the account)\n\n", len(f.members), f.storedEach(), f.kibibytes(accounts))
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	line := func(name string, of func(*phase) string) {
		fmt.Fprintf(table, "%s\t", name)
		for _, p := range f.phases {
			fmt.Fprintf(table, "%s\t", of(p))
		}
		fmt.Fprintln(table)
	}
	number := func(format string, of func(*phase) float64) func(*phase) string {
		return func(p *phase) string { return fmt.Sprintf(format, of(p)) }
	}
	late := func(of func(*phase) []time.Duration, q float64) func(*phase) string {
		return func(p *phase) string {
			if len(of(p)) == 0 {
				return ""
			}
			return fmt.Sprintf("%.2f s", quantile(of(p), q).Seconds())
		}
	}
	here, elsewhere := func(p *phase) []time.Duration { return p.LateHere }, func(p *phase) []time.Duration { return p.LateElsewhere }
	line("", func(p *phase) string { return p.Name })
	line("virtual time", func(p *phase) string { return p.Long.Round(time.Minute).String() })
	line("renewals a second", number("%.2f", (*phase).rate))
	line("first tokens", number("%.0f", func(p *phase) float64 { return float64(p.First) }))
	line("writes a second", number("%.1f", (*phase).writeRate))
	line("writes a renewal", number("%.2f", func(p *phase) float64 { return float64(p.writes()) / float64(p.Renewals+p.First) }))
	line("reads of Secrets", number("%.0f", func(p *phase) float64 { return float64(p.reads()) }))
	line("longest work queue", number("%.0f", func(p *phase) float64 { return float64(p.Queue) }))
	line("waiting for permits, most", number("%.0f", func(p *phase) float64 { return float64(p.Waiting) }))
	for _, q := range []float64{0.5, 0.99, 1} {
		line(fmt.Sprintf("lateness, p%.0f", 100*q), late(elsewhere, q))
	}
	for _, q := range []float64{0.5, 0.99, 1} {
		line(fmt.Sprintf("lateness there, p%.0f", 100*q), late(here, q))
	}
	line("expired", number("%.0f", func(p *phase) float64 { return float64(p.Expired) }))
	line("expired there", number("%.0f", func(p *phase) float64 { return float64(p.Restored) }))
	line("processor time, s", number("%.1f", func(p *phase) float64 { return p.CPU.Seconds() }))
	line("for 1,000 renewals, s", number("%.2f", func(p *phase) float64 { return 1000 * p.CPU.Seconds() / float64(p.Renewals+p.First) }))
	line("share of a processor", number("%.1f %%", func(p *phase) float64 { return 100 * p.load() }))
	line("in the fullest minute", number("%.0f %%", func(p *phase) float64 { return 100 * p.Busiest.Minutes() }))
	line("alive, MiB", number("%.0f", func(p *phase) float64 { return mebibytes(p.End.Alive) }))
	line("resident, MiB", number("%.0f", func(p *phase) float64 { return mebibytes(p.End.Resident) }))
	line("resident at the peak, MiB", number("%.0f", func(p *phase) float64 { return mebibytes(p.End.Peak) }))
	line("a scrape, s", number("%.2f", func(p *phase) float64 { return p.End.Scrape.Seconds() }))
	for _, part := range mix {
		line(part.host+", calls/s", func(p *phase) string {
			mean, peak := p.rates(part.host)
			return fmt.Sprintf("%.2f / %d", mean, peak)
		})
	}
	_ = table.Flush()
}

func mebibytes(bytes uint64) float64 { return float64(bytes) / (1 << 20) }

// kibibytes is how much the API server holds of a kind for each account.
func (f *fleet) kibibytes(of kind) float64 {
	return float64(f.bytes[of]) / 1024 / float64(len(f.members))
}

func (f *fleet) storedEach() float64 { return f.kibibytes(accounts) + f.kibibytes(secrets) }

func (p *phase) rate() float64      { return float64(p.Renewals+p.First) / p.Long.Seconds() }
func (p *phase) writeRate() float64 { return float64(p.writes()) / p.Long.Seconds() }

// load is the part of a processor that the operator takes.
func (p *phase) load() float64 { return p.CPU.Seconds() / p.Long.Seconds() }

// named is a phase by its name.
func (f *fleet) named(name string) *phase {
	for _, p := range f.phases {
		if p.Name == name {
			return p
		}
	}
	return &phase{}
}

// reportMillion computes the needs of a million accounts from the figures of two fleets: the line through both.
func reportMillion(to io.Writer, small, large *fleet) {
	const million = 1e6
	fmt.Fprintf(to, "\nv(n) = v(%d) + (n - %[1]d) × (v(%[2]d) - v(%[1]d)) / %[3]d\n\n", len(small.members), len(large.members), len(large.members)-len(small.members))
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(table, "\t%d\t%d\ta million\tfor each account, as times as before\t\n", len(small.members), len(large.members))
	line := func(name, format string, of func(*fleet) float64) {
		a, b := of(small), of(large)
		n, m := float64(len(small.members)), float64(len(large.members))
		fmt.Fprintf(table, "%s\t"+format+"\t"+format+"\t"+format+"\t%.2f\t\n", name, a, b, a+(million-n)*(b-a)/(m-n), b/m/(a/n))
	}
	line("renewals a second", "%.2f", func(f *fleet) float64 { return f.named(steady).rate() })
	line("writes a second", "%.1f", func(f *fleet) float64 { return f.named(steady).writeRate() })
	line("stored, MiB", "%.0f", func(f *fleet) float64 { return f.storedEach() * float64(len(f.members)) / 1024 })
	line("processors, steady", "%.3f", func(f *fleet) float64 { return f.named(steady).load() })
	line("processors, outage", "%.3f", func(f *fleet) float64 { return f.named(without).load() })
	line("processor time to look at all after a restart, s", "%.0f", func(f *fleet) float64 { return f.named(restarted).Busiest.Seconds() })
	line("alive, MiB", "%.0f", func(f *fleet) float64 { return mebibytes(f.named(steady).End.Alive) })
	line("resident at the peak of a restart, MiB", "%.0f", func(f *fleet) float64 { return mebibytes(f.named(restarted).End.Peak) })
	line("a scrape, s", "%.2f", func(f *fleet) float64 { return f.named(steady).End.Scrape.Seconds() })
	for _, part := range mix {
		line(part.host+", calls/s", "%.2f", func(f *fleet) float64 { mean, _ := f.named(steady).rates(part.host); return mean })
	}
	_ = table.Flush()
}
