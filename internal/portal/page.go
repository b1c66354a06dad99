package portal

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/cards"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/words"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

//go:embed templates/*.html style.css
var files embed.FS

// pageNames are the names of the templates beside layout.html.
var pageNames = []string{"enter", "list", "offer", "leaving", "store", "done", "problem"}

// parsePages reads the templates, each within the layout, and the style.
func parsePages() (pages map[string]*template.Template, style string, err error) {
	css, err := files.ReadFile("style.css")
	if err != nil {
		return nil, "", fmt.Errorf("reading the style: %w", err)
	}
	layout, err := template.New("layout.html").Funcs(template.FuncMap{"fill": words.Fill}).ParseFS(files, "templates/layout.html")
	if err != nil {
		return nil, "", fmt.Errorf("reading the layout: %w", err)
	}
	pages = make(map[string]*template.Template, len(pageNames))
	for _, name := range pageNames {
		page, err := layout.Clone()
		if err == nil {
			_, err = page.ParseFS(files, "templates/"+name+".html")
		}
		if err != nil {
			return nil, "", fmt.Errorf("reading page %s: %w", name, err)
		}
		pages[name] = page
	}
	return pages, string(css), nil
}

// frame holds the parts that every page has.
type frame struct {
	T     cards.Texts
	Title string
	Style template.CSS
	// Visitor is the name of the visitor that is logged in, and LeaveForm the token of the form that logs them out; both are
	// empty without a session, or where it does not matter.
	Visitor, LeaveForm string
	// Onward is where the page goes by itself; empty where it stays.
	Onward string
	// Host is the organisation that runs the portal, and its contact.
	Host host
	// LinkToList tells that the page leads to the list. Without a session it does not: many people with a sign-in link may not
	// see the list, and often its address is not public.
	LinkToList bool
}

func (p *Portal) frame(r *http.Request, title string) frame {
	_, err := r.Cookie(visitor.SessionCookie)
	return frame{T: p.texts(r), Title: title, Host: p.host, LinkToList: err == nil, Style: template.CSS(p.style)} //nolint:gosec // it is embedded, and nobody writes to it
}

// texts are the words in the language of the browser that sent a request.
func (p *Portal) texts(r *http.Request) cards.Texts {
	return cards.Texts{Texts: p.speech.To(r.Header.Get("Accept-Language"))}
}

// frameOf is the frame of a page for a visitor.
func (p *Portal) frameOf(r *http.Request, who *visitor.Visitor, title string) frame {
	f := p.frame(r, title)
	f.Visitor = strings.TrimPrefix(who.Username(), "system:serviceaccount:")
	f.LeaveForm = who.FormToken(string(p.address), leavePath)
	return f
}

// render answers with a page, as a whole or not at all.
func (p *Portal) render(w http.ResponseWriter, status int, name string, page any) {
	if body := p.compose(w, name, page); body != nil {
		write(w, status, body)
	}
}

// renderList is render for a page that may be large. leave gives up the place in which the page was made: a browser may read slowly.
func (p *Portal) renderList(w http.ResponseWriter, who *visitor.Visitor, name string, page any, leave func()) error {
	body := p.compose(w, name, page)
	leave()
	if body == nil {
		return nil
	}
	sent, err := p.reception.Send(who, body.Len())
	if err != nil {
		return err
	}
	defer sent()
	write(w, http.StatusOK, body)
	return nil
}

// compose makes a page; nil where that failed and was answered.
func (p *Portal) compose(w http.ResponseWriter, name string, page any) *bytes.Buffer {
	var body bytes.Buffer
	if err := p.pages[name].Execute(&body, page); err != nil {
		p.log.Error(errors.New(string(problemInternal)), "A page cannot be shown", "page", name)
		http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return nil
	}
	return &body
}

func write(w http.ResponseWriter, status int, body *bytes.Buffer) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the browser may be gone
}

// fact is a line about an account.
type fact struct{ Label, Value string }

// accountFacts are the lines by which people recognise an account.
func accountFacts(t cards.Texts, account signin.Account) []fact {
	facts := []fact{{t.Account, account.Namespace + "/" + account.Name}}
	if account.Login != "" {
		facts = append(facts, fact{t.GivenName, words.Fill(t.Quoted, "text", account.Login)})
	}
	if account.Environment != "" && account.Environment != cards.Production {
		facts = append(facts, fact{t.Environment, account.Environment})
	}
	return facts
}

// marketplaceNames finds the names of marketplaces for people, by the names of the objects.
type marketplaceNames map[string]*v1alpha1.Marketplace

// of returns the name of a marketplace for people; the name of the object where it has no display name.
func (m marketplaceNames) of(name string) string {
	if marketplace := m[name]; marketplace != nil && marketplace.Spec.DisplayName != "" {
		return marketplace.Spec.DisplayName
	}
	return name
}
