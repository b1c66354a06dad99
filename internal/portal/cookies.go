package portal

import (
	"net/http"
	"strings"
	"time"
)

// setCookie sets a cookie of this host alone, which no script reads. It comes along when a marketplace sends the browser back
// (SameSite=Lax). A life of zero is that of the browser's session.
func (p *Portal) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	var ends time.Time
	if life > 0 {
		ends = p.clock.Now().Add(life)
	}
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Expires: ends, MaxAge: int(life / time.Second), // MaxAge counts first: a browser's clock may be wrong
	})
}

// dropCookie makes the browser forget a cookie.
func (p *Portal) dropCookie(w http.ResponseWriter, name string) {
	p.setCookie(w, name, "", -time.Second)
}

// forgetOldest makes the browser forget the oldest of its cookies that begin like this, and keep some.
func (p *Portal) forgetOldest(w http.ResponseWriter, r *http.Request, prefix string, keep int) {
	var held []string
	for _, cookie := range r.Cookies() {
		if strings.HasPrefix(cookie.Name, prefix) {
			held = append(held, cookie.Name)
		}
	}
	for _, name := range held[:max(0, len(held)-keep)] {
		p.dropCookie(w, name)
	}
}
