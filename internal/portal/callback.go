package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// maxCallback bounds the query with which a marketplace sends a browser back. Codes may be long.
const maxCallback = 8 << 10

// callback takes what a marketplace sent the browser back with, at once: codes live for seconds. The browser then leaves the
// address that holds the code, and takes the result along in a cookie.
func (p *Portal) callback(w http.ResponseWriter, r *http.Request) error {
	marketplace, err := marketplaceOf(r)
	if err != nil {
		return err
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	switch {
	case len(r.URL.RawQuery) > maxCallback:
		return &signin.Error{Problem: problemTooLarge}
	case err != nil:
		return &signin.Error{Problem: problemRequest}
	}
	// The code is exchanged and the tokens are stored even if the browser goes away, or the portal is to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), completeTimeout)
	defer cancel()
	var asked []string
	outcome, err := p.signIns.Complete(ctx, marketplace, query, func(name string) string {
		cookie, err := r.Cookie(name)
		if err != nil {
			return ""
		}
		asked = append(asked, name)
		return cookie.Value
	})
	for _, name := range slices.Compact(slices.Sorted(slices.Values(asked))) {
		p.dropCookie(w, name) // the visit is over
	}
	if err != nil {
		err = p.unlessGuessed(r, err)
		if isLimited(err) {
			return err
		}
		return p.leaveResult(w, r, result{Error: p.diagnose(err)})
	}
	p.log.Info("Sign-in completed", "namespace", outcome.Namespace, "name", outcome.Name)
	return p.leaveResult(w, r, result{Outcome: &outcome})
}

// leaveResult sends the browser to the page that shows a result.
func (p *Portal) leaveResult(w http.ResponseWriter, r *http.Request, shown result) error {
	secret, err := signin.NewSecret(p.random)
	if err != nil {
		return err
	}
	id := secret[:resultID]
	value, err := shown.encode()
	if err != nil {
		return err
	}
	p.setCookie(w, resultCookie+id, value, resultLife)
	http.Redirect(w, r, donePath+id, http.StatusSeeOther)
	return nil
}

// donePage is what is shown of a sign-in that succeeded.
type donePage struct {
	frame
	Outcome signin.Outcome
	Facts   []fact
}

// done shows the result that the browser brings along, once.
func (p *Portal) done(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !validResultID(id) {
		return &signin.Error{Problem: problemNotFound}
	}
	cookie, err := r.Cookie(resultCookie + id)
	if err != nil {
		return &signin.Error{Problem: problemShown}
	}
	p.dropCookie(w, resultCookie+id)
	shown, err := decodeResult(cookie.Value)
	if err != nil {
		return &signin.Error{Problem: problemShown}
	}
	if shown.Error != nil {
		p.showProblem(w, r, shown.Error, "")
		return nil
	}
	t := p.speech.to(r)
	outcome := *shown.Outcome
	title := t.DoneTitle
	if outcome.Unconfirmed {
		title = t.DoneUnconfirmedTitle
	}
	page := donePage{frame: p.frame(r, t.at(outcome.Marketplace, title)), Outcome: outcome}
	if outcome.SeenLogin != "" {
		outcome.Login = outcome.SeenLogin
	}
	page.Facts = accountFacts(t, outcome.Account)
	if outcome.ID != "" {
		page.Facts = append(page.Facts, fact{t.SellerID, outcome.ID})
	}
	p.render(w, http.StatusOK, "done", page)
	return nil
}

var errResult = errors.New("this is not a result of the portal")

// validResultID tells whether leaveResult can have drawn it.
func validResultID(id string) bool {
	return len(id) == resultID && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
