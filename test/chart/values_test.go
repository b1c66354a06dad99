package chart_test

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	controlplane "github.com/tokenkeeper/tokenkeeper/internal/operator"
)

// What each value does. The checks of a row get everything that the chart makes with it.
var matrix = map[string]struct {
	values string
	check  func(t *testing.T, made objects)
}{
	"defaults": {"", func(t *testing.T, made objects) {
		want(t, pod(t, made).Containers[0].Image, "ghcr.io/tokenkeeper/tokenkeeper:v0.1.0-dev")
		for _, none := range []string{"Ingress", "HTTPRoute", "NetworkPolicy", "PodDisruptionBudget", "ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"} {
			if slices.ContainsFunc(made, func(object map[string]any) bool { return object["kind"] == none }) {
				t.Errorf("there is a %s that nobody asked for", none)
			}
		}
	}},
	"image from a mirror": {"image: {registry: mirror.example.com, tag: v1}", func(t *testing.T, made objects) {
		want(t, pod(t, made).Containers[0].Image, "mirror.example.com/tokenkeeper/tokenkeeper:v1")
	}},
	"image without a registry": {"image: {registry: '', repository: tokenkeeper, tag: dev, pullPolicy: Never}", func(t *testing.T, made objects) {
		want(t, pod(t, made).Containers[0].Image, "tokenkeeper:dev")
		want(t, pod(t, made).Containers[0].ImagePullPolicy, corev1.PullNever)
	}},
	"image by digest": {"image: {tag: v1, digest: 'sha256:" + strings.Repeat("0", 64) + "'}", func(t *testing.T, made objects) {
		want(t, pod(t, made).Containers[0].Image, "ghcr.io/tokenkeeper/tokenkeeper@sha256:"+strings.Repeat("0", 64))
	}},
	"credentials of the registry": {"imagePullSecrets: [{name: one}]\nglobal: {imagePullSecrets: [{name: two}, {name: one}]}", func(t *testing.T, made objects) {
		want(t, len(pod(t, made).ImagePullSecrets), 2)
	}},
	"replicas": {"replicas: 3", func(t *testing.T, made objects) {
		want(t, *get[appsv1.Deployment](t, made, deployment).Spec.Replicas, 3)
		budget := get[policyv1.PodDisruptionBudget](t, made, "PodDisruptionBudget tokenkeeper-system/tokenkeeper")
		want(t, budget.Spec.MaxUnavailable.IntValue(), 1)
	}},
	"one replica may be drained": {"replicas: 1", func(t *testing.T, made objects) {
		want(t, made.has("PodDisruptionBudget tokenkeeper-system/tokenkeeper"), false)
	}},
	"memory in MiB":       {"resources: {limits: {memory: 1000Mi}}", func(t *testing.T, made objects) { want(t, env(t, made, "GOMEMLIMIT"), "900MiB") }},
	"memory in GiB":       {"resources: {limits: {memory: 1.5Gi}}", func(t *testing.T, made objects) { want(t, env(t, made, "GOMEMLIMIT"), "1382MiB") }},
	"memory in bytes":     {"resources: {limits: {memory: 1048576000}}", func(t *testing.T, made objects) { want(t, env(t, made, "GOMEMLIMIT"), "900MiB") }},
	"memory in megabytes": {"resources: {limits: {memory: 1G}}", func(t *testing.T, made objects) { want(t, env(t, made, "GOMEMLIMIT"), "858MiB") }},
	"memory without a limit": {"resources: {limits: null}", func(t *testing.T, made objects) {
		want(t, env(t, made, "GOMEMLIMIT"), "")
	}},
	"kinds are kept": {"", func(t *testing.T, made objects) {
		for _, object := range kinds(made) {
			want(t, annotations(object)["helm.sh/resource-policy"], any("keep"))
		}
		want(t, len(kinds(made)), 2)
	}},
	"kinds go with the release": {"crds: {keep: false}", func(t *testing.T, made objects) {
		for _, object := range kinds(made) {
			want(t, annotations(object)["helm.sh/resource-policy"], nil)
		}
		want(t, len(kinds(made)), 2)
	}},
	"kinds are somebody else's": {"crds: {enabled: false}", func(t *testing.T, made objects) { want(t, len(kinds(made)), 0) }},
	"a key of custody of its own": {"", func(t *testing.T, made objects) {
		secret := get[corev1.Secret](t, made, "Secret tokenkeeper-system/tokenkeeper-custody-key")
		want(t, len(secret.Data)+len(secret.StringData), 0)
		want(t, secret.Annotations["helm.sh/resource-policy"], "keep")
		want(t, slices.Contains(pod(t, made).Containers[0].Args, "--custody-key-secret=tokenkeeper-custody-key"), true)
	}},
	"a shared key of custody": {"custodyKeySecret: shared-key", func(t *testing.T, made objects) {
		for _, object := range made {
			if object["kind"] == "Secret" {
				t.Errorf("%s is made, too", id(object))
			}
		}
		role := get[rbacv1.Role](t, made, "Role tokenkeeper-system/tokenkeeper")
		want(t, slices.ContainsFunc(role.Rules, func(rule rbacv1.PolicyRule) bool { return slices.Equal(rule.ResourceNames, []string{"shared-key"}) }), true)
		want(t, slices.Contains(pod(t, made).Containers[0].Args, "--custody-key-secret=shared-key"), true)
	}},
	"accounts with a label": {"watch: {labelSelector: 'shard in (a, b)'}", func(t *testing.T, made objects) {
		wantArg(t, made, "--watch-label-selector=shard in (a, b)")
		want(t, get[appsv1.Deployment](t, made, deployment).Spec.Strategy.Type, appsv1.RecreateDeploymentStrategyType)
	}},
	"a portal": {"portal: {url: 'https://tokens.example.com'}", func(t *testing.T, made objects) {
		wantArg(t, made, "--portal-url=https://tokens.example.com")
	}},
	"a portal in pods of its own": {"portal: {url: 'https://tokens.example.com', replicas: 2, resources: {limits: {memory: 100Mi}}}\nnetworkPolicy: {ingress: {enabled: true, portal: [{podSelector: {}}]}, egress: {enabled: true}}", func(t *testing.T, made objects) {
		operator, pages := get[appsv1.Deployment](t, made, deployment), get[appsv1.Deployment](t, made, deployment+"-portal")
		want(t, strings.Join(lastOf(operator, "--portal-only", "--portal-bind-address", "--portal-url", "--leader-elect"), " "), "--leader-elect --portal-bind-address=0 --portal-url=https://tokens.example.com")
		want(t, strings.Join(lastOf(pages, "--portal-only", "--portal-bind-address", "--portal-url", "--leader-elect"), " "), "--portal-only --portal-bind-address=:8082 --portal-url=https://tokens.example.com")
		want(t, *pages.Spec.Replicas, 2)
		want(t, len(operator.Spec.Template.Spec.Containers[0].Ports), 2)
		want(t, len(pages.Spec.Template.Spec.Containers[0].Ports), 3)
		want(t, env(t, objects{made.one(t, deployment+"-portal")}, "GOMEMLIMIT"), "90MiB")
		want(t, env(t, made, "GOMEMLIMIT"), "460MiB")
		want(t, pages.Spec.Template.Spec.ServiceAccountName, "tokenkeeper-portal")
		want(t, made.has("ServiceAccount tokenkeeper-system/tokenkeeper-portal"), true)
		want(t, get[rbacv1.ClusterRoleBinding](t, made, "ClusterRoleBinding tokenkeeper-portal").Subjects[0].Name, "tokenkeeper-portal")
		want(t, get[policyv1.PodDisruptionBudget](t, made, "PodDisruptionBudget tokenkeeper-system/tokenkeeper-portal").Spec.MaxUnavailable.IntValue(), 1)
		portalLabels := fmt.Sprint(pages.Spec.Selector.MatchLabels)
		want(t, fmt.Sprint(get[corev1.Service](t, made, "Service tokenkeeper-system/tokenkeeper-portal").Spec.Selector), portalLabels)
		want(t, fmt.Sprint(get[corev1.Service](t, made, "Service tokenkeeper-system/tokenkeeper-metrics").Spec.Selector), fmt.Sprint(operator.Spec.Selector.MatchLabels))
		want(t, fmt.Sprint(get[corev1.Service](t, made, "Service tokenkeeper-system/tokenkeeper-portal-metrics").Spec.Selector), portalLabels)
		want(t, portalLabels != fmt.Sprint(operator.Spec.Selector.MatchLabels), true)
		want(t, len(get[networkingv1.NetworkPolicy](t, made, "NetworkPolicy tokenkeeper-system/tokenkeeper-ingress").Spec.Ingress), 1)
		policy := get[networkingv1.NetworkPolicy](t, made, "NetworkPolicy tokenkeeper-system/tokenkeeper-portal-ingress")
		want(t, fmt.Sprint(policy.Spec.PodSelector.MatchLabels), portalLabels)
		want(t, len(policy.Spec.Ingress), 2)
		egress := get[networkingv1.NetworkPolicy](t, made, "NetworkPolicy tokenkeeper-system/tokenkeeper-egress").Spec.PodSelector
		want(t, strings.Join(egress.MatchExpressions[0].Values, " "), "tokenkeeper tokenkeeper-portal")
	}},
	"a portal in the operator's pods": {"portal: {url: 'https://tokens.example.com', separate: false}\nreplicas: 2", func(t *testing.T, made objects) {
		want(t, made.has(deployment+"-portal"), false)
		want(t, made.has("ClusterRole tokenkeeper-portal"), false)
		want(t, made.has("Service tokenkeeper-system/tokenkeeper-portal-metrics"), false)
		operator := get[appsv1.Deployment](t, made, deployment)
		want(t, strings.Join(lastOf(operator, "--portal-only", "--portal-bind-address"), " "), "--portal-bind-address=:8082")
		want(t, fmt.Sprint(get[corev1.Service](t, made, "Service tokenkeeper-system/tokenkeeper-portal").Spec.Selector), fmt.Sprint(operator.Spec.Selector.MatchLabels))
	}},
	"a portal without an address is the operator's": {"portal: {replicas: 2}", func(t *testing.T, made objects) {
		want(t, made.has(deployment+"-portal"), false)
	}},
	"a portal apart with a ServiceAccount that is there": {"portal: {url: 'https://a.example'}\nserviceAccount: {create: false, name: mine}", func(t *testing.T, made objects) {
		want(t, made.has("ServiceAccount tokenkeeper-system/mine-portal"), false)
		want(t, get[appsv1.Deployment](t, made, deployment+"-portal").Spec.Template.Spec.ServiceAccountName, "mine-portal")
	}},
	"who runs the portal": {"portal: {organisation: 'Müller & \"Söhne\" $(HOME)', contact: it@example.com}", func(t *testing.T, made objects) {
		wantArg(t, made, `--portal-organisation=Müller & "Söhne" $$(HOME)`)
		wantArg(t, made, "--portal-contact=it@example.com")
	}},
	"nobody says who runs the portal": {"", func(t *testing.T, made objects) {
		for _, arg := range pod(t, made).Containers[0].Args {
			want(t, strings.HasPrefix(arg, "--portal-organisation") || strings.HasPrefix(arg, "--portal-contact"), false)
		}
	}},
	"metrics are secured": {"metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}}}", func(t *testing.T, made objects) {
		wantArg(t, made, "--metrics-secure=true")
		endpoint := wantMonitor(t, made, "ServiceMonitor", "endpoints", "30s")
		want(t, endpoint["scheme"], any("https"))
		want(t, endpoint["bearerTokenFile"], any("/var/run/secrets/kubernetes.io/serviceaccount/token"))
		want(t, fmt.Sprint(endpoint["tlsConfig"]), "map[insecureSkipVerify:true]")
		reader := get[rbacv1.ClusterRole](t, made, "ClusterRole tokenkeeper-metrics-reader")
		want(t, fmt.Sprint(reader.Rules[0].Verbs, reader.Rules[0].NonResourceURLs), "[get] [/metrics]")
	}},
	"metrics are for everybody": {"metrics: {secure: false, serviceMonitor: {enabled: true, labels: {release: prometheus}}}", func(t *testing.T, made objects) {
		wantArg(t, made, "--metrics-secure=false")
		endpoint := wantMonitor(t, made, "ServiceMonitor", "endpoints", "30s")
		for _, none := range []string{"scheme", "bearerTokenFile", "tlsConfig", "authorization"} {
			want(t, endpoint[none], nil)
		}
	}},
	"a ServiceMonitor with a token of its own": {`
metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}, authorization: {credentials: {name: scraper, key: token}}}}`, func(t *testing.T, made objects) {
		endpoint := wantMonitor(t, made, "ServiceMonitor", "endpoints", "30s")
		want(t, fmt.Sprint(endpoint["authorization"]), "map[credentials:map[key:token name:scraper]]")
		want(t, endpoint["bearerTokenFile"], nil)
	}},
	"Secrets say what they may be used as": {"", func(t *testing.T, made objects) { wantArg(t, made, "--require-use-label=true") }},
	"Secrets need not say what they may be used as": {"requireUseLabel: false", func(t *testing.T, made objects) {
		wantArg(t, made, "--require-use-label=false")
	}},
	"links of sign-ins stand in the status": {"", func(t *testing.T, made objects) { wantArg(t, made, "--sign-in-links=Status") }},
	"links of sign-ins stand in Secrets":    {"signInLinks: Secret", func(t *testing.T, made objects) { wantArg(t, made, "--sign-in-links=Secret") }},
	"proxies in front of the portal": {"portal: {url: 'https://a.example', trustedProxies: [10.0.0.0/8, '::1']}", func(t *testing.T, made objects) {
		wantArg(t, made, "--trusted-proxies=10.0.0.0/8,::1")
	}},
	"an Ingress exposes what links need and no more": {`
portal:
  url: https://tokens.example.com:8443
  ingress: {enabled: true, className: public, annotations: {a: b}, tlsSecretName: tls}`, func(t *testing.T, made objects) {
		ingress := get[networkingv1.Ingress](t, made, "Ingress tokenkeeper-system/tokenkeeper-portal")
		want(t, strings.Join(ingressPaths(ingress), " "), "/sign-in/ /callback/ /done/")
		want(t, ingress.Spec.Rules[0].Host, "tokens.example.com")
		want(t, ingress.Spec.TLS[0].SecretName, "tls")
		want(t, *ingress.Spec.IngressClassName, "public")
		want(t, ingress.Annotations["a"], "b")
		want(t, made.has("Ingress tokenkeeper-system/tokenkeeper-portal-internal"), false)
	}},
	"the rest has an Ingress of its own": {`
portal:
  url: https://tokens.example.com
  ingress: {enabled: true, internal: {enabled: true, className: intranet, host: tokens.corp}}`, func(t *testing.T, made objects) {
		ingress := get[networkingv1.Ingress](t, made, "Ingress tokenkeeper-system/tokenkeeper-portal-internal")
		want(t, strings.Join(ingressPaths(ingress), " "), "/")
		want(t, ingress.Spec.Rules[0].Host, "tokens.corp")
		want(t, *ingress.Spec.IngressClassName, "intranet")
	}},
	"an HTTPRoute exposes what links need and no more": {`
portal:
  url: https://tokens.example.com
  httpRoute:
    enabled: true
    parentRefs: [{name: public, namespace: gateways}]
    internal: {enabled: true, parentRefs: [{name: private}]}`, func(t *testing.T, made objects) {
		want(t, strings.Join(routePaths(t, made, "tokenkeeper-portal"), " "), "/sign-in/ /callback/ /done/")
		want(t, strings.Join(routePaths(t, made, "tokenkeeper-portal-internal"), " "), "/")
	}},
	"annotations of the portal's Service": {"portal: {service: {annotations: {a: b}}}", func(t *testing.T, made objects) {
		want(t, get[corev1.Service](t, made, "Service tokenkeeper-system/tokenkeeper-portal").Annotations["a"], "b")
	}},
	"Service of the metrics": {"metrics: {service: {port: 9000, annotations: {prometheus.io/scrape: 'true'}}}", func(t *testing.T, made objects) {
		service := get[corev1.Service](t, made, "Service tokenkeeper-system/tokenkeeper-metrics")
		want(t, service.Spec.Ports[0].Port, 9000)
		want(t, service.Annotations["prometheus.io/scrape"], "true")
	}},
	"no Service of the metrics": {"metrics: {service: {enabled: false}}", func(t *testing.T, made objects) {
		want(t, made.has("Service tokenkeeper-system/tokenkeeper-metrics"), false)
	}},
	"ServiceMonitor": {"metrics: {serviceMonitor: {enabled: true, labels: {release: prometheus}, interval: 15s}}", func(t *testing.T, made objects) {
		wantMonitor(t, made, "ServiceMonitor", "endpoints", "15s")
	}},
	"PodMonitor": {"metrics: {podMonitor: {enabled: true, labels: {release: prometheus}, authorization: {credentials: {name: scraper, key: token}}}}", func(t *testing.T, made objects) {
		endpoint := wantMonitor(t, made, "PodMonitor", "podMetricsEndpoints", "30s")
		want(t, endpoint["scheme"], any("https"))
		want(t, fmt.Sprint(endpoint["authorization"]), "map[credentials:map[key:token name:scraper]]")
	}},
	"PodMonitor of metrics for everybody": {"metrics: {secure: false, podMonitor: {enabled: true, labels: {release: prometheus}}}", func(t *testing.T, made objects) {
		want(t, wantMonitor(t, made, "PodMonitor", "podMetricsEndpoints", "30s")["scheme"], nil)
	}},
	"alerts": {"alerts: {enabled: true, labels: {release: prometheus}, exclude: [TokenkeeperMarketplaceThrottling], runbooks: 'https://wiki.example.com/'}", func(t *testing.T, made objects) {
		wantAlerts(t, made, "https://wiki.example.com/", "TokenkeeperMarketplaceThrottling")
	}},
	"a dashboard": {"dashboard: {enabled: true, labels: {team: shop}, annotations: {grafana_folder: Tokens}}", func(t *testing.T, made objects) {
		board := get[corev1.ConfigMap](t, made, "ConfigMap tokenkeeper-system/tokenkeeper-dashboard")
		want(t, board.Labels["grafana_dashboard"]+board.Labels["team"]+board.Annotations["grafana_folder"], "1shopTokens")
		text, err := os.ReadFile(filepath.Join(root, "config", "components", "dashboard", "tokenkeeper.json"))
		want(t, err, nil)
		want(t, strings.TrimSpace(board.Data["tokenkeeper.json"]), strings.TrimSpace(string(text)))
	}},
	"all alerts": {"alerts: {enabled: true}", func(t *testing.T, made objects) {
		wantAlerts(t, made, "https://github.com/tokenkeeper/tokenkeeper/blob/main/docs/runbooks/", "")
	}},
	"who may connect": {`
networkPolicy:
  ingress:
    enabled: true
    portal: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: ingress}}}]
    metrics: [{podSelector: {}}]`, func(t *testing.T, made objects) {
		policy := get[networkingv1.NetworkPolicy](t, made, "NetworkPolicy tokenkeeper-system/tokenkeeper-ingress")
		want(t, len(policy.Spec.Ingress), 3)
		want(t, len(policy.Spec.PolicyTypes), 1)
		want(t, made.has("NetworkPolicy tokenkeeper-system/tokenkeeper-egress"), false)
	}},
	"where the operator may connect to": {`
networkPolicy: {egress: {enabled: true, apiServerCIDRs: [10.0.0.1/32], extra: [{ports: [{port: 3128}]}]}}`, func(t *testing.T, made objects) {
		policy := get[networkingv1.NetworkPolicy](t, made, "NetworkPolicy tokenkeeper-system/tokenkeeper-egress")
		want(t, len(policy.Spec.Egress), 4)
		want(t, policy.Spec.Egress[1].To[0].IPBlock.CIDR, "10.0.0.1/32")
		want(t, policy.Spec.Egress[1].Ports[1].Port.IntValue(), 6443)
		want(t, made.has("NetworkPolicy tokenkeeper-system/tokenkeeper-ingress"), false)
	}},
	"a proxy, and the API server without it": {"proxy: {https: 'http://proxy:3128', http: 'http://proxy:3129', noProxy: [.corp]}", func(t *testing.T, made objects) {
		want(t, env(t, made, "HTTPS_PROXY"), "http://proxy:3128")
		want(t, env(t, made, "HTTP_PROXY"), "http://proxy:3129")
		direct := strings.Split(env(t, made, "NO_PROXY"), ",")
		for _, host := range []string{"$(KUBERNETES_SERVICE_HOST)", ".svc", "localhost", ".corp"} {
			want(t, slices.Contains(direct, host), true)
		}
	}},
	"certificate authorities as a value": {"caBundle: {pem: 'PEM'}", func(t *testing.T, made objects) {
		want(t, strings.TrimSpace(get[corev1.ConfigMap](t, made, "ConfigMap tokenkeeper-system/tokenkeeper-ca").Data["ca.crt"]), "PEM")
		want(t, pod(t, made).Volumes[0].ConfigMap.Name, "tokenkeeper-ca")
		want(t, pod(t, made).Containers[0].VolumeMounts[0].MountPath, "/etc/tokenkeeper/ca")
		want(t, env(t, made, "SSL_CERT_DIR"), "/etc/ssl/certs:/etc/tokenkeeper/ca")
		if get[appsv1.Deployment](t, made, deployment).Spec.Template.Annotations["checksum/ca"] == "" {
			t.Error("a change of the authorities must start the operator anew")
		}
	}},
	"certificate authorities in a ConfigMap": {"caBundle: {configMapName: corp}", func(t *testing.T, made objects) {
		want(t, pod(t, made).Volumes[0].ConfigMap.Name, "corp")
	}},
	"certificate authorities in a Secret": {"caBundle: {secretName: corp}", func(t *testing.T, made objects) {
		want(t, pod(t, made).Volumes[0].Secret.SecretName, "corp")
	}},
	"a ServiceAccount of another name": {"serviceAccount: {name: other, annotations: {a: b}}", func(t *testing.T, made objects) {
		want(t, get[corev1.ServiceAccount](t, made, "ServiceAccount tokenkeeper-system/other").Annotations["a"], "b")
		want(t, pod(t, made).ServiceAccountName, "other")
	}},
	"a ServiceAccount that is there": {"serviceAccount: {create: false, name: mine}", func(t *testing.T, made objects) {
		want(t, made.has("ServiceAccount tokenkeeper-system/mine"), false)
		want(t, pod(t, made).ServiceAccountName, "mine")
	}},
	"where pods go": {`
nodeSelector: {zone: a}
tolerations: [{key: b, operator: Exists}]
affinity: {nodeAffinity: {}}
topologySpreadConstraints: [{maxSkew: 1, topologyKey: zone, whenUnsatisfiable: DoNotSchedule}]
priorityClassName: high
hostAliases: [{ip: 10.0.0.1, hostnames: [allegro.pl]}]`, func(t *testing.T, made objects) {
		spec := pod(t, made)
		want(t, spec.NodeSelector["zone"], "a")
		want(t, spec.Tolerations[0].Key, "b")
		want(t, spec.Affinity.NodeAffinity != nil, true)
		want(t, spec.TopologySpreadConstraints[0].TopologyKey, "zone")
		want(t, spec.PriorityClassName, "high")
		want(t, spec.HostAliases[0].Hostnames[0], "allegro.pl")
	}},
	"labels and annotations": {`
commonLabels: {team: shop}
commonAnnotations: {note: common}
podAnnotations: {note: pod}
deploymentAnnotations: {note: deployment}`, func(t *testing.T, made objects) {
		for _, object := range made {
			labels, _ := metadata(object)["labels"].(map[string]any)
			want(t, labels["team"], any("shop"))
			if object["kind"] != "Deployment" {
				want(t, annotations(object)["note"], any("common"))
			}
		}
		made1 := get[appsv1.Deployment](t, made, deployment)
		want(t, made1.Annotations["note"], "deployment")
		want(t, made1.Spec.Template.Annotations["note"], "pod")
		want(t, made1.Spec.Template.Labels["team"], "shop")
		want(t, made1.Spec.Selector.MatchLabels["team"], "") // it must not change with a value
	}},
	"extras": {`
extraArgs: [--zap-log-level=debug]
extraEnv: [{name: TZ, value: Europe/Warsaw}]
extraVolumes: [{name: more, emptyDir: {}}]
extraVolumeMounts: [{name: more, mountPath: /more}]
extraContainers: [{name: beside, image: beside:1}]
extraObjects:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: map, namespace: '{{ .Release.Namespace }}'}}
- |
  apiVersion: v1
  kind: ConfigMap
  metadata: {name: text}`, func(t *testing.T, made objects) {
		spec := pod(t, made)
		want(t, spec.Containers[0].Args[len(spec.Containers[0].Args)-1], "--zap-log-level=debug")
		want(t, env(t, made, "TZ"), "Europe/Warsaw")
		want(t, spec.Volumes[0].Name, "more")
		want(t, spec.Containers[0].VolumeMounts[0].MountPath, "/more")
		want(t, spec.Containers[1].Name, "beside")
		want(t, made.has("ConfigMap tokenkeeper-system/map"), true)
		want(t, made.has("ConfigMap text"), true)
	}},
	"another name": {"fullnameOverride: keeper", func(t *testing.T, made objects) {
		want(t, made.has("Deployment tokenkeeper-system/keeper"), true)
		want(t, made.has("ClusterRole keeper"), true)
	}},
	"another name for a part": {"nameOverride: other", func(t *testing.T, made objects) {
		want(t, made.has("Deployment tokenkeeper-system/tokenkeeper-other"), true)
	}},
}

func TestValues(t *testing.T) {
	everyHelm(t, func(t *testing.T, helm string) {
		for name, row := range matrix {
			t.Run(name, func(t *testing.T) {
				made := render(t, helm, operator, row.values)
				row.check(t, made)
				checkAlways(t, made)
			})
		}
	})
}

// checkAlways checks the rules that hold with any values.
func checkAlways(t *testing.T, made objects) {
	t.Helper()
	seen := map[string]bool{}
	for _, object := range made {
		if seen[id(object)] {
			t.Errorf("there are two of %s", id(object))
		}
		seen[id(object)] = true
		switch object["kind"] {
		case "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration", "Job", "CronJob", "APIService":
			t.Errorf("%s can fail, and with it an installation or every change of an account", id(object))
		}
		for name := range annotations(object) {
			if strings.HasPrefix(name, "helm.sh/hook") {
				t.Errorf("%s is a hook", id(object))
			}
		}
	}
	for _, object := range made {
		if object["kind"] != "Deployment" {
			continue
		}
		var flags flag.FlagSet
		flags.SetOutput(io.Discard)
		if _, err := controlplane.Parse(&flags, pod(t, objects{object}).Containers[0].Args); err != nil {
			t.Errorf("the operator refuses its arguments: %v", err)
		}
	}
}

func want[T comparable](t *testing.T, got, wanted T) {
	t.Helper()
	if got != wanted {
		t.Errorf("it is %v, want %v", got, wanted)
	}
}

// lastOf are those arguments of a Deployment that are one of some flags; of each the last one, which counts.
func lastOf(deployment appsv1.Deployment, flags ...string) []string {
	var found []string
	args := deployment.Spec.Template.Spec.Containers[0].Args
	for i, arg := range args {
		name, _, _ := strings.Cut(arg, "=")
		again := slices.ContainsFunc(args[i+1:], func(later string) bool { return later == name || strings.HasPrefix(later, name+"=") })
		if slices.Contains(flags, name) && !again {
			found = append(found, arg)
		}
	}
	return found
}

// pod is the specification of the operator's pods.
func pod(t *testing.T, made objects) corev1.PodSpec {
	t.Helper()
	for _, object := range made {
		if object["kind"] == "Deployment" {
			return get[appsv1.Deployment](t, made, id(object)).Spec.Template.Spec
		}
	}
	t.Fatal("there is no Deployment")
	return corev1.PodSpec{}
}

// env is the value of an environment variable of the operator; empty where there is none.
func env(t *testing.T, made objects, name string) string {
	t.Helper()
	for _, variable := range pod(t, made).Containers[0].Env {
		if variable.Name == name {
			return variable.Value
		}
	}
	return ""
}

func wantArg(t *testing.T, made objects, arg string) {
	t.Helper()
	if args := pod(t, made).Containers[0].Args; !slices.Contains(args, arg) {
		t.Errorf("the arguments are %q, without %q", args, arg)
	}
}

// kinds are the custom resource definitions.
func kinds(made objects) objects {
	return slices.DeleteFunc(slices.Clone(made), func(object map[string]any) bool { return object["kind"] != "CustomResourceDefinition" })
}

func ingressPaths(ingress networkingv1.Ingress) []string {
	var paths []string
	for _, path := range ingress.Spec.Rules[0].HTTP.Paths {
		paths = append(paths, path.Path)
	}
	return paths
}

// routePaths are the paths of an HTTPRoute, whose Go types are not worth a dependency.
func routePaths(t *testing.T, made objects, name string) []string {
	t.Helper()
	route := get[struct {
		APIVersion, Kind string
		Metadata         map[string]any
		Spec             struct {
			ParentRefs []map[string]any
			Hostnames  []string
			Rules      []struct {
				Matches     []struct{ Path struct{ Type, Value string } }
				BackendRefs []map[string]any
			}
		}
	}](t, made, "HTTPRoute tokenkeeper-system/"+name)
	want(t, strings.Join(route.Spec.Hostnames, " "), "tokens.example.com")
	want(t, len(route.Spec.ParentRefs), 1)
	var paths []string
	for _, match := range route.Spec.Rules[0].Matches {
		paths = append(paths, match.Path.Value)
	}
	return paths
}

// wantMonitor checks a monitor of the Prometheus operator, and returns its endpoint.
func wantMonitor(t *testing.T, made objects, kind, endpoints, interval string) map[string]any {
	t.Helper()
	monitor := get[map[string]any](t, made, kind+" tokenkeeper-system/tokenkeeper")
	labels, _ := metadata(monitor)["labels"].(map[string]any)
	want(t, labels["release"], any("prometheus"))
	spec, _ := monitor["spec"].(map[string]any)
	listed, _ := spec[endpoints].([]any)
	if len(listed) != 1 {
		t.Fatalf("it scrapes %v", listed)
	}
	endpoint, _ := listed[0].(map[string]any)
	want(t, endpoint["port"], any("metrics"))
	want(t, endpoint["honorLabels"], any(true))
	want(t, endpoint["interval"], any(interval))
	return endpoint
}
