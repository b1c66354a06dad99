package api_test

import (
	"strings"
	"testing"
)

func TestMarketplaceChoices(t *testing.T) {
	choice := func(changes ...any) map[string]any {
		made := map[string]any{"value": "pl", "variables": one(map[string]any{"name": "central", "value": "sellercentral.amazon.pl"})}
		for i := 0; i+1 < len(changes); i += 2 {
			made[changes[i].(string)] = changes[i+1]
		}
		return made
	}
	declare := func(choices []any, others ...any) fields {
		declared := map[string]any{"name": "country", "choices": choices}
		for i := 0; i+1 < len(others); i += 2 {
			declared[others[i].(string)] = others[i+1]
		}
		return fields{"spec.parameters": one(declared)}
	}
	const alone = "choices must not be set with pattern or enum: they list the values allowed"
	checkRules(t, marketplace(t), map[string]rule{
		"choices bring variables":    {set: declare(one(choice()))},
		"choices may be described":   {set: declare(one(choice("description", "Poland")))},
		"choices may bring nothing":  {set: declare(one(choice("variables", []any{})))},
		"choices may have a default": {set: declare(one(choice()), "default", "pl")},
		"choices must not be none":   {set: declare([]any{}), wants: "should have at least 1 items"},
		"choices must be bounded in number": {set: declare(list(65, func(i int) any {
			return map[string]any{"value": "a" + strings.Repeat("a", i%60) + string(rune('a'+i/60))}
		})), wants: "must have at most 64 items"},
		"choices must not come with a pattern":      {set: declare(one(choice()), "pattern", "[a-z]+"), wants: alone},
		"choices must not come with an enum":        {set: declare(one(choice()), "enum", []any{"pl"}), wants: alone},
		"a default must be a choice":                {set: declare(one(choice()), "default", "de"), wants: "default must be the value of one of choices"},
		"a choice must have a value":                {set: declare(one(map[string]any{})), wants: "spec.parameters[0].choices[0].value: Required value"},
		"a choice must be one that accounts say":    {set: declare(one(choice("value", "p/l"))), wants: "choices[0].value in body should match"},
		"a choice must not come twice":              {set: declare([]any{choice(), choice()}), wants: "Duplicate value"},
		"a choice's description must be bounded":    {set: declare(one(choice("description", strings.Repeat("a", 257)))), wants: "may not be more than 256"},
		"a choice's variables must be bounded":      {set: declare(one(choice("variables", named(9, "name", map[string]any{"value": "b"})))), wants: "must have at most 8 items"},
		"a choice's variable must have a value":     {set: declare(one(choice("variables", one(map[string]any{"name": "central"})))), wants: "variables[0].value: Required value"},
		"a choice's variable must not come twice":   {set: declare(one(choice("variables", []any{map[string]any{"name": "a", "value": "1"}, map[string]any{"name": "a", "value": "2"}}))), wants: "Duplicate value"},
		"a parameter must not be what is known":     {set: fields{"spec.parameters": one(map[string]any{"name": "clientID", "pattern": "a"})}, wants: "must not be clientID, accountID, random or scope, which stand for what the operator knows"},
		"a parameter must not be another account":   {set: fields{"spec.parameters": one(map[string]any{"name": "accountID", "pattern": "a"})}, wants: "must not be clientID, accountID, random or scope"},
		"a parameter must not be what is at random": {set: fields{"spec.parameters": one(map[string]any{"name": "random", "pattern": "a"})}, wants: "must not be clientID, accountID, random or scope"},
	})
}

func TestMarketplaceUsage(t *testing.T) {
	declare := func(changes ...any) fields {
		declared := map[string]any{"name": "audience", "usage": "Value", "pattern": "https://.+"}
		for i := 0; i+1 < len(changes); i += 2 {
			declared[changes[i].(string)] = changes[i+1]
			if changes[i+1] == nil {
				delete(declared, changes[i].(string))
			}
		}
		return fields{"spec.parameters": one(declared)}
	}
	checkRules(t, marketplace(t), map[string]rule{
		"a value may be an address":            {set: declare()},
		"a value may have a default":           {set: declare("default", "https://api.example.com/?a=b c")},
		"an address is the default":            {set: declare("usage", nil, "default", "https://api.example.com/"), wants: "default must be made of letters, digits and . _ ~ - unless usage is Value"},
		"a value must have a pattern":          {set: declare("pattern", nil, "enum", []any{"a"}), wants: "pattern must be set with usage Value: it says which texts an account may send"},
		"a value must match its pattern":       {set: declare("default", "http://api.example.com"), wants: "default must match pattern"},
		"a value must be one line":             {set: declare("pattern", ".*", "default", "a\nb"), wants: "spec.parameters[0].default in body should match"},
		"there must be no third usage of them": {set: declare("usage", "Text"), wants: `supported values: "Address", "Value"`},
	})
}

func TestMarketplaceScopeOverrides(t *testing.T) {
	override := func(grants []any, scopes ...any) map[string]any {
		return map[string]any{"grants": grants, "default": scopes}
	}
	set := func(overrides ...any) fields { return fields{"spec.scopes.overrides": overrides} }
	const application, login = "ClientCredentials", "Password"
	checkRules(t, marketplace(t), map[string]rule{
		"scopes may be others for some grants":   {set: set(override([]any{application}, "orders"), override([]any{login}))},
		"an override must name grants":           {set: set(map[string]any{"default": []any{"a"}}), wants: "spec.scopes.overrides[0].grants: Required value"},
		"an override must name a grant":          {set: set(override([]any{}, "a")), wants: "should have at least 1 items"},
		"an override must name a grant of ours":  {set: set(override([]any{"Implicit"}, "a")), wants: "Unsupported value"},
		"a grant must have one override":         {set: set(override([]any{application}, "a"), override([]any{login, application}, "b")), wants: "must not name a grant twice"},
		"an override's scope must not repeat":    {set: set(override([]any{application}, "a", "a")), wants: "Duplicate value"},
		"overrides must be bounded in number":    {set: set(list(9, func(int) any { return override([]any{application}) })...), wants: "must have at most 8 items"},
		"an override's scope must have no space": {set: set(override([]any{application}, "a b")), wants: "default[0] in body should match"},
	})
}

func TestMarketplaceQuirks(t *testing.T) {
	const identifier = "must not be a key that holds a credential: a browser is sent with its value"
	nonce := func(value string) fields {
		return fields{"spec.authorizationRequest.parameters": one(map[string]any{"name": "nonce", "value": value})}
	}
	rules := map[string]rule{
		"client_id may be another key's value":      {set: fields{"spec.authorizationRequest.clientIDKey": "service_id"}},
		"that key must be possible":                 {set: fields{"spec.authorizationRequest.clientIDKey": "a b"}, wants: "clientIDKey in body should match"},
		"that key must be bounded":                  {set: fields{"spec.authorizationRequest.clientIDKey": strings.Repeat("a", 64)}, wants: "may not be more than 63"},
		"callbacks may be signed":                   {set: fields{"spec.authorizationRequest.callback.hmac": "hmac"}},
		"callbacks need not be signed":              {set: fields{"spec.authorizationRequest.callback.hmac": ""}},
		"the signature's name must be possible":     {set: fields{"spec.authorizationRequest.callback.hmac": "a b"}, wants: "callback.hmac in body should match"},
		"a nonce may be another each time":          {set: nonce("{random}")},
		"a nonce must not be the same each time":    {set: nonce("a{random}"), wants: "nonce may be {random} alone"},
		"parameters may be in the query":            {set: fields{"spec.tokenRequest.method": "GET"}},
		"the method must be POST or GET":            {set: fields{"spec.tokenRequest.method": "PUT"}, wants: `supported values: "POST", "GET"`},
		"a query must not be JSON":                  {set: fields{"spec.tokenRequest.method": "GET", "spec.tokenRequest.encoding": "JSON"}, wants: "encoding must not be JSON with method GET, which has no body"},
		"Basic may be as it is":                     {set: fields{"spec.tokenRequest.clientAuthentication": "BasicUnescaped"}},
		"codes may mean success":                    {set: fields{"spec.tokenResponse.successCodes": []any{"0", "OK"}}},
		"a code of success must not be empty":       {set: fields{"spec.tokenResponse.successCodes": []any{""}}, wants: "should be at least 1 chars long"},
		"a code of success must not come twice":     {set: fields{"spec.tokenResponse.successCodes": []any{"0", "0"}}, wants: "Duplicate value"},
		"codes of success must be bounded":          {set: fields{"spec.tokenResponse.successCodes": list(9, func(i int) any { return strings.Repeat("a", i+1) })}, wants: "must have at most 8 items"},
		"a member may stand in a list":              {set: fields{"spec.tokenResponse.fields.error": "errors.0.code"}},
		"an answer may name the account for people": {set: fields{"spec.tokenResponse.fields.login": "seller_name"}},
	}
	for _, key := range []string{"client_secret", "client_secret_previous", "private_key"} {
		rules["client_id must not be "+key] = rule{set: fields{"spec.authorizationRequest.clientIDKey": key}, wants: identifier}
	}
	checkRules(t, marketplace(t), rules)
}

// TestMarketplacePublished is about the values that workloads need beside the token: Amazon's api_url, Salesforce's instance_url, QuickBooks' realmId.
func TestMarketplacePublished(t *testing.T) {
	key := func(changes ...any) map[string]any {
		made := map[string]any{"key": "api_url", "value": "https://api.{host}"}
		for i := 0; i+1 < len(changes); i += 2 {
			if made[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
				delete(made, changes[i].(string))
			}
		}
		return made
	}
	set := func(keys ...any) fields { return fields{"spec.published": keys} }
	answer := func(member string) fields { return set(key("value", nil, "answer", member)) }
	callback := func(name string) fields { return set(key("value", nil, "callback", name)) }
	const alone = "exactly one of value, answer and callback must be set: they say where the key comes from"
	rules := map[string]rule{
		"a key may hold a value":                     {set: set(key())},
		"a key may hold a member of the answer":      {set: answer("data.instance_url")},
		"a key may hold a parameter of the callback": {set: callback("realmId")},
		"a key must hold something":                  {set: set(key("value", nil)), wants: alone},
		"a key must hold one thing":                  {set: set(key("answer", "a")), wants: alone},
		"a key must hold one thing, also of two":     {set: set(key("value", nil, "answer", "a", "callback", "b")), wants: alone},
		"a key must be one for templates":            {set: set(key("key", "api-url")), wants: "spec.published[0].key in body should match"},
		"a key must be bounded":                      {set: set(key("key", strings.Repeat("a", 64))), wants: "may not be more than 63"},
		"a key must not come twice":                  {set: set(key(), key()), wants: "Duplicate value"},
		"keys must be bounded in number":             {set: set(list(17, func(i int) any { return key("key", "a"+strings.Repeat("a", i)) })...), wants: "must have at most 16 items"},
		"a value must not be another each time":      {set: set(key("value", "a{random}")), wants: "must not hold {random} or {accessToken}"},
		"a value must not hold the token":            {set: set(key("value", "Bearer {accessToken}")), wants: "use spec.tokenSecret.template of the account for texts with the token"},
		"the answer's refresh token must not go out": {set: answer("data.refresh_token"), wants: "must not be a token"},
		"nor must it under another name": {
			set:   fields{"spec.published": one(key("value", nil, "answer", "renewal")), "spec.tokenResponse.fields.refreshToken": "renewal"},
			wants: "published must not name the member of a token as answer",
		},
		"the callback's code must not go out": {set: callback("code"), wants: "must not be code or state, which are credentials of the sign-in"},
		"nor must it under its own name": {
			set:   fields{"spec.published": one(key("value", nil, "callback", "spapi_oauth_code")), "spec.authorizationRequest.callback.code": "spapi_oauth_code"},
			wants: "published must not name the callback's code",
		},
		"hosts may be named":              {set: fields{"spec.apiHosts": []any{"api.example.com", "api-{region}.example.com:8443"}}},
		"a host must have no scheme":      {set: fields{"spec.apiHosts": []any{"https://api.example.com"}}, wants: "must be a host such as api.example.com or api.{host}, without https:// and path"},
		"a host must have no path":        {set: fields{"spec.apiHosts": []any{"api.example.com/v1"}}, wants: "must be a host such as"},
		"a host must not come twice":      {set: fields{"spec.apiHosts": []any{"a.example", "a.example"}}, wants: "Duplicate value"},
		"hosts must be bounded in number": {set: fields{"spec.apiHosts": list(17, func(i int) any { return "a" + strings.Repeat("a", i) + ".example" })}, wants: "must have at most 16 items"},
	}
	for _, taken := range []string{"access_token", "id_token", "token_type", "scope", "expires_at", "account_id", "api_hosts", "refresh_token"} {
		rules["a key must not be "+taken] = rule{set: set(key("key", taken)), wants: "must not be a key that the token Secret has anyway, nor refresh_token"}
	}
	checkRules(t, marketplace(t), rules)
}

// TestMarketplaceEnds is about tokens that do not end (Shopify's custom applications) and authorizations with two clocks (QuickBooks).
func TestMarketplaceEnds(t *testing.T) {
	const sliding = "maxLifetime must only be set with expiry Sliding; with Fixed, lifetime is the end that no renewal moves"
	checkRules(t, marketplace(t), map[string]rule{
		"an access token may have no end":      {set: fields{"spec.accessToken": map[string]any{"expiry": "None"}}},
		"it may have one":                      {set: fields{"spec.accessToken": map[string]any{"expiry": "Lifetime", "lifetime": "2h"}}},
		"it must not have both":                {set: fields{"spec.accessToken": map[string]any{"expiry": "None", "lifetime": "2h"}}, wants: "lifetime must not be set with expiry None, by which a token whose answer names no end has none"},
		"there must be no third":               {set: fields{"spec.accessToken": map[string]any{"expiry": "Never"}}, wants: `supported values: "Lifetime", "None"`},
		"renewals may prolong up to an end":    {set: fields{"spec.refreshToken": map[string]any{"expiry": "Sliding", "lifetime": "2400h", "maxLifetime": "43800h"}}},
		"that end needs renewals that prolong": {set: fields{"spec.refreshToken": map[string]any{"expiry": "Fixed", "lifetime": "2400h", "maxLifetime": "43800h"}}, wants: sliding},
		"that end needs an expiry":             {set: fields{"spec.refreshToken": map[string]any{"maxLifetime": "43800h"}}, wants: sliding},
		"that end must be a duration":          {set: fields{"spec.refreshToken": map[string]any{"expiry": "Sliding", "maxLifetime": "5y"}}, wants: "spec.refreshToken.maxLifetime"},
		"an answer may tell that end":          {set: fields{"spec.tokenResponse.fields.refreshTokenMaxExpiresIn": "x_refresh_token_hard_expires_in"}},
	})
}
