package chart_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/demomarket"
)

// shop is a namespace with accounts at a demo marketplace.
type shop struct {
	cluster
	t         *testing.T
	namespace string
	market    *demomarket.Server
}

func (c cluster) openShop(t *testing.T, market *demomarket.Server) *shop {
	t.Helper()
	s := &shop{cluster: c, t: t, namespace: "shop", market: market}
	s.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}})
	return s
}

func (s *shop) create(objects ...client.Object) {
	s.t.Helper()
	for _, object := range objects {
		if err := s.Create(s.t.Context(), object); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *shop) secret(name string, values map[string]string) {
	s.t.Helper()
	s.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace, Labels: map[string]string{v1alpha1.LabelUse: "application.login.refresh-token"}},
		StringData: values,
	})
}

// account creates one of the Marketplace that has a platform's name, with an application of its own.
func (s *shop) account(name, platform string, grant v1alpha1.Grant, changes ...func(*v1alpha1.MarketplaceAccount)) {
	s.t.Helper()
	s.market.Platform(platform).AddClient(clientOf(name), clientOf(name)+"-secret")
	s.secret(name+"-app", map[string]string{"client_id": clientOf(name), "client_secret": clientOf(name) + "-secret"})
	account := &v1alpha1.MarketplaceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: s.namespace},
		Spec: v1alpha1.MarketplaceAccountSpec{
			MarketplaceRef:       v1alpha1.MarketplaceReference{Name: platform},
			ApplicationSecretRef: v1alpha1.SecretReference{Name: name + "-app"},
			Grant:                grant,
		},
	}
	for _, change := range changes {
		change(account)
	}
	s.create(account)
}

// clientOf is the application of an account.
func clientOf(name string) string { return "client-" + name }

// imported creates an account of a seller of its own, whose refresh token somebody brings.
func (s *shop) imported(name, platform string, changes ...func(*v1alpha1.MarketplaceAccount)) {
	s.t.Helper()
	token := "refresh-token-" + rand.Text()
	s.account(name, platform, v1alpha1.Grant{
		Type:         v1alpha1.GrantRefreshToken,
		RefreshToken: &v1alpha1.RefreshTokenGrant{SecretRef: v1alpha1.SecretReference{Name: name + "-import"}},
	}, changes...)
	s.market.Platform(platform).SeedRefreshTokenFor(clientOf(name), token, "seller-"+name)
	s.secret(name+"-import", map[string]string{"refresh_token": token})
}

func (s *shop) get(name string) *v1alpha1.MarketplaceAccount {
	s.t.Helper()
	account := &v1alpha1.MarketplaceAccount{}
	if err := s.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name}, account); err != nil {
		s.t.Fatal(err)
	}
	return account
}

// edit changes an account.
func (s *shop) edit(name string, change func(*v1alpha1.MarketplaceAccount)) {
	s.t.Helper()
	account := s.get(name)
	before := account.DeepCopy()
	change(account)
	if err := s.Patch(s.t.Context(), account, client.MergeFrom(before)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shop) annotate(name, annotation, value string) {
	s.t.Helper()
	s.edit(name, func(account *v1alpha1.MarketplaceAccount) {
		metav1.SetMetaDataAnnotation(&account.ObjectMeta, annotation, value)
	})
}

// token is the token that workloads read of an account; empty where there is none.
func (s *shop) token(name string) map[string][]byte {
	s.t.Helper()
	var secret corev1.Secret
	if err := s.Get(s.t.Context(), client.ObjectKey{Namespace: s.namespace, Name: name + "-token"}, &secret); client.IgnoreNotFound(err) != nil {
		s.t.Fatal(err)
	}
	return secret.Data
}

// says is a condition of an account as "status reason: message".
func (s *shop) says(name, conditionType string) string {
	s.t.Helper()
	condition := meta.FindStatusCondition(s.get(name).Status.Conditions, conditionType)
	if condition == nil {
		return "nothing"
	}
	return fmt.Sprintf("%s %s: %s", condition.Status, condition.Reason, condition.Message)
}

// expect waits until a condition begins with a status and a reason, and returns all that it says.
func (s *shop) expect(name, conditionType, wanted string) string {
	s.t.Helper()
	var says string
	eventually(s.t, func() error {
		if says = s.says(name, conditionType); !strings.HasPrefix(says, wanted+":") {
			return fmt.Errorf("%s of %s is %q, want %s", conditionType, name, says, wanted)
		}
		return nil
	})
	return says
}

// expectHonoured waits until workloads read a token that the platform honours, and that is another than before.
func (s *shop) expectHonoured(name, platform, before string) {
	s.t.Helper()
	s.expect(name, v1alpha1.ConditionReady, "True TokenValid")
	eventually(s.t, func() error {
		token := string(s.token(name)[v1alpha1.TokenKeyAccessToken])
		if token == before || !s.market.Platform(platform).AccessTokenValid(token) {
			return fmt.Errorf("%s holds no new token that the marketplace honours: %s", name, s.says(name, v1alpha1.ConditionAuthenticated))
		}
		return nil
	})
}

// renew asks for a renewal, and waits until workloads have its token.
func (s *shop) renew(name, platform, request string) {
	s.t.Helper()
	before := string(s.token(name)[v1alpha1.TokenKeyAccessToken])
	s.annotate(name, v1alpha1.AnnotationRenew, request)
	s.expectHonoured(name, platform, before)
}
