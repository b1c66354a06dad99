package portal

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// largeHeaders is the whole answer to a browser with headers that are too large, such as for the cookies that another site of the domain has set.
// net/http answers before any handler hears of the request, so that the language of the browser is not known: it is told in all.
func (p *Portal) largeHeaders() []byte {
	var page strings.Builder
	page.WriteString("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n")
	for i, texts := range p.speech.Languages() {
		told := texts.Problems[problemHeaders]
		if i == 0 {
			fmt.Fprintf(&page, "<title>%s – tokenkeeper</title>\n</head>\n<body>\n", html.EscapeString(told.Title))
		}
		fmt.Fprintf(&page, "<section lang=\"%s\">\n<h1>%s</h1>\n<p>%s</p>\n<p>%s</p>\n</section>\n",
			html.EscapeString(texts.Tag.String()), html.EscapeString(told.Title), html.EscapeString(told.Says), html.EscapeString(told.Do))
	}
	page.WriteString("</body>\n</html>\n")
	status := statuses[problemHeaders]
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\nConnection: close\r\nCache-Control: no-store\r\n"+
		"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; base-uri 'none'\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n\r\n%s",
		status, http.StatusText(status), page.Len(), page.String())
}
