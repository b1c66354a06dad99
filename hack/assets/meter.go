package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// meter shows how far a build is: on a terminal in one line that changes, elsewhere in a line for each tenth.
// A package that Go has in its cache is not compiled and not counted, so a build may end before 100 %.
type meter struct {
	to       io.Writer
	terminal bool

	program    string
	known      map[string]bool // the packages to compile; one is removed once it is reported
	total      int
	downloaded int
	tenths     int
	started    time.Time
}

func newMeter(to *os.File) *meter {
	info, err := to.Stat()
	return &meter{to: to, terminal: err == nil && info.Mode()&os.ModeCharDevice != 0}
}

func (m *meter) start(program string) {
	m.program, m.known, m.total, m.downloaded, m.tenths, m.started = program, nil, 0, 0, 0, time.Now()
	m.show("%s: looking for its packages", m.program)
}

func (m *meter) packages(paths []string) {
	m.known = make(map[string]bool, len(paths))
	for _, path := range paths {
		m.known[path] = true
	}
	m.total = len(m.known)
	m.show("%s: compiling and linking %d packages", m.program, m.total)
}

// report takes a line that go printed and tells whether it was about progress.
func (m *meter) report(line string) bool {
	switch {
	case strings.HasPrefix(line, "go: downloading "):
		m.downloaded++
		if m.terminal || m.downloaded == 1 {
			m.show("%s: downloading modules%s", m.program, m.count())
		}
	case m.known[line]:
		delete(m.known, line)
		compiled := m.total - len(m.known)
		if tenths := compiled * 10 / m.total; m.terminal || tenths > m.tenths {
			m.tenths = tenths
			m.show("%s: %3d %% compiled (%d of %d packages)", m.program, compiled*100/m.total, compiled, m.total)
		}
	default:
		return false
	}
	return true
}

// count is left out where a line cannot change.
func (m *meter) count() string {
	if !m.terminal {
		return ""
	}
	return fmt.Sprintf(" (%d)", m.downloaded)
}

func (m *meter) finish() {
	m.show("%s: built in %s", m.program, time.Since(m.started).Round(time.Second))
	m.endLine()
}

// endLine makes what is shown last stay.
func (m *meter) endLine() {
	if m.terminal {
		fmt.Fprintln(m.to)
	}
}

func (m *meter) show(format string, args ...any) {
	if m.terminal {
		fmt.Fprintf(m.to, "\r\x1b[K"+format, args...) // erases the line before
		return
	}
	fmt.Fprintf(m.to, format+"\n", args...)
}
