package portal

import (
	"context"
	"net/http"
	"net/url"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/cards"
	"github.com/tokenkeeper/tokenkeeper/internal/portal/visitor"
	"github.com/tokenkeeper/tokenkeeper/internal/signin"
)

// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaceaccounts,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=tokenkeeper.dev,resources=marketplaces,verbs=list;watch

// noticeField tells the list of the action that was just asked for, and accountField of its account.
const noticeField = "notice"

// outcomeLook is how often an answer to a button that waits for the outcome looks, in the cache.
const outcomeLook = 50 * time.Millisecond

// requests are the annotations with which an action is asked for.
var requests = map[string]string{
	cards.ActionSignIn: v1alpha1.AnnotationSignIn,
	cards.ActionRenew:  v1alpha1.AnnotationRenew,
	cards.ActionVerify: v1alpha1.AnnotationVerify,
}

func actionPath(account types.NamespacedName, action string) string {
	return "/accounts/" + account.Namespace + "/" + account.Name + "/" + action
}

// formsFor makes the forms of the buttons of an account, for a visitor.
func (p *Portal) formsFor(who *visitor.Visitor, account types.NamespacedName) cards.Forms {
	return func(action string) (path, token string) {
		path = actionPath(account, action)
		return path, who.FormToken(string(p.address), path)
	}
}

// accountOf is the account that a path names; a problem when it cannot be a name.
func accountOf(r *http.Request) (types.NamespacedName, error) {
	account := types.NamespacedName{Namespace: r.PathValue("namespace"), Name: r.PathValue("name")}
	if len(validation.IsDNS1123Label(account.Namespace)) > 0 || !validName(account.Name) {
		return account, &signin.Error{Problem: problemNotFound}
	}
	return account, nil
}

// validName tells whether this can be the name of an object.
func validName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// act does the action of a button of the list.
func (p *Portal) act(w http.ResponseWriter, r *http.Request) error {
	action := r.PathValue("action")
	annotation, known := requests[action]
	if !known {
		return &signin.Error{Problem: problemNotFound}
	}
	account, who, err := p.actable(r)
	if err != nil {
		return err
	}
	if action == cards.ActionSignIn && account.Spec.Grant.Type == v1alpha1.GrantAuthorizationCode {
		ticket, err := p.signIns.Invite(r.Context(), nameOf(account))
		if err != nil {
			return err
		}
		p.tellAction(account, who, action)
		// At the portal's address, wherever the list is: the marketplace sends the browser back there, to the visit's cookie.
		http.Redirect(w, r, p.address.Link(account.Namespace, account.Name, ticket), http.StatusSeeOther)
		return nil
	}
	if err := p.annotate(r.Context(), account, annotation); err != nil {
		return err
	}
	p.tellAction(account, who, action)
	p.awaitOutcome(r.Context(), account, annotation)
	shown := url.Values{noticeField: {action}, accountField: {nameOf(account).String()}}
	http.Redirect(w, r, listPath+"?"+shown.Encode(), http.StatusSeeOther)
	return nil
}

// awaitOutcome waits a moment for the operator to act on an annotation of an account, so that the list says how it went.
func (p *Portal) awaitOutcome(ctx context.Context, account *v1alpha1.MarketplaceAccount, annotation string) {
	asked := account.Annotations[annotation]
	patient, cancel := context.WithTimeout(ctx, p.outcomeWait)
	defer cancel()
	for {
		var now v1alpha1.MarketplaceAccount
		if err := p.reader.Get(patient, nameOf(account), &now); err != nil || cards.HandledOf(&now, annotation) == asked {
			return
		}
		select {
		case <-patient.Done():
			return
		case <-time.After(outcomeLook):
		}
	}
}

// actable is the account that a form is about, and the form's visitor, if they may press the account's buttons. No other visitor is told
// whether the account exists.
func (p *Portal) actable(r *http.Request) (*v1alpha1.MarketplaceAccount, *visitor.Visitor, error) {
	who, err := p.visitorOfForm(r)
	if err != nil {
		return nil, nil, err
	}
	name, err := accountOf(r)
	if err != nil {
		return nil, nil, err
	}
	account, err := p.accountFor(r.Context(), who, name)
	return account, who, err
}

// accountFor reads an account, if the visitor may press its buttons.
func (p *Portal) accountFor(ctx context.Context, who *visitor.Visitor, name types.NamespacedName) (*v1alpha1.MarketplaceAccount, error) {
	allowed, err := p.reception.MayAct(ctx, who, name)
	if err != nil {
		return nil, err
	}
	if !allowed {
		return nil, &signin.Error{Problem: problemForbidden}
	}
	var account v1alpha1.MarketplaceAccount
	switch err := p.reader.Get(ctx, name, &account); {
	case apierrors.IsNotFound(err):
		return nil, &signin.Error{Problem: problemNotFound}
	case err != nil:
		return nil, &visitor.ClusterError{Doing: "reading an account", Err: err}
	}
	return &account, nil
}

// annotate asks the operator for the action of an annotation. It changes this one annotation, whatever else has changed
// meanwhile.
func (p *Portal) annotate(ctx context.Context, account *v1alpha1.MarketplaceAccount, annotation string) error {
	before := account.DeepCopy()
	if account.Annotations == nil {
		account.Annotations = map[string]string{}
	}
	account.Annotations[annotation] = p.clock.Now().UTC().Format(time.RFC3339Nano)
	switch err := p.writer.Patch(ctx, account, client.MergeFrom(before), client.FieldOwner(v1alpha1.ManagedBy)); {
	case apierrors.IsNotFound(err):
		return &signin.Error{Problem: problemNotFound}
	case err != nil:
		return &visitor.ClusterError{Doing: "annotating an account", Err: err}
	}
	return nil
}
