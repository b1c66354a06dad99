package recorded

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/exchange"
)

// maxBody is more than any token request has.
const maxBody = 1 << 20

// sendBack sends a browser back that was sent to sign in, as a person does who consents. It tells whether the request was one for that.
func (p *platform) sendBack(w http.ResponseWriter, r *http.Request, sent url.Values) bool {
	for _, s := range p.steps {
		address, err := url.Parse(s.Address)
		if err != nil || s.Outcome != "consent" || "/"+p.name+address.Path != r.URL.Path {
			continue
		}
		actual, ok := p.fits(address.Query(), sent)
		if !ok || !p.isOurs(actual) {
			continue
		}
		recorded, err := url.Parse(s.Callback)
		if err != nil {
			continue
		}
		query := recorded.Query()
		for name := range query {
			switch value := query.Get(name); {
			case value == s.result.Code:
				query.Set(name, value+"-"+p.options.Text())
				p.nonces[query.Get(name)] = actual[s.ask.Nonce]
			case actual[value] != "":
				query.Set(name, actual[value])
			}
		}
		if query.Has("hmac") {
			p.sign(query)
		}
		back := strings.TrimSuffix(p.options.Portal, "/") + "/callback/" + p.name
		for value, got := range actual {
			if strings.HasPrefix(value, recordedPortal) {
				back = got
			}
		}
		http.Redirect(w, r, back+"?"+query.Encode(), http.StatusFound)
		return true
	}
	return false
}

// sign signs a callback with the client secret, as Shopify does.
func (p *platform) sign(query url.Values) {
	query.Del("hmac")
	sum := hmac.New(sha256.New, []byte(p.options.ClientSecret))
	sum.Write([]byte(query.Encode()))
	query.Set("hmac", hex.EncodeToString(sum.Sum(nil)))
}

// result is the part of a step's result that the demo needs.
type result struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	DeviceCode   string `json:"device_code"`
	Code         string `json:"code"`
	Kind         string `json:"kind"`
	Again        string `json:"again"`
}

// sentRefreshToken is the refresh token that a step of the file sends; empty when it sends none.
func (s *step) sentRefreshToken() string {
	if s.ask.Do != exchange.Renew && s.ask.Do != exchange.Revoke {
		return ""
	}
	return cmp.Or(s.ask.RefreshToken, s.before)
}

// parametersOf are the parameters of a request: of its address, and of its body.
func parametersOf(r *http.Request) (url.Values, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		return nil, err
	}
	return join(r.URL.Query(), r.Header.Get("Content-Type"), body)
}

func recordedParameters(r *exchange.Request) (url.Values, error) {
	address, err := url.Parse(r.URL)
	if err != nil {
		return nil, err
	}
	return join(address.Query(), r.Headers["Content-Type"], []byte(r.Body))
}

// join adds the parameters of a body, a form or a JSON object of strings.
func join(parameters url.Values, contentType string, body []byte) (url.Values, error) {
	switch {
	case len(body) == 0:
		return parameters, nil
	case strings.HasPrefix(contentType, "application/json"):
		var object map[string]string
		if err := json.Unmarshal(body, &object); err != nil {
			return nil, err
		}
		for name, value := range object {
			parameters.Set(name, value)
		}
		return parameters, nil
	}
	form, err := url.ParseQuery(string(body))
	for name := range form {
		parameters.Set(name, form.Get(name))
	}
	return parameters, err
}
