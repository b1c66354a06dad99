package chaos_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// operator is one replica of the operator, a process that a story kills and starts again.
type operator struct {
	w     *world
	proxy *proxy
	dir   string
	log   *transcript
	args  []string
	// cgroup is the folder of the one to run in; empty for the suite's own.
	cgroup string

	mu      sync.Mutex // guards what follows
	command *exec.Cmd  // nil while it does not run
	stdin   io.Closer
}

// operator makes a replica that does not run yet.
func (w *world) operator(args ...string) *operator {
	w.t.Helper()
	user, err := w.cluster.user(w.operatorUser())
	w.Expect(err).NotTo(HaveOccurred())
	o := &operator{w: w, dir: filepath.Join(w.dir, fmt.Sprint("replica-", len(w.logs))), args: args}
	w.Expect(os.Mkdir(o.dir, 0o700)).To(Succeed())
	o.proxy, err = newProxy(user, w.front)
	w.Expect(err).NotTo(HaveOccurred())
	w.t.Cleanup(func() { o.proxy.server.CloseClientConnections(); o.proxy.server.Close() })
	config := clientcmdapi.NewConfig()
	config.Clusters["proxy"] = &clientcmdapi.Cluster{Server: o.proxy.server.URL}
	config.Contexts["proxy"] = &clientcmdapi.Context{Cluster: "proxy"}
	config.CurrentContext = "proxy"
	w.Expect(clientcmd.WriteToFile(*config, o.kubeconfig())).To(Succeed())
	o.log = newTranscript(w, filepath.Join(o.dir, "log"))
	w.logs = append(w.logs, o.log)
	w.t.Cleanup(o.kill)
	return o
}

// running is a replica that runs.
func (w *world) running(args ...string) *operator {
	w.t.Helper()
	o := w.operator(args...)
	o.start()
	return o
}

func (o *operator) kubeconfig() string { return filepath.Join(o.dir, "kubeconfig") }

func (o *operator) clockFile() string { return filepath.Join(o.dir, "clock") }

// start starts the process, and does not wait for what it does.
func (o *operator) start() {
	o.w.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	log, err := os.OpenFile(o.log.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	o.w.Expect(err).NotTo(HaveOccurred())
	defer log.Close()
	args := append([]string{
		"--kubeconfig", o.kubeconfig(), "--leader-elect=false", "--require-use-label", "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--portal-bind-address=0", "--watch-namespaces=" + o.w.ns, "--max-concurrent-reconciles=80", "--zap-log-level=debug",
	}, o.args...)
	command := exec.Command(operatorProgram, args...)
	if o.cgroup != "" {
		enter := `echo $$ >"$0/cgroup.procs" && exec "$@"`
		command = exec.Command("/bin/sh", append([]string{"-c", enter, o.cgroup, operatorProgram}, args...)...)
	}
	command.Env = append(os.Environ(), "TOKENKEEPER_CHAOS_CLOCK="+o.clockFile())
	command.Stdout, command.Stderr = log, log
	o.stdin, err = command.StdinPipe()
	o.w.Expect(err).NotTo(HaveOccurred())
	o.w.Expect(command.Start()).To(Succeed())
	o.command = command
}

// kill ends the process as kill -9 does. It returns when the kernel has forgotten it.
func (o *operator) kill() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.command == nil {
		return
	}
	_ = o.command.Process.Signal(syscall.SIGKILL)
	_ = o.command.Wait()
	_ = o.stdin.Close()
	o.command = nil
}

// end asks the process to end, as Kubernetes does. What it returns tells how that went.
func (o *operator) end() <-chan error {
	o.w.t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	command, stdin := o.command, o.stdin
	o.command = nil
	o.w.Expect(command.Process.Signal(syscall.SIGTERM)).To(Succeed())
	ended := make(chan error, 1)
	go func() {
		ended <- command.Wait()
		_ = stdin.Close()
	}()
	return ended
}

// setClock puts the replica's clock ahead of everybody else's, or behind.
func (o *operator) setClock(ahead time.Duration) {
	o.w.t.Helper()
	next := o.clockFile() + ".next"
	o.w.Expect(os.WriteFile(next, fmt.Append(nil, ahead), 0o600)).To(Succeed())
	o.w.Expect(os.Rename(next, o.clockFile())).To(Succeed())
}
