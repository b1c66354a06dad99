package exchange

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/tools/txtar"
	"sigs.k8s.io/yaml"
)

// extension ends the name of a file with an exchange.
const extension = ".txtar"

// File is one exchange, or a chain of them of which each goes on where the one before ended.
type File struct {
	// Name is the file's name without its extension.
	Name string
	// Title sums up the exchange in words.
	Title string
	// Sources are where the facts come from, and Checked is the day on which the file was held against them.
	Sources []string
	Checked time.Time
	// Uncertain are facts that the sources do not tell, or that could not be confirmed; usually empty.
	Uncertain []string
	// Steps are in the order in which they happen.
	Steps []Step
}

// Step is one request and its outcome.
type Step struct {
	Ask Ask
	// Request is nil where none goes out, and Answer where none comes back.
	Request *Request
	Answer  *Answer
	// Address is where a browser is sent, Callback how it comes back, and Store how a store sends it; usually empty.
	Address, Callback, Store string
	// Outcome names the kind of the outcome, such as tokens, and Result holds it, as YAML.
	Outcome string
	Result  []byte
}

// Folder reads the exchanges of one platform, in the order of their names.
func Folder(folder fs.FS) ([]*File, error) {
	names, err := fs.Glob(folder, "*"+extension)
	if err != nil {
		return nil, err
	}
	files := make([]*File, 0, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(folder, name)
		if err != nil {
			return nil, err
		}
		file, err := Parse(name, text)
		if err != nil {
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// Parse reads one file, of an exchange that begins at Begin.
func Parse(name string, text []byte) (*File, error) { return ParseAt(name, text, Begin) }

// ParseAt reads one file, of an exchange that begins at another moment.
func ParseAt(name string, text []byte, begin time.Time) (*File, error) {
	expanded, err := expand(text, begin)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	archive := txtar.Parse(expanded)
	file := &File{Name: strings.TrimSuffix(path.Base(name), extension)}
	if err := file.readComment(string(archive.Comment)); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if err := file.readSteps(archive.Files); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return file, nil
}

// readComment reads the words before the first section: a title, and lines such as "source: https://…". A line that begins with
// white space goes on with the one before.
func (f *File) readComment(comment string) error {
	var title []string
	into := &title
	for line := range strings.Lines(comment) {
		text := strings.TrimSpace(line)
		word, rest, named := strings.Cut(text, ": ")
		switch {
		case text == "":
		case line[0] == ' ' && len(*into) > 0:
			(*into)[len(*into)-1] += " " + text
		case named && word == "source":
			f.Sources, into = append(f.Sources, rest), &f.Sources
		case named && word == "uncertain":
			f.Uncertain, into = append(f.Uncertain, rest), &f.Uncertain
		case named && word == "checked":
			day, err := time.Parse(time.DateOnly, rest)
			if err != nil {
				return fmt.Errorf("checked must be a day such as 2026-11-29, not %q", rest)
			}
			f.Checked = day
		default:
			title, into = append(title, text), &title
		}
	}
	f.Title = strings.Join(title, " ")
	switch {
	case f.Title == "":
		return errors.New("the first line must say what the exchange shows")
	case len(f.Sources) == 0:
		return errors.New(`a line "source: " must say where the facts come from`)
	case f.Checked.IsZero():
		return errors.New(`a line "checked: " must say on which day the file was held against its source`)
	}
	return nil
}

// sectionName matches the name of a section: its kind, and the number of its step unless that is the first.
var sectionName = regexp.MustCompile(`^([a-z]+)(?:\.([0-9]+))?\.(yaml|http|txt)$`)

func (f *File) readSteps(sections []txtar.File) error {
	for _, section := range sections {
		name := sectionName.FindStringSubmatch(section.Name)
		if name == nil {
			return fmt.Errorf("section %q is none that there is", section.Name)
		}
		number, _ := strconv.Atoi(cmp.Or(name[2], "1"))
		if number == len(f.Steps)+1 {
			f.Steps = append(f.Steps, Step{})
		}
		if number != len(f.Steps) {
			return fmt.Errorf("section %q must belong to step %d or %d", section.Name, len(f.Steps), len(f.Steps)+1)
		}
		if err := f.Steps[number-1].read(name[1]+"."+name[3], section.Data); err != nil {
			return fmt.Errorf("section %q: %w", section.Name, err)
		}
	}
	for i := range f.Steps {
		if f.Steps[i].Outcome == "" {
			return fmt.Errorf("step %d must say what comes of it: %s", i+1, strings.Join(outcomes, ", "))
		}
	}
	if len(f.Steps) == 0 {
		return errors.New("there must be a step")
	}
	return nil
}

// outcomes are the sections that hold the outcome of a step.
var outcomes = []string{
	"tokens.yaml", "refused.yaml", "lost.yaml", "identity.yaml", "device.yaml", "revoked.yaml", "consent.yaml", "endpoints.yaml",
	"addresses.yaml", "stores.yaml", "facts.yaml",
}

func (s *Step) read(section string, data []byte) (err error) {
	switch section {
	case "ask.yaml":
		return yaml.UnmarshalStrict(data, &s.Ask)
	case "request.http":
		s.Request, err = parseRequest(string(data))
		return err
	case "answer.http":
		s.Answer, err = parseAnswer(string(data))
		return err
	case "address.txt":
		s.Address = strings.TrimSpace(string(data))
	case "callback.txt":
		s.Callback = strings.TrimSpace(string(data))
	case "store.txt":
		s.Store = strings.TrimSpace(string(data))
	default:
		if !slices.Contains(outcomes, section) {
			return errors.New("is none that there is")
		}
		if s.Outcome != "" {
			return fmt.Errorf("the step has an outcome, %s", s.Outcome)
		}
		s.Outcome, s.Result = strings.TrimSuffix(section, ".yaml"), data
	}
	return nil
}
