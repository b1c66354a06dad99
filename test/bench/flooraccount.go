package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/renewal"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// floorAccount is an account with all that the floor has to know of it.
type floorAccount struct {
	*v1alpha1.MarketplaceAccount
	owner metav1.OwnerReference
	kept  custody.Custody
	// grant and token are its Secrets as they were written last; nil before.
	grant, token *corev1.Secret
}

func newFloorAccount(line floorLine) *floorAccount {
	a := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: line.Namespace, Name: line.Name, UID: types.UID(line.UID)}}
	return &floorAccount{
		MarketplaceAccount: a, owner: *metav1.NewControllerRef(a, v1alpha1.GroupVersion.WithKind("MarketplaceAccount")),
		kept: custody.Custody{Witness: custody.Witness{Account: a.UID, Cluster: line.UID}},
	}
}

// mac is as long as the one by which the operator knows its grant Secrets.
var mac = make([]byte, 32)

// serve brings an account its first or next tokens.
func (f *floor) serve(ctx context.Context, a *floorAccount) error {
	spent, now := a.kept.RefreshToken, time.Now().UTC().Truncate(time.Second)
	begun := a.kept
	entry := &custody.Journal{StartedAt: now, LastAt: now, Holder: string(a.UID), Attempts: 1}
	if spent == "" {
		spent = refreshTokenOf(a.Name)
		entry.Imported = spent
		begun.ImportJournal = entry
	} else {
		begun.Journal = entry
	}
	if err := f.store(ctx, a, begun); err != nil {
		return err
	}
	answer, err := f.ask(ctx, spent)
	if err != nil {
		return err
	}
	a.kept = answer.custody(a, now)
	if err := f.store(ctx, a, a.kept); err != nil {
		return err
	}
	if err := f.publish(ctx, a); err != nil {
		return err
	}
	return f.report(ctx, a)
}

// store writes the grant Secret.
func (f *floor) store(ctx context.Context, a *floorAccount, kept custody.Custody) error {
	if f.settings.TwoWrites {
		return nil
	}
	secret, err := tokensecret.EncodeCustody(a.MarketplaceAccount, a.owner, kept, a.grant)
	if err != nil {
		return err
	}
	tokensecret.Sign(secret, mac)
	if a.grant, err = f.write(ctx, secret); err != nil {
		return fmt.Errorf("writing the grant Secret: %w", err)
	}
	return nil
}

// publish writes the token Secret.
func (f *floor) publish(ctx context.Context, a *floorAccount) error {
	secret, err := tokensecret.Render(a.MarketplaceAccount, &a.owner, *a.kept.Tokens, a.kept.Account.ID)
	if err != nil {
		return err
	}
	if a.token != nil {
		tokensecret.Merge(secret, a.token)
	}
	if a.token, err = f.write(ctx, secret); err != nil {
		return fmt.Errorf("writing the token Secret: %w", err)
	}
	return nil
}

// write creates a Secret, or updates the version that it has.
func (f *floor) write(ctx context.Context, secret *corev1.Secret) (*corev1.Secret, error) {
	secrets := f.kube.CoreV1().Secrets(secret.Namespace)
	if secret.ResourceVersion == "" {
		return secrets.Create(ctx, secret, metav1.CreateOptions{})
	}
	return secrets.Update(ctx, secret, metav1.UpdateOptions{})
}

// floorAnswer holds the tokens that the marketplace issued.
type floorAnswer struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
	ExpiresIn    int    `json:"expires_in"`
}

// ask spends the refresh token.
func (f *floor) ask(ctx context.Context, refreshToken string) (answer floorAnswer, err error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {refreshToken}}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, f.settings.TokenURL, strings.NewReader(form.Encode()))
	if err != nil {
		return answer, err
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(demomarket.DefaultClientID, demomarket.DefaultClientSecret)
	response, err := f.market.Do(request)
	if err != nil {
		return answer, fmt.Errorf("asking for tokens: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return answer, fmt.Errorf("asking for tokens: %s", response.Status)
	}
	return answer, json.NewDecoder(response.Body).Decode(&answer)
}

// custody is the part of such an answer that the operator keeps.
func (a floorAnswer) custody(account *floorAccount, now time.Time) custody.Custody {
	imported, expires := refreshTokenOf(account.Name), now.Add(time.Duration(a.ExpiresIn)*time.Second)
	return custody.Custody{
		Serial: account.kept.Serial + 1, Witness: account.kept.Witness,
		Grant: custody.Grant{
			RefreshToken: a.RefreshToken, Imported: imported, ClientID: demomarket.DefaultClientID, GrantedAt: now,
			Account: custody.Account{ID: "seller-of-" + account.Name},
			Tokens: &custody.Tokens{
				AccessToken: a.AccessToken, TokenType: a.TokenType, Scope: a.Scope, For: "0123456789abcdef",
				IssuedAt: now, ExpiresAt: expires, RenewAt: policy.RenewAt(now, expires, renewal.Spread(string(account.UID))),
			},
		},
		SpentImports: []string{imported},
	}
}

// report patches the status.
func (f *floor) report(ctx context.Context, a *floorAccount) error {
	now := metav1.NewTime(a.kept.Tokens.IssuedAt)
	ends := now.AddDate(0, 0, 90)
	status := v1alpha1.MarketplaceAccountStatus{
		AccessToken: &v1alpha1.AccessTokenStatus{
			Serial: a.kept.Serial, IssuedTime: now, ExpirationTime: metav1.NewTime(a.kept.Tokens.ExpiresAt), RenewalTime: metav1.NewTime(a.kept.Tokens.RenewAt),
		},
		Authorization: &v1alpha1.AuthorizationStatus{GrantedTime: now, ExpirationTime: metav1.NewTime(ends)},
	}
	if a.kept.Serial == 1 {
		status.ObservedGeneration, status.TokenSecretName = 1, a.TokenSecretName()
		status.Account = &v1alpha1.AccountStatus{ID: a.kept.Account.ID}
	}
	condition := func(kind string, is metav1.ConditionStatus, reason, message string) {
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: kind, Status: is, Reason: reason, Message: message, ObservedGeneration: 1, LastTransitionTime: now,
		})
	}
	condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid, "The token is valid until "+a.kept.Tokens.ExpiresAt.String())
	condition(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid, "Authenticated as "+a.kept.Account.ID+", authorization renews itself")
	condition(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired, "No sign-in is needed")
	condition(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired,
		"Each renewal prolongs the authorization; without one it ends on "+ends.Format(time.DateOnly))
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = f.kube.Discovery().RESTClient().Patch(types.MergePatchType).
		AbsPath("/apis/tokenkeeper.dev/v1alpha1/namespaces", a.Namespace, "marketplaceaccounts", a.Name, "status").
		SetHeader("Accept", runtime.ContentTypeJSON).Body(patch).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("patching the status: %w", err)
	}
	return nil
}

// emitEvent creates the event. As with the operator's, no step waits for it or notices that it is missing.
func (f *floor) emitEvent(ctx context.Context, a *floorAccount) {
	_, _ = f.kube.EventsV1().Events(a.Namespace).Create(ctx, &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: a.Name + ".", Namespace: a.Namespace},
		EventTime:  metav1.NowMicro(), ReportingController: v1alpha1.ManagedBy, ReportingInstance: v1alpha1.ManagedBy + "-floor",
		Action: "Issue", Reason: v1alpha1.EventTokenIssued, Type: corev1.EventTypeNormal, Note: "Stored the first token in Secret " + a.Name + "-token",
		Regarding: corev1.ObjectReference{
			Kind: "MarketplaceAccount", Namespace: a.Namespace, Name: a.Name, UID: a.UID, APIVersion: v1alpha1.GroupVersion.String(),
		},
	}, metav1.CreateOptions{})
}
