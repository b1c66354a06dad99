// Measures prints how the Go code of a checkout hangs together, a row for each folder: "make measures". The figures compare two commits; only
// that of vague pronouns outside of tests has a limit ("make verify").
//
//	go run ./hack/measures [-check] [-under internal] [folder of the checkout]
//
// With -check it prints no figures but, with file and line, the words that CONTRIBUTING.md does without: pronouns that hide their subject, in
// folders where they are more than 1.5 % of the words of comments, and words that its glossary has replaced, also in tests. It fails when there
// are any.
//
// Generated files are left out, and those of tests but for the column that names them. The columns:
//
//   - files, lines: whole lines, comments and blank ones among them.
//   - pairs: pairs of files of which one names what the other declares (functions, methods, fields, types, constants, variables), and
//     their share of all pairs.
//   - upward: arrows that go up. An arrow leads from a file to one that declares a name which it uses, and goes up where that file stands
//     later in the order of the folder's files that gives fewest such arrows. The order is exact up to 16 files that depend on each other
//     in circles; beyond, it is the best of many starts that moving one file does not improve, so that the figure may be too high.
//   - longest: the function with most lines, from "func" to its closing brace.
//   - one word: the share of functions and methods with a name of one word. Names that an interface of the standard library asks for, and
//     main, are left out.
//   - vague: the share of pronouns that hide their subject among the words of comments.
//   - in tests: the same share in the files of tests.
package main

import (
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
)

func main() {
	under := flag.String("under", "api,cmd,hack,internal,test", "the folders to measure, separated by commas")
	checks := flag.Bool("check", false, "print words that hide a subject or are retired, and fail when there are any")
	flag.Parse()
	root := "."
	if flag.NArg() > 0 {
		root = flag.Arg(0)
	}
	if err := run(os.Stdout, root, strings.Split(*under, ","), *checks); err != nil {
		fmt.Fprintln(os.Stderr, "measures:", err)
		os.Exit(1)
	}
}

// run prints the figures of the folders, or checks their words.
func run(out io.Writer, root string, under []string, checks bool) error {
	folders, err := read(root, under)
	if err != nil {
		return err
	}
	if checks {
		return check(out, folders)
	}
	var all []measures
	for _, f := range folders {
		all = append(all, measure(f))
	}
	return printTable(out, all)
}

// namedFolder is a folder with its path in the checkout.
type namedFolder struct {
	folder
	name string
}

func read(root string, under []string) ([]namedFolder, error) {
	var all []namedFolder
	for _, top := range under {
		err := filepath.WalkDir(filepath.Join(root, top), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			if entry.Name() == "testdata" {
				return filepath.SkipDir
			}
			parsed, err := parseFolder(path)
			if err != nil || len(parsed.files)+len(parsed.tests) == 0 {
				return err
			}
			name, err := filepath.Rel(root, path)
			all = append(all, namedFolder{parsed, filepath.ToSlash(name)})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// measures are the figures of one folder.
type measures struct {
	folder       string
	files, lines int
	// pairs name each other; upward are the arrows that go up.
	pairs, upward int
	longest       function
	functions     []function
	// vague are the pronouns that hide their subject, and vagueInTests those of tests.
	vague, vagueInTests vagueness
}

// vagueness counts the words of comments, and the vague pronouns among them.
type vagueness struct{ words, pronouns int }

func vaguenessOf(files []file) vagueness {
	var v vagueness
	for _, file := range files {
		for _, comment := range file.comments {
			words, vague := vagueWords(comment.text)
			v = v.plus(vagueness{words, len(vague)})
		}
	}
	return v
}

func (v vagueness) plus(more vagueness) vagueness {
	return vagueness{v.words + more.words, v.pronouns + more.pronouns}
}

func (v vagueness) share() string { return share(v.pronouns, v.words, 1) }

func measure(f namedFolder) measures {
	m := measures{folder: f.name, files: len(f.files), functions: f.functions(), vague: vaguenessOf(f.files), vagueInTests: vaguenessOf(f.tests)}
	for _, file := range f.files {
		m.lines += file.lines
	}
	for _, function := range m.functions {
		if function.lines > m.longest.lines {
			m.longest = function
		}
	}
	graph := f.arrows()
	m.pairs, m.upward = graph.pairs(), graph.upward()
	return m
}

// oneWord counts the functions with a name of one word, and those whose name was free to choose.
func (m measures) oneWord() (one, all int) {
	for _, f := range m.functions {
		if f.named {
			continue
		}
		all++
		if wordsOf(f.name) == 1 {
			one++
		}
	}
	return one, all
}

func printTable(out io.Writer, all []measures) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "folder\tfiles\tlines\tfunctions\tpairs\tof all\tupward\tone word\tvague\tin tests\tlongest\t")
	var total measures
	for _, m := range all {
		one, free := m.oneWord()
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t%d %s\t\n", m.folder, m.files, m.lines, len(m.functions), m.pairs,
			share(m.pairs, m.files*(m.files-1)/2, 0), m.upward, share(one, free, 0), m.vague.share(), m.vagueInTests.share(), m.longest.lines, m.longest.name)
		total.add(m)
	}
	one, free := total.oneWord()
	fmt.Fprintf(table, "all\t%d\t%d\t%d\t%d\t\t%d\t%s\t%s\t%s\t%d %s\t\n", total.files, total.lines, len(total.functions), total.pairs,
		total.upward, share(one, free, 0), total.vague.share(), total.vagueInTests.share(), total.longest.lines, total.longest.name)
	return table.Flush()
}

func (m *measures) add(other measures) {
	m.files, m.lines, m.pairs, m.upward = m.files+other.files, m.lines+other.lines, m.pairs+other.pairs, m.upward+other.upward
	m.vague, m.vagueInTests = m.vague.plus(other.vague), m.vagueInTests.plus(other.vagueInTests)
	m.functions = append(m.functions, other.functions...)
	if other.longest.lines > m.longest.lines {
		m.longest = other.longest
	}
}

// share is a percentage; empty where there is nothing to have a share of.
func share(part, whole, digits int) string {
	if whole == 0 {
		return ""
	}
	return fmt.Sprintf("%.*f %%", digits, 100*float64(part)/float64(whole))
}
