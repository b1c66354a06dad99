package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
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

// step says what is done now, and then how long it took.
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

// draw writes a block of lines in the place of the one before, where that is possible, else below it.
func (s *screen) draw(block string) {
	width, height, fits := s.fit(block)
	if !fits {
		s.print("\n" + block)
		return
	}
	if above := s.drawn; above > 0 && above < height {
		s.write(fmt.Sprintf("\x1b[%dA\x1b[J", above)) // up, and clear from there
	} else {
		s.write("\n")
	}
	block = clipped(block, width)
	s.write(block)
	s.drawn = strings.Count(block, "\n")
}

// fit returns the size of the terminal, and whether there is one that can show the block.
func (s *screen) fit(block string) (width, height int, fits bool) {
	if s.size == nil {
		return 0, 0, false
	}
	width, height, err := s.size()
	return width, height, err == nil && width > 0 && strings.Count(block, "\n") < height
}

func (s *screen) write(text string) { _, _ = io.WriteString(s.out, text) }

// clipped cuts lines that a terminal would wrap.
func clipped(block string, width int) string {
	lines := strings.Split(block, "\n")
	for i, line := range lines {
		if characters := []rune(line); len(characters) > width {
			lines[i] = string(characters[:width])
		}
	}
	return strings.Join(lines, "\n")
}
