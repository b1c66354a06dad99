package demomarket

// Report returns what the judges saw. A request is counted before its answer leaves, so whoever has the answer finds it
// here; whether the answer arrived is known a moment later.
func (s *Server) Report() Report {
	report := Report{Total: newTally(), Platforms: make(map[string]Tally, len(s.markets))}
	for name, market := range s.markets {
		tally := market.Report()
		report.Platforms[name] = tally
		report.Total.plus(tally)
	}
	report.Total.PeakConcurrency = int(s.load.peak.Load())
	return report
}

// Report returns what the judge of this platform saw.
func (m *Market) Report() Tally {
	m.judge.mu.Lock()
	tally := m.judge.tally.clone()
	m.judge.mu.Unlock()
	tally.PeakConcurrency = int(m.judge.load.peak.Load())
	m.mu.Lock()
	defer m.mu.Unlock()
	tally.LiveFamilies = m.refresh.alive(m.now())
	return tally
}

// ResetReport begins all counts anew, for the next part of a measurement. Tokens and remembered requests stay.
func (s *Server) ResetReport() {
	s.load.reset()
	for _, market := range s.markets {
		market.judge.load.reset()
		market.judge.mu.Lock()
		market.judge.tally = newTally()
		market.judge.mu.Unlock()
	}
}

// Requests returns the token requests that are remembered, oldest first: those that were answered, and those that never
// will be.
func (m *Market) Requests() []Request {
	m.judge.mu.Lock()
	defer m.judge.mu.Unlock()
	return m.judge.log.all()
}

// Secrets returns every secret that was configured, received or issued, as far as [Options.SecretLog] reaches: access,
// refresh and ID tokens, authorization codes and device codes, code verifiers, passwords and client secrets, right or
// wrong, what an Authorization: Basic header makes of them, and what the address of a callback makes of a code. User codes
// are not among them, since they are made to be shown. Values of less than four bytes are left out, since they turn up in
// any text.
func (s *Server) Secrets() []string {
	s.secrets.mu.Lock()
	defer s.secrets.mu.Unlock()
	return append([]string(nil), s.secrets.ring...)
}
