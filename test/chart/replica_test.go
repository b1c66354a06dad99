package chart_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// patience is how long the operator may take for work that it does at once, on a machine that is busy with other stories.
const patience = 2 * time.Minute

// image is what the operator's image holds (hack/image): the program, and the public authorities in PEM form. ahead is how far the clock is ahead
// where it runs.
type image struct {
	program, authorities string
	ahead                time.Duration
}

// replica is a pod of the operator's Deployment without a kubelet: a process that gets the arguments, the environment and the files that the
// container would get from the kubelet, and sees no other file. Two things differ from a node: each port of the container is a free one of
// loopback, and the program is that of test/chaos/operator, which is cmd/tokenkeeper with a clock that a story may set, and ends with the suite.
type replica struct {
	t *testing.T
	// root is its file system, and addresses are those of the container's ports, by name.
	root      string
	addresses map[string]string
	grace     time.Duration

	command *exec.Cmd
	stdin   io.Closer
	ended   chan error
}

// startReplica runs a pod of the operator's Deployment as it is in the cluster now. It does not wait for the work of the pod.
func (c cluster) startReplica(t *testing.T, image image) *replica {
	t.Helper()
	return c.startPod(t, "tokenkeeper", image)
}

// startPod runs a pod of one of the release's Deployments.
func (c cluster) startPod(t *testing.T, name string, image image) *replica {
	t.Helper()
	deployment := c.deployment(t, name)
	spec := deployment.Spec.Template.Spec
	container := spec.Containers[0]
	r := &replica{
		t: t, root: t.TempDir(), addresses: map[string]string{}, ended: make(chan error, 1),
		grace: time.Duration(*spec.TerminationGracePeriodSeconds) * time.Second,
	}
	environment := c.environment(t, container)
	args := make([]string, 0, len(container.Args))
	for _, arg := range container.Args {
		args = append(args, r.placePorts(container.Ports, expand(arg, environment)))
	}
	if err := os.Link(image.program, filepath.Join(r.root, "tokenkeeper")); err != nil {
		t.Fatal(err)
	}
	r.write("/etc/ssl/certs/ca-certificates.crt", image.authorities)
	r.write("/etc/hosts", hosts(spec.HostAliases))
	r.write(clockFile, image.ahead.String())
	c.mountServiceAccount(t, r, spec.ServiceAccountName)
	for _, mount := range container.VolumeMounts {
		for name, text := range c.volume(t, spec, mount.Name) {
			r.write(filepath.Join(mount.MountPath, name), text)
		}
	}
	r.run(args, environment)
	return r
}

// environment holds the variables that the kubelet gives the container: where the API server is, and the variables of the container, in which earlier ones may be named.
func (c cluster) environment(t *testing.T, container corev1.Container) map[string]string {
	t.Helper()
	environment := map[string]string{"PATH": "/"} // of the image
	var err error
	if environment["KUBERNETES_SERVICE_HOST"], environment["KUBERNETES_SERVICE_PORT"], err = net.SplitHostPort(c.address); err != nil {
		t.Fatal(err)
	}
	for _, variable := range container.Env {
		value := expand(variable.Value, environment)
		if from := variable.ValueFrom; from != nil {
			if from.SecretKeyRef == nil {
				t.Fatalf("variable %s comes from where this test does not look", variable.Name)
			}
			var secret corev1.Secret
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: from.SecretKeyRef.Name}, &secret); err != nil {
				t.Fatal(err)
			}
			value = string(secret.Data[from.SecretKeyRef.Key])
		}
		environment[variable.Name] = value
	}
	return environment
}

// expand fills variables in, as the kubelet does in arguments and in the values of variables.
func expand(text string, environment map[string]string) string {
	for name, value := range environment {
		text = strings.ReplaceAll(text, "$("+name+")", value)
	}
	return text
}

// placePorts gives an argument that names a port of the container a free one of loopback, since here pods share an address.
func (r *replica) placePorts(ports []corev1.ContainerPort, arg string) string {
	r.t.Helper()
	for _, port := range ports {
		flag, served := strings.CutSuffix(arg, fmt.Sprintf("=:%d", port.ContainerPort))
		if !served {
			continue
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			r.t.Fatal(err)
		}
		defer listener.Close() // only now, so that they differ
		r.addresses[port.Name] = listener.Addr().String()
		arg = flag + "=" + r.addresses[port.Name]
	}
	return arg
}

// hosts is the file that the kubelet makes of hostAliases.
func hosts(aliases []corev1.HostAlias) string {
	text := "127.0.0.1 localhost " + serviceHost + "\n"
	for _, alias := range aliases {
		text += alias.IP + " " + strings.Join(alias.Hostnames, " ") + "\n"
	}
	return text
}

// mountServiceAccount writes the token of the ServiceAccount and what belongs to it.
func (c cluster) mountServiceAccount(t *testing.T, r *replica, name string) {
	t.Helper()
	const folder = "/var/run/secrets/kubernetes.io/serviceaccount"
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	request := &authenticationv1.TokenRequest{}
	if err := c.SubResource("token").Create(t.Context(), account, request); err != nil {
		t.Fatal(err)
	}
	r.write(folder+"/token", request.Status.Token)
	r.write(folder+"/ca.crt", c.authority)
	r.write(folder+"/namespace", namespace)
}

// volume is the content of a volume of the pod, by names of files.
func (c cluster) volume(t *testing.T, spec corev1.PodSpec, name string) map[string]string {
	t.Helper()
	files := map[string]string{}
	for _, volume := range spec.Volumes {
		key := client.ObjectKey{Namespace: namespace}
		switch {
		case volume.Name != name:
		case volume.ConfigMap != nil:
			var source corev1.ConfigMap
			key.Name = volume.ConfigMap.Name
			if err := c.Get(t.Context(), key, &source); err != nil {
				t.Fatal(err)
			}
			maps.Copy(files, source.Data)
		case volume.Secret != nil:
			var source corev1.Secret
			key.Name = volume.Secret.SecretName
			if err := c.Get(t.Context(), key, &source); err != nil {
				t.Fatal(err)
			}
			for name, data := range source.Data {
				files[name] = string(data)
			}
		default:
			t.Fatalf("volume %s comes from where this test does not look", name)
		}
	}
	return files
}

// write makes a file of the pod.
func (r *replica) write(path, text string) {
	r.t.Helper()
	path = filepath.Join(r.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

// clockFile says how far the operator's clock is ahead.
const clockFile = "/clock"

// run starts the process in its file system.
func (r *replica) run(args []string, environment map[string]string) {
	r.t.Helper()
	args = append([]string{r.root, "/tokenkeeper"}, args...)
	r.command = exec.Command("chroot", args...)
	if os.Getuid() != 0 {
		r.command = exec.Command("unshare", append([]string{"--user", "--map-root-user", "chroot"}, args...)...)
	}
	for name, value := range environment {
		r.command.Env = append(r.command.Env, name+"="+value)
	}
	r.command.Env = append(r.command.Env, "TOKENKEEPER_CHAOS_CLOCK="+clockFile)
	log, err := os.Create(r.logFile())
	if err != nil {
		r.t.Fatal(err)
	}
	defer log.Close()
	r.command.Stdout, r.command.Stderr = log, log
	if r.stdin, err = r.command.StdinPipe(); err != nil {
		r.t.Fatal(err)
	}
	if err := r.command.Start(); err != nil {
		r.t.Fatalf("running the operator in a file system of its own takes chroot, and unshare for users other than root: %v", err)
	}
	go func() { r.ended <- r.command.Wait() }()
	r.t.Cleanup(r.kill)
}

func (r *replica) logFile() string { return filepath.Join(r.root, "log") }

// log is the operator's log.
func (r *replica) log() string {
	text, err := os.ReadFile(r.logFile())
	if err != nil {
		r.t.Error(err)
	}
	return string(text)
}

// kill ends the process if it still runs, and shows what it said where the test has failed.
func (r *replica) kill() {
	_ = r.command.Process.Kill()
	_ = r.stdin.Close()
	<-r.ended
	r.ended <- nil
	if r.t.Failed() {
		said := r.log()
		r.t.Logf("the operator said at last:\n%s", said[max(0, len(said)-5000):])
	}
}

// terminate asks the process to end, as the kubelet does, and returns when it has.
func (r *replica) terminate() {
	r.t.Helper()
	r.askToEnd()
	r.waitEnded()
}

func (r *replica) askToEnd() {
	r.t.Helper()
	if err := r.command.Process.Signal(syscall.SIGTERM); err != nil {
		r.t.Fatal(err)
	}
}

func (r *replica) waitEnded() {
	r.t.Helper()
	select {
	case err := <-r.ended:
		r.ended <- nil
		if err != nil {
			r.t.Fatalf("the operator ended with %v:\n%s", err, r.log())
		}
	case <-time.After(r.grace):
		r.t.Fatalf("the kubelet would kill the operator: it has not ended in %s", r.grace)
	}
}

// waitReady returns when the readiness probe of the pod succeeds.
func (r *replica) waitReady() {
	r.t.Helper()
	eventually(r.t, func() error {
		select {
		case err := <-r.ended:
			r.ended <- nil
			r.t.Fatalf("the operator has ended: %v\n%s", err, r.log())
		default:
		}
		response, err := http.Get("http://" + r.addresses["health"] + "/readyz")
		if err != nil {
			return err
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

// scrape reads the metrics, as a user with a bearer token, and returns the status.
func (r *replica) scrape(token string) string {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "https://"+r.addresses["metrics"]+"/metrics", http.NoBody)
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // as the manifests have it
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	if shown := strings.Contains(string(text), "# HELP tokenkeeper_"); shown != (response.StatusCode == http.StatusOK) {
		r.t.Errorf("with %s it shows\n%s", response.Status, text)
	}
	return response.Status
}

// eventually waits until a check finds nothing wrong.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); <-time.After(50 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	t.Fatal(err)
}
