package simulation_test

import (
	"slices"
	"time"
)

// phase holds the figures of a fleet for a while.
type phase struct {
	Name string
	// Long is how long it took, in virtual time.
	Long time.Duration
	// First counts first tokens, and Renewals those that took the place of others: Expired the place of expired ones, and Restored at the
	// marketplace that was away.
	First, Renewals, Expired, Restored int
	// LateHere are lateness of renewals at the marketplace that was away, LateElsewhere that of all other renewals.
	LateHere, LateElsewhere []time.Duration
	// Unanswered counts requests to a marketplace that was away.
	Unanswered int
	// Asked counts requests to the API server by verb and resource.
	Asked map[string]int
	// CPU is the processor time of the operator, Busiest the most in one minute.
	CPU, Busiest time.Duration
	// Queue is the longest work queue, Waiting the most accounts that waited for permits, Underway the most requests to a host at once.
	Queue, Waiting int
	Underway       map[string]int
	// End is how it was in the end.
	End sample

	began time.Time
	// calls counts, for each host, the requests of each second.
	calls map[string][]int
	// cpu is the processor time at the beginning, and minute at the last full minute.
	cpu, minute time.Duration
	minuteAt    time.Time
}

// now is the phase that goes on.
func (f *fleet) now() *phase { return f.phases[len(f.phases)-1] }

// enter begins a phase.
func (f *fleet) enter(name string, o *running) {
	p := &phase{
		Name: name, began: time.Now(), calls: map[string][]int{}, Underway: map[string]int{}, Asked: map[string]int{},
		cpu: o.spent, minute: o.spent, minuteAt: time.Now(),
	}
	f.phases = append(f.phases, p)
	f.api.asked = p.Asked
}

// leave ends it.
func (p *phase) leave(last sample) {
	p.Long, p.CPU, p.End = time.Since(p.began), last.CPU-p.cpu, last
}

// tick notes how it is.
func (p *phase) tick(s sample) {
	p.Queue, p.Waiting = max(p.Queue, s.Queue), max(p.Waiting, s.Waiting)
	for host, most := range s.Underway {
		p.Underway[host] = max(p.Underway[host], most)
	}
	if time.Since(p.minuteAt) >= time.Minute {
		p.Busiest = max(p.Busiest, s.CPU-p.minute)
		p.minute, p.minuteAt = s.CPU, time.Now()
	}
}

// renewed notes that the tokens of an account took the place of others. Nothing is late at a marketplace before that is back.
func (f *fleet) renewed(m *member) {
	p, now, due := f.now(), time.Now(), m.due
	p.Renewals++
	expired := now.After(m.expires)
	if m.part.host != f.away {
		p.LateElsewhere = append(p.LateElsewhere, now.Sub(due))
		if expired {
			p.Expired++
		}
		return
	}
	if expired {
		p.Restored++
	}
	if due.Before(f.back) {
		due = f.back
	}
	p.LateHere = append(p.LateHere, now.Sub(due))
}

// overdue is how many accounts were to be renewed more than a minute ago.
func (f *fleet) overdue() int {
	count := 0
	for _, m := range f.members {
		if m.due.IsZero() && time.Since(m.from) > time.Minute || !m.due.IsZero() && time.Since(m.due) > time.Minute {
			count++
		}
	}
	return count
}

// expired is how many accounts have a token that has expired, or none.
func (f *fleet) expired() int {
	count := 0
	for _, m := range f.members {
		if time.Now().After(m.expires) {
			count++
		}
	}
	return count
}

// bucket is the allowance of an application: so many requests a second, and for a short while twice as many, since a request may have waited
// for the API server after its turn had come.
type bucket struct {
	left float64
	at   time.Time
}

// count counts a request, and holds the application to its limit.
func (f *fleet) count(p *fleetPart, client string) {
	now, second := f.now(), int(time.Since(f.now().began)/time.Second)
	seconds := now.calls[p.host]
	for len(seconds) <= second {
		seconds = append(seconds, 0)
	}
	seconds[second]++
	now.calls[p.host] = seconds

	rate := float64(p.limits.RequestsPerSecond)
	if rate == 0 {
		return
	}
	b := p.spent[client]
	if b == nil {
		b = &bucket{left: 2 * rate, at: time.Now()}
		p.spent[client] = b
	}
	b.left = min(2*rate, b.left+rate*time.Since(b.at).Seconds()) - 1
	b.at = time.Now()
	if b.left < 0 {
		f.world.breaks("application %s asks %s more than %d times a second", client, p.host, p.limits.RequestsPerSecond)
	}
}

// rates are the mean and the peak of requests to a host in a second.
func (p *phase) rates(host string) (mean float64, peak int) {
	total := 0
	for _, count := range p.calls[host] {
		total += count
		peak = max(peak, count)
	}
	return float64(total) / p.Long.Seconds(), peak
}

// asks is how many requests the API server had whose verb is one of these.
func (p *phase) asks(verbs ...string) int {
	total := 0
	for what, count := range p.Asked {
		for _, verb := range verbs {
			if len(what) > len(verb) && what[:len(verb)+1] == verb+" " {
				total += count
			}
		}
	}
	return total
}

// writes are the writes of accounts and Secrets, without events.
func (p *phase) writes() int {
	return p.asks("POST", "PUT", "PATCH", "DELETE") - p.Asked["POST events"] - p.Asked["PATCH events"] - p.Asked["PATCH status marketplaces"]
}

// reads are the reads of Secrets, without the one of the operator's own that it reads each minute.
func (p *phase) reads() int { return p.asks("GET") - int(p.Long/time.Minute) }

func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))]
}
