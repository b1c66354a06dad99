package signin_test

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/gomega"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

// route is a path that an Ingress or an HTTPRoute leads to the portal, with all that is below it.
type route struct{ host, path string }

// matches is how both kinds define a prefix: element by element, so that /done/ matches /done and /done/1, and not /done-1.
func (r route) matches(host, path string) bool {
	prefix := strings.TrimSuffix(r.path, "/")
	return host == r.host && (path == prefix || strings.HasPrefix(path, prefix+"/"))
}

// only lets nothing else through from now on.
func (f *front) only(routes ...route) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.routes = routes
}

// admits tells whether a request is let through, and counts it.
func (f *front) admits(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		f.t.Errorf("a request is for the host %q: %v", r.Host, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	admitted := len(f.routes) == 0
	for _, route := range f.routes {
		admitted = admitted || route.matches(host, r.URL.Path)
	}
	if admitted {
		f.passed++
	}
	return admitted
}

// admitted is how many requests were let through.
func (f *front) admitted() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.passed
}

// component reads a manifest of config/components.
func (w *world) component(path string, into any) {
	w.T.Helper()
	manifest, err := os.ReadFile(filepath.Join("..", "..", "config", "components", path))
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(yaml.UnmarshalStrict(manifest, into)).To(Succeed())
}

// ingress are the routes of an Ingress that is patched to a host.
func (w *world) ingress(component, host string) []route {
	w.T.Helper()
	var ingress networkingv1.Ingress
	w.component(filepath.Join(component, "ingress.yaml"), &ingress)
	w.Expect(ingress.Spec.DefaultBackend).To(BeNil())
	w.Expect(ingress.Spec.Rules).To(HaveLen(1))
	var routes []route
	for _, path := range ingress.Spec.Rules[0].HTTP.Paths {
		w.Expect(*path.PathType).To(Equal(networkingv1.PathTypePrefix))
		w.Expect(path.Backend.Service.Name).To(Equal(portalService))
		routes = append(routes, route{host, path.Path})
	}
	return routes
}

// httpRoute is of the Gateway API, whose Go types are not worth a dependency.
type httpRoute struct {
	APIVersion, Kind string
	Metadata         map[string]any
	Spec             struct {
		ParentRefs []map[string]any
		Hostnames  []string
		Rules      []struct {
			Matches     []struct{ Path struct{ Type, Value string } }
			BackendRefs []struct {
				Name string
				Port int
			}
		}
	}
}

// httpRoute are the routes of an HTTPRoute that is patched to a host.
func (w *world) httpRoute(component, host string) []route {
	w.T.Helper()
	var found httpRoute
	w.component(filepath.Join(component, "httproute.yaml"), &found)
	w.Expect(found.Spec.Hostnames).To(HaveLen(1))
	var routes []route
	for _, rule := range found.Spec.Rules {
		w.Expect(rule.BackendRefs).To(HaveLen(1))
		w.Expect(rule.BackendRefs[0].Name).To(Equal(portalService))
		for _, match := range rule.Matches {
			w.Expect(match.Path.Type).To(Equal("PathPrefix"))
			routes = append(routes, route{host, match.Path.Value})
		}
	}
	return routes
}

// portalService is the Service of the portal in config/manager.
const portalService = "tokenkeeper-portal"
