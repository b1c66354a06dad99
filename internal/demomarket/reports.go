package demomarket

import "github.com/tokenkeeper/tokenkeeper/internal/demomarket/judge"

// Report returns the counts of the judges. A request is counted before its answer leaves, so that a client which has the answer finds it
// here; whether the answer arrived is known a moment later.
func (s *Server) Report() judge.Report {
	report := judge.Report{Total: judge.NewTally(), Platforms: make(map[string]judge.Tally, len(s.markets))}
	for name, market := range s.markets {
		tally := market.Report()
		report.Platforms[name] = tally
		report.Total.Plus(tally)
	}
	report.Total.PeakConcurrency = s.load.Peak()
	return report
}

// Report returns the counts of this platform's judge.
func (m *Market) Report() judge.Tally {
	tally := m.judge.Tally()
	m.mu.Lock()
	defer m.mu.Unlock()
	tally.LiveFamilies = m.refresh.Alive(m.now())
	return tally
}

// ResetReport begins all counts anew, for the next part of a measurement. Tokens and remembered requests stay.
func (s *Server) ResetReport() {
	s.load.Reset()
	for _, market := range s.markets {
		market.judge.Reset()
	}
}

// Requests returns the token requests that are remembered, oldest first: those that were answered, and those that never
// will be.
func (m *Market) Requests() []judge.Request { return m.judge.Requests() }

// Secrets returns every secret that was configured, received or issued, as far as [Options.SecretLog] reaches: access,
// refresh and ID tokens, authorization codes and device codes, code verifiers, passwords and client secrets, right or
// wrong, what an Authorization: Basic header makes of them, and what the address of a callback makes of a code. User codes
// are not among them, since they are made to be shown. Values of less than four bytes are left out, since they turn up in
// any text.
func (s *Server) Secrets() []string {
	return s.secrets.All()
}
