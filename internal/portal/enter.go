package portal

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

const (
	listPath  = "/"
	enterPath = "/session"
	leavePath = "/logout"

	tokenField = "token"
	nextField  = "next"

	// noticeEntered is in the address to which the form leads, where the session must be there.
	noticeEntered = "entered"
)

// enterPage asks for a token.
type enterPage struct {
	frame
	// Refusal says why the last one is not accepted; empty when none was entered.
	Refusal string
	// Path takes the form, Next is where to go then.
	Path, Next string
	// Audience is the portal's, for the command that makes a token.
	Audience string
}

// askForToken shows the form in which a session begins.
func (p *Portal) askForToken(w http.ResponseWriter, r *http.Request, why visitor.Refusal, next string) error {
	t := p.texts(r)
	page := enterPage{frame: p.frame(r, t.EnterTitle), Refusal: t.Sessions[string(why)], Path: enterPath, Audience: visitor.Audience}
	page.LinkToList = false
	if next = afterEntering(next); next != listPath {
		page.Next = next
	}
	status := http.StatusOK
	if why != visitor.None || r.Method == http.MethodPost {
		status = http.StatusUnauthorized
		w.Header().Set("WWW-Authenticate", `Bearer realm="tokenkeeper"`)
	}
	if why == visitor.Ended {
		p.dropCookie(w, visitor.SessionCookie)
	}
	p.render(w, status, "enter", page)
	return nil
}

// enter begins a session.
func (p *Portal) enter(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return unreadable(err)
	}
	next := r.PostForm.Get(nextField)
	token := strings.TrimSpace(r.PostForm.Get(tokenField))
	token = strings.TrimSpace(strings.TrimPrefix(token, "Bearer "))
	who, err := p.reception.Recognise(r, token)
	if refusal, isSession := errors.AsType[visitor.Refusal](err); isSession {
		return p.askForToken(w, r, refusal, next)
	}
	if err != nil {
		return err
	}
	p.setCookie(w, visitor.SessionCookie, who.Token(), 0)
	next = afterEntering(next)
	if next == listPath {
		next += "?" + url.Values{noticeField: {noticeEntered}}.Encode()
	}
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // it is a path of the portal
	return nil
}

// leave ends a session. The token itself lives on until it expires or is revoked. The API server is not asked about it: a person
// who leaves a computer to the next one must not have to wait.
func (p *Portal) leave(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return unreadable(err)
	}
	cookie, err := r.Cookie(visitor.SessionCookie)
	if err != nil || cookie.Value == "" {
		return visitor.None
	}
	if !visitor.IsOwnForm(r.PostForm.Get(formField), cookie.Value, string(p.address), r.URL.Path) {
		return &signin.Error{Problem: problemForm}
	}
	p.dropCookie(w, visitor.SessionCookie)
	http.Redirect(w, r, listPath, http.StatusSeeOther)
	return nil
}

// afterEntering is where to go with a new session: to the app store's page if that is where the visitor came from,
// else to the list. It is built anew from its parts, so it leads nowhere else.
func afterEntering(next string) string {
	if len(next) > maxQuery {
		return listPath
	}
	wanted, err := url.Parse(next)
	if err != nil {
		return listPath
	}
	marketplace, isStore := strings.CutPrefix(wanted.Path, signin.LinkPrefix)
	if !isStore || !validName(marketplace) {
		return listPath
	}
	return storePath(marketplace, wanted.Query())
}
