package marketplace

// What tells whose tokens are. Identifiers of one account that two of these tell need not agree.
const (
	ByAnswer          = "answer"
	ByCallback        = "callback"
	ByIdentityRequest = "identity request"
	ByPrefix          = "access token prefix"
)

// ByClaim is the claim that tells whose tokens are; empty where none does.
func (p *Platform) ByClaim() string {
	switch {
	case p.AccountIDClaim == "":
		return ""
	case p.AccountIDInIDToken:
		return "ID token " + p.AccountIDClaim
	}
	return "access token " + p.AccountIDClaim
}

// Tells tells whether the Marketplace has a source of accounts still. One that is not resolved, nil, has none.
func (p *Platform) Tells(by string) bool {
	if p == nil {
		return false
	}
	switch by {
	case ByAnswer:
		return p.response.Fields.AccountID != ""
	case ByCallback:
		return p.CallbackTellsAccount()
	case ByIdentityRequest:
		return p.NamesAccount()
	case ByPrefix:
		return p.AccountIDPrefixEnd != ""
	}
	return by != "" && by == p.ByClaim()
}
