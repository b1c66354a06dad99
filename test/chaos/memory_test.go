package chaos_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"
)

// memory is how much a process may take, and did.
type memory struct {
	of     *process
	limit  int64
	how    string // it is held to the limit
	cgroup string // empty where there is none
}

// memoryCgroups is where cgroups of version 1 are made that limit memory.
const memoryCgroups = "/sys/fs/cgroup/memory"

// limited runs a process under the memory limit that is shipped, which is the same for operator and portal: in a cgroup where one can be made,
// else its resident size is compared with the limit.
func (w *world) limited(p *process) *memory {
	w.t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "config", "manager", "deployment.yaml"))
	w.Expect(err).NotTo(HaveOccurred())
	var deployment appsv1.Deployment
	w.Expect(yaml.UnmarshalStrict(text, &deployment)).To(Succeed())
	limit := deployment.Spec.Template.Spec.Containers[0].Resources.Limits.Memory().Value()
	m := &memory{of: p, limit: limit, how: "resident size"}
	folder, err := os.MkdirTemp(memoryCgroups, "tokenkeeper-")
	if err != nil {
		return m
	}
	w.t.Cleanup(func() {
		p.kill()
		_ = os.Remove(folder)
	})
	if os.WriteFile(filepath.Join(folder, "memory.limit_in_bytes"), fmt.Append(nil, limit), 0o600) == nil {
		m.cgroup, m.how, p.cgroup = folder, "in a cgroup", folder
	}
	return m
}

// memories are the memories of the processes of a replica.
type memories []*memory

// limited runs each process of the replica under the limit.
func (o *operator) limited() memories {
	o.w.t.Helper()
	all := memories{o.w.limited(o.process)}
	if o.portal != o.process {
		all = append(all, o.w.limited(o.portal))
	}
	return all
}

// peaks are the most that each has taken.
func (all memories) peaks() []int64 {
	peaks := make([]int64, 0, len(all))
	for _, m := range all {
		m.of.w.t.Helper()
		peaks = append(peaks, m.peak())
	}
	return peaks
}

// expectKept wants each process to run, and to have kept the limit.
func (all memories) expectKept() {
	for _, m := range all {
		m.of.w.t.Helper()
		m.of.w.Expect(m.killed()).To(BeFalse(), "%s was killed for its memory", m.of.name)
		m.of.w.Expect(m.of.running()).To(BeTrue(), m.of.name)
	}
}

// peak is the most that it has taken.
func (m *memory) peak() int64 {
	m.of.w.t.Helper()
	if m.cgroup != "" {
		return m.read("memory.max_usage_in_bytes", "")
	}
	return m.read(fmt.Sprintf("/proc/%d/status", m.of.command.Process.Pid), "VmHWM:") << 10
}

// killed tells whether the kernel has ended it for its memory, or would have.
func (m *memory) killed() bool {
	if m.cgroup == "" {
		return m.peak() > m.limit
	}
	return m.read("memory.oom_control", "oom_kill ") > 0
}

// read reads a number: the whole file, or the number after a word.
func (m *memory) read(file, after string) int64 {
	m.of.w.t.Helper()
	if !filepath.IsAbs(file) {
		file = filepath.Join(m.cgroup, file)
	}
	text, err := os.ReadFile(file)
	m.of.w.Expect(err).NotTo(HaveOccurred())
	_, rest, found := strings.Cut(string(text), after)
	m.of.w.Expect(found).To(BeTrue(), "%s in %s", after, file)
	number, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	m.of.w.Expect(err).NotTo(HaveOccurred())
	return number
}
