package portal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

// callback takes the query with which a marketplace sent the browser back, and uses it at once: codes live for seconds. The
// browser then leaves the address that holds the code, and takes the result along in a cookie.
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
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), timeouts.Callback)
	defer cancel()
	var outcome signin.Outcome
	if query.Has("state") || query.Has("code") {
		outcome, err = p.signIns.Complete(ctx, signin.CallbackName(marketplace, r.PathValue("key")), query, func(name string) string {
			cookie, err := r.Cookie(name)
			if err != nil {
				return ""
			}
			return cookie.Value
		})
	} else {
		err = p.signIns.Decline(ctx, signin.CallbackName(marketplace, r.PathValue("key")), visitsOf(r))
	}
	// The cookie of the visit stays until its time is over: the browser may bring the same answer once more, and shows the
	// last page that it gets.
	id, idErr := p.resultID(query.Get("state"))
	if idErr != nil {
		return idErr
	}
	if err != nil {
		e := p.diagnose(r, err)
		if e.Account == (signin.Account{}) {
			told := *e
			told.Account.Marketplace = p.calledMarketplace(ctx, marketplace)
			e = &told
		}
		return p.leaveResult(w, r, id, result{Error: e})
	}
	p.log.Info("Sign-in completed", "namespace", outcome.Namespace, "name", outcome.Name)
	return p.leaveResult(w, r, id, result{Outcome: &outcome})
}

// visitsOf are the values of the cookies of a browser's visits. Browsers send the oldest first (RFC 6265 section 5.4).
func visitsOf(r *http.Request) []string {
	var values []string
	for _, cookie := range r.Cookies() {
		if strings.HasPrefix(cookie.Name, signin.CookiePrefix) {
			values = append(values, cookie.Value)
		}
	}
	return values[max(0, len(values)-maxVisitCookies):]
}

// resultID names the result of a visit by its state, so that a browser which comes back twice has one result, else anew.
func (p *Portal) resultID(state string) (string, error) {
	if state != "" {
		return signin.Hash("the result of " + state)[:resultID], nil
	}
	secret, err := signin.NewSecret(p.random)
	if err != nil {
		return "", err
	}
	return secret[:resultID], nil
}

// calledMarketplace is the name of a Marketplace for people; empty when there is none with this name.
func (p *Portal) calledMarketplace(ctx context.Context, name string) string {
	var marketplace v1alpha1.Marketplace
	if err := p.reader.Get(ctx, types.NamespacedName{Name: name}, &marketplace); err != nil {
		return "" // the page says "the marketplace"
	}
	return marketplaceNames{name: &marketplace}.of(name)
}

// leaveResult sends the browser to the page that shows a result.
func (p *Portal) leaveResult(w http.ResponseWriter, r *http.Request, id string, shown result) error {
	value, err := shown.encode()
	if err != nil {
		return err
	}
	p.forgetOldest(w, r, resultCookie, maxResultCookies-1)
	p.setCookie(w, resultCookie+id, value, resultLife)
	http.Redirect(w, r, donePath+id, http.StatusSeeOther)
	return nil
}

// donePage is the page of a sign-in that succeeded.
type donePage struct {
	frame
	Outcome signin.Outcome
	Facts   []fact
	// Nobody tells that the marketplace does not name the seller that signed in.
	Nobody bool
}

// done shows the result that the browser brings along, as long as it does.
func (p *Portal) done(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	if !validResultID(id) {
		return &signin.Error{Problem: problemNotFound}
	}
	cookie, err := r.Cookie(resultCookie + id)
	if err != nil {
		return &signin.Error{Problem: problemShown}
	}
	shown, err := decodeResult(cookie.Value)
	if err != nil {
		return &signin.Error{Problem: problemShown}
	}
	if shown.Error != nil {
		p.showProblem(w, r, shown.Error, "", true)
		return nil
	}
	t := p.texts(r)
	outcome := *shown.Outcome
	title := t.DoneTitle
	if outcome.Unconfirmed {
		title = t.DoneUnconfirmedTitle
	}
	page := donePage{frame: p.frame(r, t.At(outcome.Marketplace, title)), Outcome: outcome}
	page.Facts = accountFacts(t, outcome.Account)
	if outcome.SeenLogin != "" {
		page.Facts = append(page.Facts, fact{t.Seller, outcome.SeenLogin})
	}
	if outcome.ID != "" {
		page.Facts = append(page.Facts, fact{t.SellerID, outcome.ID})
	}
	page.Nobody = outcome.SeenLogin == "" && outcome.ID == "" && !outcome.Unconfirmed
	p.render(w, http.StatusOK, "done", page)
	return nil
}

var errResult = errors.New("this is not a result of the portal")

// validResultID tells whether leaveResult can have drawn it.
func validResultID(id string) bool {
	return len(id) == resultID && strings.Trim(id, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == ""
}
