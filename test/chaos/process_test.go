package chaos_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// process is the operator's program as one user of the cluster, which a story kills and starts again.
type process struct {
	w     *world
	name  string // in messages
	proxy *proxy
	dir   string
	log   *transcript
	args  []string
	// pages is where its portal listens; empty for a process that has none.
	pages string
	// address is where its requests to the marketplace come from.
	address string
	// cgroup is the folder of the one to run in; empty for the suite's own.
	cgroup string

	mu      sync.Mutex // guards the fields below
	command *exec.Cmd  // nil while it does not run
	stdin   io.Closer
}

// process makes one that does not run yet.
func (w *world) process(name, user string, args ...string) *process {
	w.t.Helper()
	config, err := w.cluster.user(envtest.User{Name: user})
	w.Expect(err).NotTo(HaveOccurred())
	p := &process{w: w, name: name, dir: filepath.Join(w.dir, fmt.Sprint(name, "-", len(w.logs))), args: args, address: operatorsAddress}
	w.Expect(os.Mkdir(p.dir, 0o700)).To(Succeed())
	p.proxy, err = newProxy(config, w.front)
	w.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(func() { p.proxy.server.CloseClientConnections(); p.proxy.server.Close() })
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters["proxy"] = &clientcmdapi.Cluster{Server: p.proxy.server.URL}
	kubeconfig.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	kubeconfig.CurrentContext = "proxy"
	w.Expect(clientcmd.WriteToFile(*kubeconfig, p.kubeconfig())).To(Succeed())
	p.log = newTranscript(w, filepath.Join(p.dir, "log"))
	w.logs = append(w.logs, p.log)
	w.t.Cleanup(p.kill)
	return p
}

func (p *process) kubeconfig() string { return filepath.Join(p.dir, "kubeconfig") }

func (p *process) clockFile() string { return filepath.Join(p.dir, "clock") }

// start starts it where it does not run, and does not wait for its work.
func (p *process) start() {
	p.w.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command != nil {
		return
	}
	log, err := os.OpenFile(p.log.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	p.w.Expect(err).NotTo(HaveOccurred())
	defer log.Close()
	portal := "0"
	if p.pages != "" {
		portal = p.pages
	}
	level := "debug"
	if p.w.quiet {
		level = "info"
	}
	args := append([]string{
		"--kubeconfig", p.kubeconfig(), "--leader-elect=false", "--require-use-label", "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--portal-bind-address=" + portal, "--watch-namespaces=" + p.w.ns, "--max-concurrent-reconciles=80", "--zap-log-level=" + level,
	}, p.args...)
	command := exec.Command(operatorProgram, args...)
	if p.cgroup != "" {
		enter := `echo $$ >"$0/cgroup.procs" && exec "$@"`
		command = exec.Command("/bin/sh", append([]string{"-c", enter, p.cgroup, operatorProgram}, args...)...)
	}
	command.Env = append(os.Environ(), "TOKENKEEPER_CHAOS_CLOCK="+p.clockFile(), "TOKENKEEPER_CHAOS_ADDRESS="+p.address)
	command.Stdout, command.Stderr = log, log
	p.stdin, err = command.StdinPipe()
	p.w.Expect(err).NotTo(HaveOccurred())
	p.w.Expect(command.Start()).To(Succeed())
	p.command = command
}

// kill ends it as kill -9 does, where it runs. It returns when the kernel has forgotten it.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.command == nil {
		return
	}
	_ = p.command.Process.Signal(syscall.SIGKILL)
	_ = p.command.Wait()
	_ = p.stdin.Close()
	p.command = nil
}

// end asks it to end, as Kubernetes does. The returned channel tells how that went.
func (p *process) end() <-chan error {
	p.w.t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	command, stdin := p.command, p.stdin
	p.command = nil
	p.w.Expect(command.Process.Signal(syscall.SIGTERM)).To(Succeed())
	ended := make(chan error, 1)
	go func() {
		ended <- command.Wait()
		_ = stdin.Close()
	}()
	return ended
}

// running tells whether it was started, and has not ended.
func (p *process) running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.command != nil && p.command.Process.Signal(syscall.Signal(0)) == nil
}

// setClock puts its clock ahead of everybody else's, or behind.
func (p *process) setClock(ahead time.Duration) {
	p.w.t.Helper()
	next := p.clockFile() + ".next"
	p.w.Expect(os.WriteFile(next, fmt.Append(nil, ahead), 0o600)).To(Succeed())
	p.w.Expect(os.Rename(next, p.clockFile())).To(Succeed())
}

// serves asks for a page of its portal.
func (p *process) serves(path string) error {
	response, err := http.Get("http://" + p.pages + path)
	if err != nil {
		return err
	}
	if err := response.Body.Close(); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the portal answers %s to %s", response.Status, path)
	}
	return nil
}
