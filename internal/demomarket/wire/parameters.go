package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
)

// The content types of requests and answers.
const (
	FormType = "application/x-www-form-urlencoded"
	JSONType = "application/json"
)

// Decode reads parameters in the encoding that the content type names. Parameters without a value are treated as if
// they had been omitted, and none may be there twice (RFC 6749 section 3.2).
func Decode(body []byte, contentType string) (map[string]string, error) {
	media, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil:
		return nil, errors.New("the content type is missing")
	case media == FormType:
		return DecodeForm(body)
	case media == JSONType:
		return decodeJSON(body)
	}
	return nil, fmt.Errorf("the content type %s is not known", media)
}

// DecodeForm reads a form. Beside an error it returns the parameters that could be read.
func DecodeForm(body []byte) (map[string]string, error) {
	values, err := url.ParseQuery(string(body))
	parameters := make(map[string]string, len(values))
	for name, given := range values {
		if len(given) > 1 {
			err = errors.Join(err, fmt.Errorf("the parameter %s is there twice", name))
		}
		if given[0] != "" {
			parameters[name] = given[0]
		}
	}
	if err != nil {
		return parameters, fmt.Errorf("reading the form: %w", err)
	}
	return parameters, nil
}

// decodeJSON reads an object of strings, by tokens because encoding/json lets the last of two equal names win.
func decodeJSON(body []byte) (map[string]string, error) {
	decoder := json.NewDecoder(bytes.NewReader(body))
	parameters := map[string]string{}
	if open, err := decoder.Token(); err != nil || open != json.Delim('{') {
		return parameters, errors.New("the body is no JSON object")
	}
	for decoder.More() {
		var value string
		name, err := decoder.Token()
		if err == nil {
			err = decoder.Decode(&value)
		}
		if err != nil {
			return parameters, fmt.Errorf("reading the parameter %v: it must be a string", name)
		}
		if _, twice := parameters[name.(string)]; twice {
			return parameters, fmt.Errorf("the parameter %s is there twice", name)
		}
		if value != "" {
			parameters[name.(string)] = value
		}
	}
	if _, err := decoder.Token(); err != nil {
		return parameters, errors.New("the JSON object has no end")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return parameters, errors.New("something follows the JSON object")
	}
	return parameters, nil
}

// WriteJSON writes an answer that nobody may keep and returns its size.
func WriteJSON(w http.ResponseWriter, status int, answer any) int {
	body, err := json.Marshal(answer)
	if err != nil { // an expires_in of the caller's that is no JSON
		status, body = http.StatusInternalServerError, []byte(`{"error":"server_error"}`)
	}
	header := w.Header()
	header.Set("Content-Type", "application/json;charset=UTF-8")
	header.Set("Content-Length", strconv.Itoa(len(body)))
	header.Set("Cache-Control", "no-store")
	header.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_, _ = w.Write(body) // whether it arrived is the judge's business
	return len(body)
}
