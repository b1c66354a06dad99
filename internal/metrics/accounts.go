package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

var (
	accountLabels = []string{"namespace", "name", "marketplace"}

	conditionDesc = prometheus.NewDesc("tokenkeeper_account_condition",
		"1 for the status that a condition of an account has.", append(accountLabels, "type", "status"), nil)
	expirationDesc = prometheus.NewDesc("tokenkeeper_access_token_expiration_timestamp_seconds",
		"When the published token of an account expires.", accountLabels, nil)
	renewalDesc = prometheus.NewDesc("tokenkeeper_access_token_renewal_timestamp_seconds",
		"When the published token of an account will be renewed.", accountLabels, nil)
	authorizationDesc = prometheus.NewDesc("tokenkeeper_authorization_expiration_timestamp_seconds",
		"When the authorization of an account ends; absent where nothing ends.", accountLabels, nil)
	applicationDesc = prometheus.NewDesc("tokenkeeper_application_secret_expiration_timestamp_seconds",
		"When the client secret that an account uses ends; absent where nothing ends.", accountLabels, nil)
)

// accounts exports the state of every account in the cache.
type accounts struct{ cache client.Reader }

// RegisterAccounts registers the per-account gauges, read from cache at each scrape.
func RegisterAccounts(registry prometheus.Registerer, cache client.Reader) {
	registry.MustRegister(accounts{cache})
}

// Describe implements prometheus.Collector.
func (a accounts) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{conditionDesc, expirationDesc, renewalDesc, authorizationDesc, applicationDesc} {
		descs <- desc
	}
}

// Collect implements prometheus.Collector.
func (a accounts) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), timeouts.Scrape) //nolint:forbidigo // a Collector is given no context
	defer cancel()
	var list v1alpha1.MarketplaceAccountList
	if err := a.cache.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		out <- prometheus.NewInvalidMetric(conditionDesc, err)
		return
	}
	for i := range list.Items {
		collect(&list.Items[i], out)
	}
}

func collect(account *v1alpha1.MarketplaceAccount, out chan<- prometheus.Metric) {
	labels := []string{account.Namespace, account.Name, account.Spec.MarketplaceRef.Name}
	for _, condition := range account.Status.Conditions {
		out <- prometheus.MustNewConstMetric(conditionDesc, prometheus.GaugeValue, 1,
			append(labels[:3:3], condition.Type, string(condition.Status))...)
	}
	moment := func(desc *prometheus.Desc, at metav1.Time) {
		if !at.IsZero() {
			out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, float64(at.Unix()), labels...)
		}
	}
	if token := account.Status.AccessToken; token != nil {
		moment(expirationDesc, token.ExpirationTime)
		moment(renewalDesc, token.RenewalTime)
	}
	if authorization := account.Status.Authorization; authorization != nil {
		moment(authorizationDesc, authorization.ExpirationTime)
	}
	if application := account.Status.Application; application != nil {
		moment(applicationDesc, application.SecretExpirationTime)
	}
}
