package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestScreenDraws(t *testing.T) {
	terminal := func(width, height int) func() (int, int, error) {
		return func() (int, int, error) { return width, height, nil }
	}
	tests := map[string]struct {
		size func() (int, int, error)
		show func(*screen)
		want string
	}{
		"plain blocks": {
			show: func(s *screen) { s.draw("a\nb\n", ""); s.draw("c\nd\n", "") },
			want: "\na\nb\n\nc\nd\n",
		},
		"in place": {
			size: terminal(80, 24),
			show: func(s *screen) { s.draw("a\nb\n", ""); s.draw("c\nd\ne\n", ""); s.draw("f\n", "") },
			want: "\na\nb\n\x1b[2A\x1b[Jc\nd\ne\n\x1b[3A\x1b[Jf\n",
		},
		"below what was said in between": {
			size: terminal(80, 24),
			show: func(s *screen) { s.draw("a\n", ""); s.print("said\n"); s.draw("b\n", ""); s.draw("c\n", "") },
			want: "\na\nsaid\n\nb\n\x1b[1A\x1b[Jc\n",
		},
		"no line is wrapped": {
			size: terminal(3, 24),
			show: func(s *screen) { s.draw("abcd\nżółć\nxyz\n", "") },
			want: "\nabc\nżół\nxyz\n",
		},
		"what is below the table is wrapped, since people copy from it": {
			size: terminal(3, 24),
			show: func(s *screen) { s.draw("abcd\n", "\nxyz\nżółćżół\n"); s.draw("x\n", "") },
			want: "\nabc\n\nxyz\nżółćżół\n\x1b[6A\x1b[Jx\n",
		},
		"plain where what is below makes it too high": {
			size: terminal(3, 4),
			show: func(s *screen) { s.draw("abcd\n", "abcdefg\n") },
			want: "\nabcd\nabcdefg\n",
		},
		"plain where the block is too high": {
			size: terminal(80, 3),
			show: func(s *screen) { s.draw("a\nb\nc\n", ""); s.draw("d\ne\nf\n", "") },
			want: "\na\nb\nc\n\nd\ne\nf\n",
		},
		"plain where the size is not known": {
			size: func() (int, int, error) { return 0, 0, errors.New("no terminal") },
			show: func(s *screen) { s.draw("a\n", ""); s.draw("b\n", "") },
			want: "\na\n\nb\n",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			test.show(&screen{out: &out, size: test.size})
			if out.String() != test.want {
				t.Errorf("it shows %q, want %q", out.String(), test.want)
			}
		})
	}
}

func TestStepSaysHowLongItTook(t *testing.T) {
	var out strings.Builder
	now := noon
	s := &screen{out: &out, now: func() time.Time { return now }}
	if err := s.step("Building", func() error { now = now.Add(1234 * time.Millisecond); return nil }); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := s.step("Starting", func() error { return broken }); !errors.Is(err, broken) {
		t.Errorf("err = %v, want %v", err, broken)
	}
	if want := "Building … 1.2s\nStarting … failed\n"; out.String() != want {
		t.Errorf("it shows %q, want %q", out.String(), want)
	}
}
