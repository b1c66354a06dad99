package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// screen is where everything is shown. Errors of writing are left to SIGPIPE.
type screen struct {
	out   io.Writer
	size  func() (width, height int, err error) // nil where the output is no terminal
	drawn int                                   // lines above the cursor that the next drawing replaces
	now   func() time.Time
}

// newScreen writes to a terminal, or plainly to anything else.
func newScreen(file *os.File) *screen {
	s := &screen{out: file, now: time.Now}
	if fd := int(file.Fd()); term.IsTerminal(fd) && os.Getenv("TERM") != "dumb" {
		s.size = func() (int, int, error) { return term.GetSize(fd) }
	}
	return s
}

// step names the step that begins, and then says how long it took.
func (s *screen) step(what string, do func() error) error {
	begin := s.now()
	s.print(what + " … ")
	if err := do(); err != nil {
		s.print("failed\n")
		return err
	}
	s.print(took(s.now().Sub(begin)) + "\n")
	return nil
}

// print writes text that stays.
func (s *screen) print(text string) {
	s.drawn = 0
	s.write(text)
}

// draw writes a table and the text below it in the place of the last ones, where that is possible, else below them. A
// terminal cuts the lines of the table, and wraps those below it, from which people copy.
func (s *screen) draw(table, below string) {
	block, rows, height := s.fit(table, below)
	if rows >= height {
		s.print("\n" + table + below)
		return
	}
	if above := s.drawn; above > 0 && above < height {
		s.write(fmt.Sprintf("\x1b[%dA\x1b[J", above)) // up, and clear from there
	} else {
		s.write("\n")
	}
	s.write(block)
	s.drawn = rows
}

// fit returns what a terminal shows of both, the rows that this takes, and the rows that there are: none without a
// terminal.
func (s *screen) fit(table, below string) (block string, rows, height int) {
	if s.size == nil {
		return "", 0, 0
	}
	width, height, err := s.size()
	if err != nil || width <= 0 {
		return "", 0, 0
	}
	block = clipped(table, width) + below
	return block, rowsOf(block, width), height
}

func (s *screen) write(text string) { _, _ = io.WriteString(s.out, text) }

// rowsOf is how many rows of a terminal the lines take.
func rowsOf(block string, width int) int {
	rows := 0
	for line := range strings.Lines(block) {
		characters := utf8.RuneCountInString(strings.TrimSuffix(line, "\n"))
		rows += max(1, (characters+width-1)/width)
	}
	return rows
}

// clipped cuts lines that a terminal would wrap.
func clipped(block string, width int) string {
	lines := strings.Split(block, "\n")
	for i, line := range lines {
		lines[i] = bounds.CutCharacters(line, width)
	}
	return strings.Join(lines, "\n")
}
