package exchange

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Request is a request as it must arrive.
type Request struct {
	// Method and URL stand in the request line; the URL is absolute.
	Method, URL string
	// Headers are all that the request has, by their canonical names, and Patterns regular expressions for headers with another
	// value each time.
	Headers, Patterns map[string]string
	// Body is letter by letter; empty for none.
	Body string
}

// parseRequest reads a request line, headers and a body. A header with a name that begins with ~ is a pattern.
func parseRequest(text string) (*Request, error) {
	head, body, _ := strings.Cut(text, "\n\n")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	words := strings.Fields(lines[0])
	if len(words) != 3 || words[2] != "HTTP/1.1" {
		return nil, fmt.Errorf("the first line must be such as POST https://example.com/token HTTP/1.1, not %q", lines[0])
	}
	request := &Request{
		Method: words[0], URL: words[1], Body: strings.TrimRight(body, "\n"),
		Headers: map[string]string{}, Patterns: map[string]string{},
	}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ": ")
		if !ok {
			return nil, fmt.Errorf("%q is no header", line)
		}
		if pattern, is := strings.CutPrefix(name, "~"); is {
			request.Patterns[http.CanonicalHeaderKey(pattern)] = value
			continue
		}
		request.Headers[http.CanonicalHeaderKey(name)] = value
	}
	return request, nil
}

// Text is a request with its headers in the order of their names. A header that fits a pattern of like is written as there.
func Text(method, url string, headers http.Header, body string, like *Request) string {
	lines := make([]string, 0, len(headers))
	for name, values := range headers {
		for _, value := range values {
			if pattern, ok := like.Patterns[name]; ok && matches(pattern, value) {
				name, value = "~"+name, pattern
			}
			lines = append(lines, name+": "+value)
		}
	}
	slices.Sort(lines)
	return fmt.Sprintf("%s %s\n%s\n\n%s\n", method, url, strings.Join(lines, "\n"), body)
}

// Random stands in an address for a text that is another each time.
const Random = "<random>"

// Leads tells whether an address is the one to which a browser is to be sent.
func (s *Step) Leads(address string) bool {
	return matches(strings.ReplaceAll(regexp.QuoteMeta(s.Address), Random, "[0-9A-Za-z]+"), address)
}

func matches(pattern, value string) bool {
	whole, err := regexp.Compile("^(?:" + pattern + ")$")
	return err == nil && whole.MatchString(value)
}

// Text is the request as the function of that name writes one.
func (r *Request) Text() string {
	headers := http.Header{}
	for name, value := range r.Headers {
		headers[name] = []string{value}
	}
	for name, pattern := range r.Patterns {
		headers["~"+name] = []string{pattern}
	}
	return Text(r.Method, r.URL, headers, r.Body, &Request{})
}

// Answer is the platform's answer.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
}

func parseAnswer(text string) (*Answer, error) {
	response, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	return &Answer{Status: response.StatusCode, Header: response.Header, Body: bytes.TrimRight(body, "\n")}, nil
}

// Begin is when exchanges begin.
var Begin = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

var (
	// momentPattern matches a moment by how long after the beginning it is, and tokenPattern a JWT by its claims, so that people can read them.
	momentPattern = regexp.MustCompile(`<unix ([0-9a-z.]+)>`)
	tokenPattern  = regexp.MustCompile(`<jwt (\{[^<>]*\})>`)
)

// expand writes moments, and JWTs where files have their claims. Such a JWT cannot be verified: its signature is the word "unsigned".
func expand(text []byte, begin time.Time) ([]byte, error) {
	var wrong error
	text = momentPattern.ReplaceAllFunc(text, func(match []byte) []byte {
		after, err := time.ParseDuration(string(momentPattern.FindSubmatch(match)[1]))
		if err != nil {
			wrong = errors.New("a moment is told by no duration")
		}
		return strconv.AppendInt(nil, begin.Add(after).Unix(), 10)
	})
	expanded := tokenPattern.ReplaceAllFunc(text, func(match []byte) []byte {
		claims := tokenPattern.FindSubmatch(match)[1]
		if !json.Valid(claims) {
			wrong = errors.New("the claims of a token are no JSON")
		}
		encode := base64.RawURLEncoding.EncodeToString
		return []byte(encode([]byte(`{"alg":"RS256"}`)) + "." + encode(claims) + "." + encode([]byte("unsigned")))
	})
	return expanded, wrong
}
