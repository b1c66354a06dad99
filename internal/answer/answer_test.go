package answer_test

import (
	"fmt"
	"testing"

	"github.com/tokenkeeper/tokenkeeper/internal/answer"
)

const (
	notActed = answer.NotActed
	word     = answer.Word
	unknown  = answer.Unknown
)

// TestEveryStatusWithEveryBody is the table of docs/faults.md: status by body, and what is known then.
func TestEveryStatusWithEveryBody(t *testing.T) {
	bodies := []struct {
		name  string
		shape answer.Shape
		code  string
	}{
		{"a token set", answer.TokenSet, ""},
		{"an object with a code of OAuth", answer.Object, "invalid_grant"},
		{"an object with another code", answer.Object, "odd"},
		{"an object without a code", answer.Object, ""},
		{"a page", answer.Page, ""},
		{"nothing", answer.Empty, ""},
		{"anything else", answer.Other, ""},
	}
	rows := map[int][7]answer.Verdict{
		200: {word, word, unknown, unknown, notActed, unknown, unknown},
		201: {word, word, unknown, unknown, notActed, unknown, unknown},
		204: {word, word, unknown, unknown, notActed, unknown, unknown},
		302: {notActed, notActed, notActed, notActed, notActed, notActed, notActed},
		308: {notActed, notActed, notActed, notActed, notActed, notActed, notActed},
		400: {notActed, word, word, notActed, notActed, notActed, notActed},
		401: {notActed, word, word, notActed, notActed, notActed, notActed},
		403: {notActed, word, word, notActed, notActed, notActed, notActed},
		404: {notActed, word, word, notActed, notActed, notActed, notActed},
		408: {unknown, unknown, unknown, unknown, unknown, unknown, unknown},
		429: {notActed, notActed, notActed, notActed, notActed, notActed, notActed},
		499: {unknown, unknown, unknown, unknown, unknown, unknown, unknown},
		500: {unknown, unknown, unknown, unknown, unknown, unknown, unknown},
		501: {unknown, unknown, unknown, unknown, unknown, unknown, unknown},
		502: {unknown, unknown, unknown, unknown, unknown, unknown, unknown},
		503: {unknown, unknown, unknown, unknown, notActed, unknown, unknown},
		504: {unknown, unknown, unknown, unknown, unknown, unknown, unknown},
		520: {unknown, unknown, unknown, unknown, unknown, unknown, unknown},
		530: {unknown, unknown, unknown, unknown, unknown, unknown, unknown},
	}
	for status, wants := range rows {
		for i, body := range bodies {
			t.Run(fmt.Sprintf("%d with %s", status, body.name), func(t *testing.T) {
				facts := answer.Facts{Sent: true, Status: status, Shape: body.shape, Code: body.code}
				if got := facts.Verdict(); got != wants[i] {
					t.Errorf("the verdict is %d, want %d", got, wants[i])
				}
				if got, single := facts.Verdict(), (answer.Facts{Sent: true, Status: status, Shape: body.shape, Code: body.code, SingleUse: true}).Verdict(); got != single &&
					!(status == 503 && body.shape == answer.Page && single == unknown) {
					t.Errorf("for a single-use refresh token the verdict is %d", single)
				}
			})
		}
	}
}

// TestWhereTwoRulesMeet holds the exceptions against each other.
func TestWhereTwoRulesMeet(t *testing.T) {
	tests := map[string]struct {
		facts answer.Facts
		want  answer.Verdict
	}{
		"nothing was sent":                            {answer.Facts{}, notActed},
		"sent, and no answer":                         {answer.Facts{Sent: true}, unknown},
		"a limit that is no code":                     {answer.Facts{Status: 400, Shape: answer.Object, Code: "invalid_request", RetryAfter: true}, notActed},
		"a limit of a firewall":                       {answer.Facts{Status: 403, Shape: answer.Page, RetryAfter: true}, notActed},
		"a dead refresh token with a time to wait":    {answer.Facts{Status: 400, Shape: answer.Object, Code: "invalid_grant", RetryAfter: true}, word},
		"a gateway with a time to wait":               {answer.Facts{Status: 502, Shape: answer.Page, RetryAfter: true}, unknown},
		"503 and nothing but a time to wait":          {answer.Facts{Status: 503, Shape: answer.Empty, RetryAfter: true}, unknown},
		"later, in the platform's words, 503":         {answer.Facts{Status: 503, Shape: answer.Object, Code: "temporarily_unavailable"}, notActed},
		"later, in the platform's words, 400":         {answer.Facts{Status: 400, Shape: answer.Object, Code: "temporarily_unavailable"}, notActed},
		"slower, in the platform's words, 500":        {answer.Facts{Status: 500, Shape: answer.Object, Code: "slow_down", SingleUse: true}, notActed},
		"a failure in the middle of something":        {answer.Facts{Status: 400, Shape: answer.Object, Code: "server_error"}, unknown},
		"a code with 500 that the Marketplace names":  {answer.Facts{Status: 500, Shape: answer.Object, Code: "E1", Named: true}, word},
		"a code with 429 that the Marketplace names":  {answer.Facts{Status: 429, Shape: answer.Object, Code: "too_many_attempts", Named: true}, word},
		"a code with 200 that the Marketplace names":  {answer.Facts{Status: 200, Shape: answer.Object, Code: "E1", Named: true}, word},
		"a code with 408 that the Marketplace names":  {answer.Facts{Status: 408, Shape: answer.Object, Code: "E1", Named: true}, word},
		"later, named by the Marketplace":             {answer.Facts{Status: 503, Shape: answer.Object, Code: "slow_down", Named: true}, word},
		"tokens beside a code are tokens":             {answer.Facts{Status: 200, Shape: answer.TokenSet, Code: "invalid_grant"}, word},
		"maintenance before a token that works once":  {answer.Facts{Status: 503, Shape: answer.Page, SingleUse: true}, unknown},
		"a page with 200 before one that works once":  {answer.Facts{Status: 200, Shape: answer.Page, SingleUse: true}, notActed},
		"a firewall before one that works once":       {answer.Facts{Status: 403, Shape: answer.Page, SingleUse: true}, notActed},
		"a redirect with a code":                      {answer.Facts{Status: 307, Shape: answer.Object, Code: "invalid_grant"}, notActed},
		"a limit that calls the refresh token dead":   {answer.Facts{Status: 429, Shape: answer.Object, Code: "invalid_grant"}, notActed},
		"a failure that calls the refresh token dead": {answer.Facts{Status: 500, Shape: answer.Object, Code: "invalid_grant"}, unknown},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := test.facts.Verdict(); got != test.want {
				t.Errorf("the verdict is %d, want %d", got, test.want)
			}
		})
	}
}

func TestShapes(t *testing.T) {
	tests := map[string]struct {
		body string
		want answer.Shape
	}{
		"nothing":                          {"", answer.Empty},
		"white space":                      {" \r\n", answer.Empty},
		"a byte order mark alone":          {"\ufeff", answer.Empty},
		"a page":                           {"<!DOCTYPE html><html><body>We'll be back soon</body></html>", answer.Page},
		"a page behind a byte order mark":  {"\ufeff\n<html>", answer.Page},
		"a page behind a comment":          {"<!-- nginx --><p>", answer.Page},
		"a page in capitals":               {"  <HTML><HEAD>", answer.Page},
		"a page as XML":                    {`<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml">`, answer.Page},
		"XML that is no page":              {`<?xml version="1.0"?><Error><Code>InternalError</Code></Error>`, answer.Other},
		"a page with tokens in it":         {`<html><script>{"access_token":"at","refresh_token":"rt"}</script>`, answer.Other},
		"a page with a token in its style": {`<html><pre>{"refreshToken" : "rt"}`, answer.Other},
		"text of a proxy":                  {"upstream connect error or disconnect/reset before headers", answer.Other},
		"a list":                           {`[{"access_token":"at"}]`, answer.Other},
		"null":                             {`null`, answer.Other},
		"half an object":                   {`{"access_token":"at"`, answer.Other},
		"an object":                        {`{"message":"Forbidden"}`, answer.Object},
		"an empty object":                  {`{}`, answer.Object},
		"a token that is no text":          {`{"access_token":5}`, answer.Object},
		"an empty token":                   {`{"access_token":""}`, answer.Object},
		"tokens":                           {`{"access_token":"at"}`, answer.TokenSet},
		"tokens, and what is no JSON":      {"\ufeff {\"access_token\":\"at\"}\r\n0\r\n", answer.TokenSet},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := answer.ShapeOf([]byte(test.body)); got != test.want {
				t.Errorf("the shape is %d, want %d", got, test.want)
			}
		})
	}
}
