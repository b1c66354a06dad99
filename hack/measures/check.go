package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// mostVague is how many of a thousand words of a package's comments may be vague pronouns. In well-kept codebases it is 1 to 8.
const mostVague = 15

// fault is a word that the check refuses.
type fault struct {
	file string
	line int
	says string
}

// check writes where a folder's comments hide their subjects too often, and where its names and comments use retired words. Its error tells that
// there are such places.
func check(out io.Writer, folders []namedFolder) error {
	count := 0
	for _, f := range folders {
		faults := slices.Concat(f.retiredFaults(), f.vagueFaults())
		slices.SortStableFunc(faults, func(a, b fault) int {
			return cmp.Or(strings.Compare(a.file, b.file), cmp.Compare(a.line, b.line))
		})
		for _, fault := range faults {
			fmt.Fprintf(out, "%s/%s:%d: %s\n", f.name, fault.file, fault.line, fault.says)
		}
		count += len(faults)
	}
	if count > 0 {
		return errors.New("the words above hide a subject, or are retired: see the glossary in CONTRIBUTING.md")
	}
	return nil
}

// vagueFaults are all vague pronouns of a folder that has too many, and none of another.
func (f namedFolder) vagueFaults() []fault {
	words := 0
	var faults []fault
	for _, file := range f.files {
		for _, comment := range file.comments {
			more, vague := vagueWords(comment.text)
			words += more
			for _, pronoun := range vague {
				faults = append(faults, fault{file.name, comment.lines[pronoun.line], fmt.Sprintf("name the subject, not %q", pronoun.word)})
			}
		}
	}
	if len(faults)*1000 <= words*mostVague {
		return nil
	}
	for i := range faults {
		faults[i].says += fmt.Sprintf(": %s of the words of comments in %s are vague, and %s may be", share(len(faults), words, 1), f.name, share(mostVague, 1000, 1))
	}
	return faults
}

// retiredFaults are the retired words in comments, names and names of files, tests among them.
func (f namedFolder) retiredFaults() []fault {
	var faults []fault
	for _, file := range slices.Concat(f.files, f.tests) {
		if retired, ok := retiredName(file.baseName(), isTest(file.name)); ok {
			faults = append(faults, fault{file.name, 1, fmt.Sprintf("the name of the file is retired: it becomes %s", retired.becomes)})
		}
		for _, comment := range file.comments {
			words, lines := retiredIn(comment.text)
			for i, retired := range words {
				faults = append(faults, fault{file.name, comment.lines[lines[i]], fmt.Sprintf("%q is retired: it becomes %s", retired.word, retired.becomes)})
			}
		}
	}
	for _, name := range f.declared() {
		at := f.set.Position(name.Pos())
		if retired, ok := retiredName(name.Name, isTest(at.Filename)); ok {
			faults = append(faults, fault{at.Filename, at.Line, fmt.Sprintf("the name %s is retired: it becomes %s", name.Name, retired.becomes)})
		}
	}
	return faults
}
