package portal

import (
	"errors"
	"net/http"

	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

const formField = "form"

// visitor returns the visitor that sent a request. Its error is a visitor.Refusal when there is none.
func (p *Portal) visitor(r *http.Request) (*visitor.Visitor, error) {
	who, err := p.reception.Of(r)
	if errors.Is(err, visitor.None) && r.URL.Path == listPath && r.URL.Query().Get(noticeField) == noticeEntered {
		return nil, visitor.CookieRefused
	}
	return who, err
}

// visitorOfForm returns the visitor that sent a form, which must be one of the portal's own.
func (p *Portal) visitorOfForm(r *http.Request) (*visitor.Visitor, error) {
	if err := r.ParseForm(); err != nil {
		return nil, unreadable(err)
	}
	who, err := p.visitor(r)
	if err != nil {
		return nil, err
	}
	if !who.OwnsForm(r.PostForm.Get(formField), string(p.address), r.URL.Path) {
		return nil, &signin.Error{Problem: problemForm}
	}
	return who, nil
}
