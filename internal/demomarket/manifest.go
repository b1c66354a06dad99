package demomarket

import (
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// RedirectManifest points every URL of a Marketplace at the platform of its name on a [Server] at baseURL. Scheme and
// host go, variables in them included; path and query stay, so that https://{host}/auth/oauth/token of Marketplace
// allegro becomes <baseURL>/allegro/auth/oauth/token. An issuer keeps its final slash, or the lack of one, which is
// part of its name (OpenID Connect Discovery section 4.3). An empty URL stays empty.
func RedirectManifest(marketplace *v1alpha1.Marketplace, baseURL string) {
	platform := strings.TrimSuffix(baseURL, "/") + "/" + marketplace.Name
	endpoints := &marketplace.Spec.Endpoints
	for _, url := range []*v1alpha1.URLTemplate{
		&endpoints.Issuer, &endpoints.Authorization, &endpoints.DeviceAuthorization, &endpoints.Token, &endpoints.Refresh,
		&endpoints.Revocation,
	} {
		*url = redirected(*url, platform)
	}
	if request := marketplace.Spec.Identity.Request; request != nil {
		request.URL = redirected(request.URL, platform)
	}
}

// redirected puts another address in the place of scheme and host. It is no work for net/url, which refuses {host}.
func redirected(url v1alpha1.URLTemplate, platform string) v1alpha1.URLTemplate {
	_, rest, absolute := strings.Cut(string(url), "//")
	if !absolute {
		return url
	}
	path := strings.IndexAny(rest, "/?")
	if path < 0 {
		path = len(rest)
	}
	return v1alpha1.URLTemplate(platform + rest[path:])
}
