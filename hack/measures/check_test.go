package main

import (
	"cmp"
	"strings"
	"testing"
)

// longComment has 65 words, none of them vague, on five lines.
var longComment = strings.Repeat("//"+strings.Repeat(" a", 13)+"\n", 5)

func TestCheck(t *testing.T) {
	tests := map[string]struct {
		name string // of the file, where it matters
		file string
		want []string
	}{
		"clean": {file: "// Package a holds tokens.\npackage a\n\nvar b int\n"},
		"a vague pronoun among 66 words": {
			file: longComment + "// somebody\npackage a\n",
			want: []string{`a/a.go:6: name the subject, not "somebody": 1.5 % of the words of comments in a are vague, and 1.5 % may be`},
		},
		"a vague pronoun among 67 words, below a directive": {file: longComment + "//go:generate what who\n// a somebody\npackage a\n"},
		"a vague pronoun behind a line of code, and in a comment of several lines": {
			file: "package a\n\nvar b int // what it is\n\n/* One\n\n   says\n   which. */\nvar c int\n",
			want: []string{`a/a.go:3: name the subject, not "what"`, `a/a.go:8: name the subject, not "which"`},
		},
		"a vague pronoun below a directive": {
			file: "package a\n\n//nolint:errcheck // what\n// It is\n//go:noinline\n// what\nfunc b() {}\n",
			want: []string{`a/a.go:6: name the subject, not "what"`},
		},
		"retired words of a sentence": {
			file: "package a\n\n// b is in arrears.\n// Glance at it. A gate is parting.\nvar b int\n",
			want: []string{`a/a.go:3: "arrears" is retired: it becomes backlog`, `a/a.go:4: "glance" is retired`, `a/a.go:4: "parting" is retired`},
		},
		"names: of types, fields, methods, arguments, and what a function declares": {
			file: "package a\n\ntype misfit struct {\n\tstatusArrears int\n}\n\nfunc (misfit) seeOff(elsewhere int) {\n\tfor news := range elsewhere {\n\t\t_ = news\n\t}\n}\n",
			want: []string{"a/a.go:3: the name misfit is retired", "a/a.go:4: the name statusArrears is retired: it becomes backlog",
				"a/a.go:7: the name seeOff", "a/a.go:7: the name elsewhere", "a/a.go:8: the name news"},
		},
		"a test: names and comments, whatever package it is of": {
			name: "a_test.go",
			file: "package a_test\n\n// trouble is in arrears.\nfunc trouble() {\n\theard := 1\n}\n",
			want: []string{`a/a_test.go:3: "arrears" is retired`, "a/a_test.go:4: the name trouble is retired: it becomes failure", "a/a_test.go:5: the name heard"},
		},
		"a test: names of ordinary English, and vague pronouns": {
			name: "settle_test.go",
			file: "package a\n\n// settle waits for somebody.\nfunc settle(elsewhere, others int) {}\n",
		},
		"the same names in code":               {file: "package a\n\nfunc settle(others int) {}\n", want: []string{"a/a.go:3: the name settle", "a/a.go:3: the name others"}},
		"the name of a file":                   {name: "standing.go", file: "package a\n", want: []string{"a/standing.go:1: the name of the file is retired: it becomes permanentFailure"}},
		"the name of a test file":              {name: "standing_test.go", file: "package a\n", want: []string{"a/standing_test.go:1: the name of the file is retired"}},
		"ordinary English":                     {file: "package a\n\n// b is late: use it elsewhere, or take good news to another page that stands.\nvar newsletter, holdElsewhere int\n"},
		"a name that another package declares": {file: "package a\n\nimport \"example.com/b\"\n\nvar c = b.Arrears\n"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			err := run(&out, folderOf(t, map[string]string{"a/" + cmp.Or(test.name, "a.go"): test.file}), []string{"a"}, true)
			if (err != nil) != (len(test.want) > 0) {
				t.Errorf("the error is %v", err)
			}
			lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
			if out.Len() == 0 {
				lines = nil
			}
			if len(lines) != len(test.want) {
				t.Fatalf("it printed\n%swant\n%s", &out, strings.Join(test.want, "\n"))
			}
			for i, want := range test.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %d is\n%s, want\n%s", i+1, lines[i], want)
				}
			}
		})
	}
}

// TestRetiredWords holds the table: a word is in lower case and there once, or it would never be found.
func TestRetiredWords(t *testing.T) {
	seen := map[string]bool{}
	for _, retired := range retiredWords {
		if seen[retired.word] || retired.word != strings.ToLower(retired.word) || retired.becomes == "" {
			t.Errorf("the row of %q is there twice, in capitals, or without a word instead", retired.word)
		}
		seen[retired.word] = true
	}
}
