package platforms

import (
	"maps"
	"net/http"
	"strings"
)

// Identity is the endpoint that names the account of an access token, or tells at least that the token is good.
type Identity struct {
	// TokenHeader holds the bare access token. Empty means Authorization with the scheme Bearer (RFC 6750 section 2.1).
	TokenHeader string
	// Accept is the media type that a client must name. Empty means that it need not.
	Accept string
	// Scope is the one that the token must have. Empty means none.
	Scope string
	// Answer is the JSON for a seller.
	Answer func(Seller) any
	// Denied is the answer to a token that is not good for this. Without a status it is RFC 6750 section 3.1.
	Denied Response
	// Unknown and Expired are the answers to a token that is none, and to one that has run out. Without a status they are Denied.
	Unknown, Expired Response
}

// Response is an answer word for word.
type Response struct {
	Status int
	Header http.Header
	Body   string
}

// Token is the access token of a request, empty when it has none in the right place.
func (i Identity) Token(r *http.Request) string {
	if i.TokenHeader != "" {
		return r.Header.Get(i.TokenHeader)
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return token
}

// Write writes the answer.
func (a Response) Write(w http.ResponseWriter) {
	maps.Copy(w.Header(), a.Header)
	if a.Header.Get("Content-Type") == "" {
		w.Header().Set("Content-Type", "application/json")
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write([]byte(a.Body)) // whether it arrived is the judge's business
}
