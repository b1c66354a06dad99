package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	kuberuntime "k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/test/authority"
)

const (
	root = "../.."
	// namespace is the operator's.
	namespace = "tokenkeeper-system"
	// patience is for steps that take a kubelet or a controller a while on a busy machine. A mounted Secret follows within two minutes.
	patience = 4 * time.Minute
)

// cluster is where everything is tried.
type cluster struct {
	*testing.T
	client.Client
	kubeconfig string
	kubectl    string
	folder     string // for files that are made on the way
	helms      map[string]string
	company    *authority.Authority
	// load brings an image archive to the nodes; nil where images are there already.
	load func(archive string)
}

// on is the cluster for a part of the story.
func (c *cluster) on(t *testing.T) *cluster {
	part := *c
	part.T = t
	return &part
}

// startCluster makes ready the cluster of E2E_CONTEXT, or a node.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{T: t, folder: t.TempDir(), kubectl: "kubectl", helms: map[string]string{}}
	if name := os.Getenv("E2E_CONTEXT"); name != "" {
		c.useContext(name)
	} else {
		c.startNode()
	}
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	scheme := kuberuntime.NewScheme()
	for _, add := range []func(*kuberuntime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	if c.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("E2E_CONTEXT") != "" {
		c.leaveAsItWas()
	}
	saw("cluster: %s", c.try(c.kubectl, "get", "nodes", "-o", "jsonpath={range .items[*]}{.metadata.name} runs Kubernetes {.status.nodeInfo.kubeletVersion} with {.status.nodeInfo.containerRuntimeVersion} {end}"))
	c.company = authority.New(t, "Company")
	c.build()
	return c
}

// useContext takes the cluster of a context, and that context alone.
func (c *cluster) useContext(name string) {
	c.Helper()
	text := c.try("kubectl", "config", "view", "--raw", "--flatten", "--minify", "--context", name)
	c.kubeconfig = filepath.Join(c.folder, "kubeconfig")
	if err := os.WriteFile(c.kubeconfig, []byte(text), 0o600); err != nil {
		c.Fatal(err)
	}
	if command := strings.Fields(os.Getenv("E2E_LOAD")); len(command) > 0 {
		c.load = func(archive string) { c.try(command[0], append(command[1:], archive)...) }
	}
}

// leaveAsItWas refuses a cluster in which tokenkeeper is installed, and lets everything that the suite makes go with it.
func (c *cluster) leaveAsItWas() {
	c.Helper()
	kind := &apiextensionsv1.CustomResourceDefinition{}
	if err := c.Get(c.Context(), client.ObjectKey{Name: "marketplaceaccounts.tokenkeeper.dev"}, kind); !apierrors.IsNotFound(err) {
		c.Fatalf("tokenkeeper is in this cluster already (error %v), and the suite takes everything away in the end: name another", err)
	}
	c.Cleanup(func() {
		if *keep {
			return
		}
		for _, what := range [][]string{
			{"marketplaceaccounts", "--all", "--all-namespaces"},
			{"namespace", "shop", "tokenkeeper-demo", "e2e-ingress", namespace},
			{"crd", "marketplaceaccounts.tokenkeeper.dev", "marketplaces.tokenkeeper.dev"},
			{"clusterrole,clusterrolebinding", "-l", "app.kubernetes.io/name=tokenkeeper"},
			{"clusterrole,clusterrolebinding", "e2e-skipper"},
			{"clusterrolebinding", "e2e-metrics-reader"},
			{"ingressclass", "e2e-skipper"},
		} {
			command := exec.Command(c.kubectl, append([]string{"--kubeconfig", c.kubeconfig, "delete", "--ignore-not-found"}, what...)...) // the test's context has ended
			if out, err := command.CombinedOutput(); err != nil {
				c.Errorf("deleting %s: %v\n%s", what, err, out)
			}
		}
	})
}

// startNode starts a node, and lets it end with the suite.
func (c *cluster) startNode() {
	c.Helper()
	if os.Getuid() != 0 {
		c.Fatal("a node takes root: run \"make e2e\" as root, or name a cluster with E2E_CONTEXT")
	}
	script := func(name string) string {
		path, err := filepath.Abs(filepath.Join("node", name))
		if err != nil {
			c.Fatal(err)
		}
		return path
	}
	bin := lastLine(c.try(script("build")))
	saw("node: programs are in %s", bin)
	for name, value := range map[string]string{"K8S_BIN": bin, "SYNC_FREQUENCY": "10s"} {
		if err := os.Setenv(name, value); err != nil {
			c.Fatal(err)
		}
	}
	c.Cleanup(func() {
		if *keep {
			fmt.Fprintf(os.Stdout, "\nThe node is left: KUBECONFIG=%s. K8S_BIN=%s %s --purge ends it.\n", c.kubeconfig, bin, script("down"))
			return
		}
		if out, err := exec.Command(script("down"), "--purge").CombinedOutput(); err != nil { // after the test, whose context has ended
			c.Errorf("ending the node: %v\n%s", err, out)
		}
	})
	c.kubeconfig = lastLine(c.try(script("up")))
	c.kubectl = filepath.Join(bin, "kubectl")
	c.load = func(archive string) { c.try(script("load-image"), archive) }
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return lines[len(lines)-1]
}

// build builds Helm, the images of the operator and the demo marketplace, an ingress controller and a workload, and brings them to the nodes.
func (c *cluster) build() {
	c.Helper()
	for _, major := range []string{"3", "4"} {
		c.helms[major] = filepath.Join(c.folder, "helm"+major)
		c.goBuild(c.helms[major], "-modfile=hack/tools/helm"+major+"/go.mod", "helm.sh/helm/v"+major+"/cmd/helm")
	}
	if c.load == nil {
		saw("images: those that are in the cluster")
		return
	}
	dist := filepath.Join(c.folder, "dist")
	c.try("make", "-C", root, "image", "DIST="+dist, "PLATFORMS=linux/"+runtime.GOARCH)
	archives := []string{filepath.Join(dist, "tokenkeeper.tar"), filepath.Join(dist, "demo-marketplace.tar")}
	for name, build := range map[string][]string{
		"skipper":  {"-modfile=hack/tools/skipper/go.mod", "github.com/zalando/skipper/cmd/skipper"},
		"workload": {"./test/e2e/workload"},
	} {
		program, archive := filepath.Join(c.folder, name), filepath.Join(c.folder, name+".tar")
		c.goBuild(program, build...)
		c.try("node/make-image", "localhost/"+name+":e2e", program, archive)
		archives = append(archives, archive)
	}
	for _, archive := range archives {
		c.load(archive)
		info, err := os.Stat(archive)
		if err != nil {
			c.Fatal(err)
		}
		saw("image: %s is loaded, %.1f MB", strings.TrimSuffix(filepath.Base(archive), ".tar"), float64(info.Size())/1e6)
	}
}

// goBuild builds a static program from the root of the repository.
func (c *cluster) goBuild(program string, args ...string) {
	c.Helper()
	command := exec.CommandContext(c.Context(), "go", append([]string{"build", "-o", program, "-ldflags=-s -w"}, args...)...)
	command.Dir, command.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		c.Fatalf("building %s: %v\n%s", filepath.Base(program), err, out)
	}
}

// command is a program that sees this cluster and no other, and nothing of the make that runs this suite.
func (c *cluster) command(program string, args ...string) *exec.Cmd {
	command := exec.CommandContext(c.Context(), program, args...)
	command.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "MAKE") || strings.HasPrefix(variable, "MFLAGS=") || c.kubeconfig != "" && strings.HasPrefix(variable, "KUBECONFIG=")
	})
	if c.kubeconfig != "" {
		command.Env = append(command.Env, "KUBECONFIG="+c.kubeconfig)
	}
	return command
}

// run runs a program, with text as its input, and returns its output.
func (c *cluster) run(input, program string, args ...string) (string, error) {
	var out, failure bytes.Buffer
	command := c.command(program, args...)
	command.Stdin, command.Stdout, command.Stderr = strings.NewReader(input), &out, &failure
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s%s", filepath.Base(program), strings.Join(args, " "), err, out.String(), failure.String())
	}
	return out.String(), nil
}

// try is run for a program that must succeed.
func (c *cluster) try(program string, args ...string) string {
	c.Helper()
	out, err := c.run("", program, args...)
	if err != nil {
		c.Fatal(err)
	}
	return out
}

// apply applies manifests.
func (c *cluster) apply(manifests string, flags ...string) {
	c.Helper()
	if _, err := c.run(manifests, c.kubectl, append([]string{"apply", "-f", "-"}, flags...)...); err != nil {
		c.Fatal(err)
	}
}

// applyFile applies a file of testdata.
func (c *cluster) applyFile(name string) {
	c.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		c.Fatal(err)
	}
	c.apply(string(text))
}

// eventually waits until a check finds nothing wrong, and returns how long that took.
func (c *cluster) eventually(check func() error) time.Duration {
	c.Helper()
	start := time.Now()
	var err error
	for time.Since(start) < patience {
		if err = check(); err == nil {
			return time.Since(start).Round(100 * time.Millisecond)
		}
		<-time.After(100 * time.Millisecond)
	}
	c.Fatalf("%v\n%s", err, c.picture())
	return 0
}

// picture shows the objects that a person would look at first.
func (c *cluster) picture() string {
	var all strings.Builder
	for _, args := range [][]string{
		{"get", "pods", "-A", "-o", "wide"},
		{"get", "marketplaceaccounts", "-A", "-o", "wide"},
		{"-n", namespace, "get", "events", "--sort-by=.lastTimestamp"},
		{"-n", namespace, "logs", "deployment/tokenkeeper", "--tail=40"},
		{"-n", "e2e-ingress", "logs", "deployment/skipper", "--tail=20"},
	} {
		out, err := c.run("", c.kubectl, args...)
		fmt.Fprintf(&all, "$ kubectl %s\n%s%v\n", strings.Join(args, " "), out, err)
	}
	return all.String()
}

// forward leads a free port of this machine to one of a Service or a Deployment, until the part of the story ends.
func (c *cluster) forward(in, what, port string) (address string) {
	c.Helper()
	ctx, stop := context.WithCancel(context.Background())
	command := c.command(c.kubectl, "-n", in, "port-forward", "--address=127.0.0.1", what, ":"+port)
	command = cloneWith(ctx, command)
	out, err := command.StdoutPipe()
	if err != nil {
		c.Fatal(err)
	}
	if err := command.Start(); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() {
		stop()
		_ = command.Wait()
	})
	said := make([]byte, 256)
	n, err := out.Read(said)
	if err != nil {
		c.Fatalf("%s cannot be reached: %v", what, err)
	}
	_, rest, found := strings.Cut(string(said[:n]), "Forwarding from ")
	address, _, arrow := strings.Cut(rest, " ->")
	if !found || !arrow {
		c.Fatal(errors.New(string(said[:n])))
	}
	go func() { // it says a line for each connection
		rest := make([]byte, 256)
		for {
			if _, err := out.Read(rest); err != nil {
				return
			}
		}
	}()
	return address
}

// cloneWith is the same command, which ends with another context.
func cloneWith(ctx context.Context, command *exec.Cmd) *exec.Cmd {
	clone := exec.CommandContext(ctx, command.Path, command.Args[1:]...)
	clone.Env = command.Env
	return clone
}
