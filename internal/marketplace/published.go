package marketplace

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/dialect"
	"github.com/tokenkeeper/tokenkeeper/internal/placeholder"
)

// fillPublished replaces the {name}s in the values that are published for workloads.
func (p *Platform) fillPublished(spec *v1alpha1.MarketplaceSpec, names names) error {
	for _, host := range spec.APIHosts {
		filled, err := names.url("https://" + string(host))
		if err != nil {
			return fmt.Errorf("Marketplace %q: spec.apiHosts: %w", p.Name, err)
		}
		p.apiHosts = append(p.apiHosts, strings.TrimPrefix(filled, "https://"))
	}
	names.known = slices.DeleteFunc(slices.Clone(names.known), func(name string) bool { return name == placeholder.Random })
	p.published = slices.Clone(spec.Published)
	for i := range p.published {
		isSent, err := names.text(&p.published[i].Value)
		if err != nil {
			return fmt.Errorf("Marketplace %q: spec.published: %w", p.Name, err)
		}
		if !isSent {
			p.published[i].Value = "" // it holds nothing then
		}
	}
	return nil
}

// Published are the further keys of the token Secret, keys without a value yet among them. told are the values that answers and the callback have brought, of which
// the keys that the Marketplace names today count; accountID is the platform's identifier of the account, empty while it is not known. A Marketplace that is gone publishes none.
func (p *Platform) Published(told map[string]string, accountID string) map[string]string {
	if p == nil {
		return nil
	}
	keys := map[string]string{v1alpha1.TokenKeyAPIHosts: strings.Join(p.apiHosts, " ")}
	for _, published := range p.published {
		keys[published.Key] = ""
		if published.Answer != "" || published.Callback != "" {
			keys[published.Key] = told[published.Key]
		} else if value, whole := (placeholder.Known{ClientID: p.clientID, AccountID: accountID}).Parameter(published.Value); whole {
			keys[published.Key] = value
		}
	}
	return keys
}

// PublishedKeys are the names of all further keys that there may be.
func (p *Platform) PublishedKeys() []string { return slices.Collect(maps.Keys(p.Published(nil, ""))) }

// publishedOf takes the values to publish out of a callback.
func (p *Platform) publishedOf(query url.Values) map[string]string {
	var told map[string]string
	for _, published := range p.published {
		value, err := only(query, published.Callback, dialect.MaxPublished)
		if err == nil && dialect.Publishable(value) && published.Callback != p.authorization.Callback.HMAC {
			if told == nil {
				told = map[string]string{}
			}
			told[published.Key] = value
		}
	}
	return told
}
