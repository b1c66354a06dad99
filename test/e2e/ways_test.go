package e2e_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

const (
	// portal is where people reach the portal, by the ingress.
	portal = "https://tokens.example.com"
	// marketplace is where everybody reaches the demo marketplace.
	marketplace = "https://demo-marketplace.tokenkeeper-demo.svc"
)

// way is one to install.
type way struct {
	name string
	// install installs one replica with everything that docs/install.md tells to. upgrade changes that to two, with another contact of the
	// portal, which starts every pod anew. uninstall takes the operator away, and nothing else.
	install, upgrade, uninstall func(c *cluster)
}

func ways(c *cluster) []way {
	return []way{helmWay(c.helms["3"], "Helm 3"), helmWay(c.helms["4"], "Helm 4"), kustomizeWay()}
}

func helmWay(helm, name string) way {
	release := func(c *cluster, values string) {
		c.helm(helm, "tokenkeeper", values)
	}
	return way{
		name: name,
		install: func(c *cluster) {
			saw("%s: version %s", name, strings.TrimSpace(c.try(helm, "version", "--short")))
			release(c, c.values(1, "help@example.com"))
			c.waitForKinds()
			c.helm(helm, "tokenkeeper-marketplaces", c.marketplaceValues())
		},
		upgrade: func(c *cluster) { release(c, c.values(2, "https://help.example.com/tokens")) },
		uninstall: func(c *cluster) {
			c.scaleDown()
			c.try(helm, "uninstall", "tokenkeeper", "--namespace", namespace, "--wait")
		},
	}
}

// helm installs a chart, or upgrades it.
func (c *cluster) helm(helm, name, values string) {
	c.Helper()
	if _, err := c.run(values, helm, "upgrade", "--install", name, filepath.Join(root, "charts", name), "--namespace", namespace, "--values", "-"); err != nil {
		c.Fatal(err)
	}
}

// values are the values of charts/tokenkeeper.
func (c *cluster) values(replicas int, contact string) string {
	return fmt.Sprintf(`
replicas: %d
portal:
  url: %s
  organisation: Example Ltd
  contact: %s
  ingress: {enabled: true, className: e2e-skipper, tlsSecretName: tokenkeeper-portal-tls}
caBundle: {pem: %q}`, replicas, portal, contact, c.company.PEM)
}

// marketplaceManifests are the shipped Marketplaces, with their addresses at the demo marketplace.
func (c *cluster) marketplaceManifests() string {
	c.Helper()
	command := c.command("go", "run", "./cmd/demo-marketplace", "--manifests", "config/marketplaces", "--url", marketplace)
	command.Dir = root
	out, err := command.Output()
	if err != nil {
		c.Fatal(err)
	}
	return string(out)
}

// marketplaceValues are the same as values of charts/tokenkeeper-marketplaces.
func (c *cluster) marketplaceValues() string {
	c.Helper()
	values := map[string]any{}
	for decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(c.marketplaceManifests()), 4096); ; {
		var object struct {
			Metadata struct{ Name string }
			Spec     map[string]any
		}
		if err := decoder.Decode(&object); err != nil {
			break // io.EOF
		}
		if object.Spec != nil {
			values[object.Metadata.Name] = map[string]any{"enabled": true, "overrides": object.Spec}
		}
	}
	text, err := yaml.Marshal(values)
	if err != nil || len(values) == 0 {
		c.Fatalf("%d Marketplaces, error %v", len(values), err)
	}
	return string(text)
}

func kustomizeWay() way {
	return way{
		name: "kustomize",
		install: func(c *cluster) {
			saw("kustomize: that of kubectl %s", strings.Fields(c.try(c.kubectl, "version", "--client"))[2])
			c.kustomize("installed", c.overlay(1, "help@example.com"))
			c.waitForKinds()
			c.apply(c.marketplaceManifests(), "--server-side", "--force-conflicts")
		},
		upgrade: func(c *cluster) { c.kustomize("upgraded", c.overlay(2, "https://help.example.com/tokens")) },
		uninstall: func(c *cluster) {
			c.scaleDown()
			const ours = "app.kubernetes.io/name=tokenkeeper"
			c.try(c.kubectl, "-n", namespace, "delete", "deployment,service,serviceaccount,configmap,role,rolebinding", "-l", ours)
			c.try(c.kubectl, "delete", "clusterrole,clusterrolebinding", "-l", ours)
		},
	}
}

// kustomize applies an overlay, in which @config stands for config/.
func (c *cluster) kustomize(name, overlay string) {
	c.Helper()
	folder, err := filepath.EvalSymlinks(c.folder)
	if err != nil {
		c.Fatal(err)
	}
	config, err := filepath.Abs(filepath.Join(root, "config"))
	if err != nil {
		c.Fatal(err)
	}
	folder = filepath.Join(folder, name)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		c.Fatal(err)
	}
	relative, err := filepath.Rel(folder, config)
	if err != nil {
		c.Fatal(err)
	}
	text := "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" + strings.ReplaceAll(overlay, "@config", relative)
	if err := os.WriteFile(filepath.Join(folder, "kustomization.yaml"), []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
	c.try(c.kubectl, "apply", "-k", folder)
}

// overlay is that of an installation.
func (c *cluster) overlay(replicas int, contact string) string {
	return fmt.Sprintf(`
resources: ["@config/default"]
components: ["@config/components/ingress", "@config/components/metrics"]
configMapGenerator:
- name: tokenkeeper
  namespace: tokenkeeper-system
  behavior: merge
  literals: [portal-url=%s, portal-organisation=Example Ltd, "portal-contact=%s"]
patches:
- target: {kind: Ingress, name: tokenkeeper-portal}
  patch: |
    - {op: add, path: /spec/ingressClassName, value: e2e-skipper}
- patch: |
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: tokenkeeper, namespace: tokenkeeper-system}
    spec:
      replicas: %d
      template:
        spec:
          containers:
          - name: tokenkeeper
            env: [{name: SSL_CERT_DIR, value: /etc/tokenkeeper/ca}]
            volumeMounts: [{name: ca, mountPath: /etc/tokenkeeper/ca, readOnly: true}]
          volumes: [{name: ca, configMap: {name: company}}]
`, portal, contact, replicas)
}

// scaleDown lets the operator end while it has its rights, as docs/uninstall.md tells.
func (c *cluster) scaleDown() {
	c.Helper()
	c.try(c.kubectl, "-n", namespace, "scale", "deployment", "-l", "app.kubernetes.io/name=tokenkeeper", "--replicas=0")
	c.try(c.kubectl, "-n", namespace, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name in (tokenkeeper, tokenkeeper-portal)", "--timeout=150s")
}

func (c *cluster) waitForKinds() {
	c.Helper()
	c.try(c.kubectl, "wait", "--for=condition=Established", "--timeout=60s", "crd/marketplaces.tokenkeeper.dev", "crd/marketplaceaccounts.tokenkeeper.dev")
}
