package tokensecret

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

// render makes the text of one key. Whether a template is allowed is decided by all of it, also by branches that these values do not reach: its
// author hears at once, and not when a token is longer than it used to be.
func render(key, text string, values map[string]string) ([]byte, error) {
	var makes maker
	parsed, err := template.New(key).Option("missingkey=error").Funcs(makes.functions()).Parse(text)
	if err != nil {
		return nil, errors.New("must be a Go " + err.Error()) // the error begins with "template: " and the key
	}
	var found contents
	found.look(parsed.Root)
	switch {
	case len(parsed.Templates()) > 1 || found.loops:
		// Nested loops would let a template of a few lines run for years.
		return nil, errors.New("must not use range, define, block or template")
	case found.arguments > bounds.TemplateArguments:
		return nil, fmt.Errorf("must have at most %d values and arguments of functions", bounds.TemplateArguments)
	}
	var out limited
	if err := parsed.Execute(&out, values); err != nil {
		// The error of a template may quote the values it was working on, so it is not passed on.
		return nil, fmt.Errorf("must only use .access_token, .id_token, .token_type, .scope, .expires_at and .account_id, "+
			"and render to at most %d KiB", bounds.RenderedKey>>10)
	}
	return out.Bytes(), nil
}

// contents are the parts of a template, whether or not they are reached.
type contents struct {
	// arguments counts functions, values and their arguments.
	arguments int
	// loops tells that the template can run for longer than its text is long.
	loops bool
}

func (c *contents) look(node parse.Node) {
	switch node := node.(type) {
	case *parse.ListNode:
		if node != nil {
			for _, each := range node.Nodes {
				c.look(each)
			}
		}
	case *parse.ActionNode:
		c.look(node.Pipe)
	case *parse.IfNode:
		c.branch(&node.BranchNode)
	case *parse.WithNode:
		c.branch(&node.BranchNode)
	case *parse.PipeNode:
		for _, command := range node.Cmds {
			c.look(command)
		}
	case *parse.CommandNode:
		c.arguments += len(node.Args)
		for _, argument := range node.Args {
			c.look(argument)
		}
	case *parse.ChainNode:
		c.look(node.Node)
	case *parse.RangeNode, *parse.TemplateNode:
		c.loops = true
	}
}

func (c *contents) branch(node *parse.BranchNode) {
	c.look(node.Pipe)
	c.look(node.List)
	c.look(node.ElseList)
}

// maker makes the text of one rendering, and no more than it may. Nested, or through variables, each function can double its
// input, so that a line of them would exhaust the memory.
type maker struct{ made int }

// functions take the place of the built-in ones that make text.
func (m *maker) functions() template.FuncMap {
	return template.FuncMap{
		"html":     m.bounded(template.HTMLEscaper),
		"js":       m.bounded(template.JSEscaper),
		"print":    m.bounded(fmt.Sprint),
		"println":  m.bounded(fmt.Sprintln),
		"urlquery": m.bounded(template.URLQueryEscaper),
		"printf":   m.printf,
	}
}

// wide matches formats that make much text of nothing: with a width or precision of three digits, or one that is
// an argument. Together with maxFormat it bounds the text that a format can make by itself to some 25 KiB.
var wide = regexp.MustCompile(`%[^A-Za-z%]*([0-9]{3}|\*)`)

const (
	maxFormat = 1 << 10
	// largestNumber is the text of a number, or of another value that is neither a text nor the values themselves.
	largestNumber = 512
)

var errTooLarge = errors.New("too much text")

func (m *maker) printf(format string, values ...any) (string, error) {
	times := 1
	if strings.Contains(format, "[") { // verbs can name the same value
		times = max(1, strings.Count(format, "%"))
	}
	if wide.MatchString(format) || len(format) > maxFormat || size(values)*times > bounds.TemplateInput {
		return "", errTooLarge
	}
	return m.bounded(func(values ...any) string { return fmt.Sprintf(format, values...) })(values...)
}

// bounded keeps input and output of a function within bounds.
func (m *maker) bounded(function func(...any) string) func(...any) (string, error) {
	return func(values ...any) (string, error) {
		if size(values) > bounds.TemplateInput {
			return "", errTooLarge
		}
		text := function(values...)
		if m.made += len(text); m.made > bounds.TemplateInput {
			return "", errTooLarge
		}
		return text, nil
	}
}

// size is how much text values are, at most.
func size(values []any) int {
	total := 0
	for _, value := range values {
		switch v := value.(type) {
		case string:
			total += len(v)
		case map[string]string: // the dot
			for key, text := range v {
				total += len(key) + len(text) + len(" :")
			}
		default:
			total += largestNumber
		}
	}
	return total
}

// limited is a buffer that refuses to grow past bounds.RenderedKey.
type limited struct{ bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.Len()+len(p) > bounds.RenderedKey {
		return 0, errTooLarge
	}
	return l.Buffer.Write(p)
}
