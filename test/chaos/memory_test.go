package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// memory is how much an operator may take, and did.
type memory struct {
	o      *operator
	limit  int64
	how    string // it is held to the limit
	cgroup string // empty where there is none
}

// memoryCgroups is where cgroups of version 1 are made that limit memory.
const memoryCgroups = "/sys/fs/cgroup/memory"

// limited runs an operator under the memory limit that is shipped: in a cgroup where one can be made, else its resident size is
// compared with the limit.
func (w *world) limited(o *operator) *memory {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "manager", "deployment.yaml"))
	w.Expect(err).NotTo(HaveOccurred())
	var deployment appsv1.Deployment
	w.Expect(yaml.UnmarshalStrict(text, &deployment)).To(Succeed())
	limit := deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
	m := &memory{o: o, limit: limit, how: "resident size"}
	folder, err := os.MkdirTemp(memoryCgroups, "tokenkeeper-")
	if err != nil {
		return m
	}
	w.t.Cleanup(func() {
		o.kill()
		_ = os.Remove(folder)
	})
	if os.WriteFile(filepath.Join(folder, "memory.limit_in_bytes"), fmt.Append(nil, limit), 0o600) == nil {
		m.cgroup, m.how, o.cgroup = folder, "in a cgroup", folder
	}
	return m
}

// peak is the most that it has taken.
func (m *memory) peak() int64 {
	m.o.w.t.Helper()
	if m.cgroup != "" {
		return m.read("memory.max_usage_in_bytes", "")
	}
	return m.read(fmt.Sprintf("/proc/%d/status", m.o.command.Process.Pid), "VmHWM:") << 10
}

// killed tells whether the kernel has ended it for its memory, or would have.
func (m *memory) killed() bool {
	if m.cgroup == "" {
		return m.peak() > m.limit
	}
	return m.read("memory.oom_control", "oom_kill ") > 0
}

// read reads a number: the whole file, or what follows a word.
func (m *memory) read(file, after string) int64 {
	m.o.w.t.Helper()
	if !filepath.IsAbs(file) {
		file = filepath.Join(m.cgroup, file)
	}
	text, err := os.ReadFile(file)
	m.o.w.Expect(err).NotTo(HaveOccurred())
	_, rest, found := strings.Cut(string(text), after)
	m.o.w.Expect(found).To(BeTrue(), "%s in %s", after, file)
	number, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	m.o.w.Expect(err).NotTo(HaveOccurred())
	return number
}

// running tells whether the process that was started last is there.
func (o *operator) running() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.command != nil && o.command.Process.Signal(syscall.Signal(0)) == nil
}
