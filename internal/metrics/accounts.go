package metrics

import (
	"cmp"
	"context"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/timeouts"
)

var (
	accountLabels = []string{"namespace", "name", "marketplace"}

	conditionDesc = prometheus.NewDesc("tokenkeeper_account_condition",
		"1 for the status that a condition of an account has.", append(accountLabels[:3:3], "type", "status"), nil)
	reasonDesc = prometheus.NewDesc("tokenkeeper_account_reason",
		"1 for the reason that a condition of an account has.", append(accountLabels[:3:3], "type", "reason"), nil)
	infoDesc = prometheus.NewDesc("tokenkeeper_account_info",
		"1, with what the spec of an account says: its environment, its grant and whether it is renewed.",
		append(accountLabels[:3:3], "environment", "grant", "policy"), nil)
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
	for _, desc := range []*prometheus.Desc{
		conditionDesc, reasonDesc, infoDesc, expirationDesc, renewalDesc, authorizationDesc, applicationDesc,
	} {
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
	// In the order in which they are served: the registry sorts every series, which costs little when they come sorted.
	order := make([]*v1alpha1.MarketplaceAccount, 0, len(list.Items))
	for i := range list.Items {
		order = append(order, &list.Items[i])
	}
	slices.SortFunc(order, func(a, b *v1alpha1.MarketplaceAccount) int {
		return cmp.Or(cmp.Compare(a.Spec.MarketplaceRef.Name, b.Spec.MarketplaceRef.Name), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Namespace, b.Namespace))
	})
	known := pairs{}
	for _, account := range order {
		collect(account, known, out)
	}
}

// pairs are labels that many series have, each once.
type pairs map[[2]string]*dto.LabelPair

func (p pairs) of(name, value string) *dto.LabelPair {
	key := [2]string{name, value}
	if p[key] == nil {
		p[key] = &dto.LabelPair{Name: &key[0], Value: &key[1]}
	}
	return p[key]
}

// sample is a gauge of an account. Its labels stand in alphabetical order, and the account's other series share them.
type sample struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	value  float64
}

// Desc implements prometheus.Metric.
func (s sample) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s sample) Write(into *dto.Metric) error {
	into.Label, into.Gauge = s.labels, &dto.Gauge{Value: &s.value}
	return nil
}

func collect(account *v1alpha1.MarketplaceAccount, known pairs, out chan<- prometheus.Metric) {
	label := func(name, value string) *dto.LabelPair { return &dto.LabelPair{Name: &name, Value: &value} }
	marketplace, name, namespace := known.of("marketplace", account.Spec.MarketplaceRef.Name), label("name", account.Name), known.of("namespace", account.Namespace)
	own := []*dto.LabelPair{marketplace, name, namespace}
	spec := &account.Spec
	out <- sample{infoDesc, []*dto.LabelPair{
		known.of("environment", spec.Environment), known.of("grant", string(spec.Grant.Type)), marketplace, name, namespace,
		known.of("policy", string(spec.Renewal.Policy)),
	}, 1}
	for _, condition := range account.Status.Conditions {
		kind := known.of("type", condition.Type)
		out <- sample{conditionDesc, append(own[:3:3], known.of("status", string(condition.Status)), kind), 1}
		if condition.Reason != "" {
			out <- sample{reasonDesc, append(own[:3:3], known.of("reason", condition.Reason), kind), 1}
		}
	}
	moment := func(desc *prometheus.Desc, at metav1.Time) {
		if !at.IsZero() {
			out <- sample{desc, own, float64(at.Unix())}
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
