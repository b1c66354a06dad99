package operator

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tokenkeeper/tokenkeeper/internal/kube"
)

// leaseName is the lease of an operator that keeps every account of the cluster.
const leaseName = "tokenkeeper"

// shard is which accounts an operator keeps; its zero value is all of them.
type shard struct {
	namespaces []string // sorted
	selector   labels.Selector
}

func (s *shard) bindFlags(flags *flag.FlagSet) {
	flags.Func("watch-namespaces", "`Namespaces` whose accounts are kept, separated by commas; all when empty. "+
		"The operator needs no rights on Secrets elsewhere.", s.setNamespaces)
	flags.Func("watch-label-selector", "Label `selector` of the accounts that are kept, such as shard=a; all when empty.", s.setSelector)
}

func (s *shard) setNamespaces(value string) error {
	s.namespaces = nil
	if value == "" {
		return nil
	}
	for name := range strings.SplitSeq(value, ",") {
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			return fmt.Errorf("%q is no name of a namespace: %s", name, strings.Join(problems, "; "))
		}
		if slices.Contains(s.namespaces, name) {
			return fmt.Errorf("namespace %q is named twice", name)
		}
		s.namespaces = append(s.namespaces, name)
	}
	slices.Sort(s.namespaces)
	return nil
}

func (s *shard) setSelector(value string) error {
	selector, err := labels.Parse(value)
	if err != nil {
		return fmt.Errorf("%q is no label selector: %w", value, err)
	}
	s.selector = selector
	return nil
}

// kept is the same for the caches.
func (s *shard) kept() kube.Shard {
	return kube.Shard{Namespaces: s.namespaces, Selector: s.selector}
}

// lease names the lease of the operators that keep the same accounts, so that operators of different ones do not wait for
// each other.
func (s *shard) lease() string {
	selector := ""
	if s.selector != nil {
		selector = s.selector.String() // in an order of its own, whatever was written
	}
	if len(s.namespaces) == 0 && selector == "" {
		return leaseName
	}
	sum := sha256.Sum256([]byte(strings.Join(s.namespaces, ",") + "\n" + selector))
	return leaseName + "-" + hex.EncodeToString(sum[:5])
}
