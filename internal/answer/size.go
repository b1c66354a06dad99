package answer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

var (
	errTooLarge = fmt.Errorf("is larger than %d KiB", bounds.Answer>>10)
	errTooMany  = errors.New("holds more names and values than any answer does")
)

// ReadBody reads the body of an answer, and no more of one that is too large than CheckSize needs.
func ReadBody(body io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(body, bounds.Answer+1))
}

// CheckSize tells whether a body is small enough to be decoded: decoded JSON takes many times as much memory where its values are
// short. Its error completes "the answer ". Whether the body is JSON is left to the decoder.
func CheckSize(body []byte) error {
	if len(body) > bounds.Answer {
		return errTooLarge
	}
	if !fewValues(body) {
		return errTooMany
	}
	return nil
}

// fewValues tells whether the first value of a JSON text holds no more names and values than bounds.AnswerValues.
func fewValues(text []byte) bool {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // any number is one
	read, depth := 0, 0
	for {
		token, err := decoder.Token()
		if err != nil {
			return true // no decoder reads on from here
		}
		switch token {
		case json.Delim('}'), json.Delim(']'):
			depth--
		case json.Delim('{'), json.Delim('['):
			depth++
			read++
		default:
			read++
		}
		switch {
		case read > bounds.AnswerValues:
			return false
		case depth == 0:
			return true
		}
	}
}
