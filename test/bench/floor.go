package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
)

// floorArgument makes this program the floor.
const floorArgument = "floor"

// The floor is the least that anybody would need for a new account: it knows everything beforehand, watches nothing and
// decides nothing. For each account it makes the writes and the token call that the operator makes for a new account with
// grant RefreshToken at a platform that rotates, in the same order, of the same size and in the same encoding:
//
//  1. create the grant Secret with the journal: the refresh token is about to be spent;
//  2. ask the marketplace, on a connection of its own;
//  3. update the grant Secret with the tokens;
//  4. create the token Secret;
//  5. patch the status;
//  6. create the event TokenIssued, while the next account is worked on.
type floor struct {
	settings floorSettings
	kube     *kubernetes.Clientset
	market   *http.Client
}

// floorQueue is more than there ever are accounts: whoever creates them must not wait for the floor, as he does not wait for
// the operator.
const floorQueue = 1 << 20

// floorSettings are the first line of the floor's standard input.
type floorSettings struct {
	Kubeconfig  []byte
	TokenURL    string
	Concurrency int
}

// floorAccount is any other line.
type floorAccount struct {
	Namespace, Name, UID string
}

// serveFloor works on the accounts that come in, says "ready" before and ends with the input.
func serveFloor(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := json.NewDecoder(bufio.NewReader(in))
	var f floor
	if err := lines.Decode(&f.settings); err != nil {
		return fmt.Errorf("reading the settings: %w", err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(f.settings.Kubeconfig)
	if err != nil {
		return err
	}
	config.QPS = -1
	config.ContentType = runtime.ContentTypeProtobuf // as the operator has it for what is built in
	if f.kube, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	f.market = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	fmt.Fprintln(out, "ready")

	accounts := make(chan floorAccount, floorQueue)
	var events sync.WaitGroup
	defer events.Wait()
	group, ctx := errgroup.WithContext(ctx)
	for range f.settings.Concurrency {
		group.Go(func() error {
			for account := range accounts {
				if err := f.serve(ctx, account); err != nil {
					return err
				}
				events.Go(func() { f.announce(context.WithoutCancel(ctx), account) })
			}
			return nil
		})
	}
	group.Go(func() error {
		defer close(accounts)
		for {
			var account floorAccount
			if err := lines.Decode(&account); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return fmt.Errorf("reading an account: %w", err)
			}
			accounts <- account
		}
	})
	return group.Wait()
}

// serve brings one account to Ready.
func (f *floor) serve(ctx context.Context, known floorAccount) error {
	account := &v1alpha1.MarketplaceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: known.Namespace, Name: known.Name, UID: types.UID(known.UID)}}
	owner := *metav1.NewControllerRef(account, v1alpha1.GroupVersion.WithKind("MarketplaceAccount"))
	refreshToken := refreshTokenOf(known.Name)
	now := time.Now().UTC().Truncate(time.Second)
	kept := custody.Custody{ImportJournal: &custody.Journal{StartedAt: now, Attempts: 1, Imported: refreshToken}}
	secret, err := tokensecret.EncodeCustody(account, owner, kept, nil)
	if err != nil {
		return err
	}
	secrets := f.kube.CoreV1().Secrets(known.Namespace)
	if secret, err = secrets.Create(ctx, secret, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the grant Secret: %w", err)
	}
	answer, err := f.ask(ctx, refreshToken)
	if err != nil {
		return err
	}
	kept = answer.custody(known, refreshToken, now)
	if secret, err = tokensecret.EncodeCustody(account, owner, kept, secret); err != nil {
		return err
	}
	if _, err = secrets.Update(ctx, secret, metav1.UpdateOptions{}); err != nil {
		return fmt.Errorf("updating the grant Secret: %w", err)
	}
	token, err := tokensecret.Render(account, &owner, *kept.Tokens, kept.Account.ID)
	if err != nil {
		return err
	}
	if _, err = secrets.Create(ctx, token, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("creating the token Secret: %w", err)
	}
	return f.report(ctx, account, kept)
}

// floorAnswer is what the marketplace issued.
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

// custody is what the operator keeps of such an answer.
func (a floorAnswer) custody(known floorAccount, imported string, now time.Time) custody.Custody {
	lifetime := time.Duration(a.ExpiresIn) * time.Second
	return custody.Custody{
		Serial: 1,
		Grant: custody.Grant{
			RefreshToken: a.RefreshToken, Imported: imported, ClientID: demomarket.DefaultClientID, GrantedAt: now,
			Account: custody.Account{ID: "seller-of-" + known.Name},
			Tokens: &custody.Tokens{
				AccessToken: a.AccessToken, TokenType: a.TokenType, Scope: a.Scope, For: "0123456789abcdef",
				IssuedAt: now, ExpiresAt: now.Add(lifetime), RenewAt: now.Add(lifetime * 2 / 3),
			},
		},
		SpentImports: []string{imported},
	}
}

// report patches the status.
func (f *floor) report(ctx context.Context, account *v1alpha1.MarketplaceAccount, kept custody.Custody) error {
	now := metav1.NewTime(kept.Tokens.IssuedAt)
	ends := now.AddDate(0, 0, 90)
	status := v1alpha1.MarketplaceAccountStatus{
		ObservedGeneration: 1,
		Account:            &v1alpha1.AccountStatus{ID: kept.Account.ID},
		TokenSecretName:    account.TokenSecretName(),
		AccessToken: &v1alpha1.AccessTokenStatus{
			IssuedTime: now, ExpirationTime: metav1.NewTime(kept.Tokens.ExpiresAt), RenewalTime: metav1.NewTime(kept.Tokens.RenewAt),
		},
		Authorization: &v1alpha1.AuthorizationStatus{GrantedTime: now, ExpirationTime: metav1.NewTime(ends), DaysRemaining: new(int32(90))},
	}
	condition := func(kind string, is metav1.ConditionStatus, reason, message string) {
		status.Conditions = append(status.Conditions, metav1.Condition{
			Type: kind, Status: is, Reason: reason, Message: message, ObservedGeneration: 1, LastTransitionTime: now,
		})
	}
	condition(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonTokenValid, "The token is valid until "+kept.Tokens.ExpiresAt.String())
	condition(v1alpha1.ConditionAuthenticated, metav1.ConditionTrue, v1alpha1.ReasonTokenValid,
		"Authenticated as "+kept.Account.ID+", authorization expires in 90 days")
	condition(v1alpha1.ConditionReauthRequired, metav1.ConditionFalse, v1alpha1.ReasonNotRequired, "Nobody has to do anything until "+ends.String())
	condition(v1alpha1.ConditionAuthorizationExpiring, metav1.ConditionFalse, v1alpha1.ReasonNotRequired, "The authorization expires on "+ends.String())
	patch, err := json.Marshal(map[string]any{"status": status})
	if err != nil {
		return err
	}
	_, err = f.kube.Discovery().RESTClient().Patch(types.MergePatchType).
		AbsPath("/apis/tokenkeeper.dev/v1alpha1/namespaces", account.Namespace, "marketplaceaccounts", account.Name, "status").
		SetHeader("Accept", runtime.ContentTypeJSON).Body(patch).DoRaw(ctx)
	if err != nil {
		return fmt.Errorf("patching the status: %w", err)
	}
	return nil
}

// announce creates the event. As with the operator's, nobody waits for it or notices that it is missing.
func (f *floor) announce(ctx context.Context, account floorAccount) {
	_, _ = f.kube.EventsV1().Events(account.Namespace).Create(ctx, &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{GenerateName: account.Name + ".", Namespace: account.Namespace},
		EventTime:  metav1.NowMicro(), ReportingController: v1alpha1.ManagedBy, ReportingInstance: v1alpha1.ManagedBy + "-floor",
		Action: "Issue", Reason: v1alpha1.EventTokenIssued, Type: corev1.EventTypeNormal, Note: "Stored the first token in Secret " + account.Name + "-token",
		Regarding: corev1.ObjectReference{
			Kind: "MarketplaceAccount", Namespace: account.Namespace, Name: account.Name, UID: types.UID(account.UID),
			APIVersion: v1alpha1.GroupVersion.String(),
		},
	}, metav1.CreateOptions{})
}
