package inputs

import (
	"context"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// A Secret of another namespace may be there and still not be the operator's to read.
func TestAUserSecretThatMayNotBeRead(t *testing.T) {
	g := NewWithT(t)
	forbidding := interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return apierrors.NewForbidden(corev1.Resource("secrets"), "app", nil)
		},
	})
	named := namedSecret{key: client.ObjectKey{Namespace: "apps", Name: "app"}, field: "the application", use: tokensecret.UseOfMarketplace}
	failure, err := named.failure((&usersecrets.Cache{Metadata: forbidding, Live: forbidding}).Get(t.Context(), named.key, named.use, ""))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(failure.Reason).To(Equal(v1alpha1.ReasonSecretNotFound))
	g.Expect(failure.Message).To(HavePrefix(`the application: the operator may not read Secret "app" in namespace "apps"`))
}
