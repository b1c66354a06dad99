package outgoing

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
)

const (
	// longestSegment is the length beyond which a part of a path may be a token.
	longestSegment = 24
	// maxTarget bounds the part of an address that is shown.
	maxTarget = 200
)

// RedirectTarget tells where a redirect that is not followed points to: host and path, without the query, which may hold
// credentials, without parts of the path that are as long as one, and without what makes it a link. It is empty for an answer that is no
// redirect, or does not say.
func RedirectTarget(response *http.Response) string {
	location := response.Header.Get("Location")
	if response.StatusCode/100 != 3 || location == "" {
		return ""
	}
	target, err := url.Parse(location)
	if err != nil {
		return ""
	}
	if response.Request != nil && response.Request.URL != nil {
		target = response.Request.URL.ResolveReference(target)
	}
	segments := strings.Split(target.EscapedPath(), "/")
	for i, segment := range segments {
		if len(segment) > longestSegment {
			segments[i] = "…"
		}
	}
	text := bounds.Plain(target.Host + strings.Join(segments, "/"))
	if len(text) > maxTarget || strings.ContainsFunc(text, unreadable) {
		return ""
	}
	return text
}
