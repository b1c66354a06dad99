// Package crds tells whether the custom resource definitions in the API server and in this version of the operator are the same. An operator
// that is newer than they are works on, with fields that the API server drops; so this is said, and nothing else is done about it.
package crds

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// AnnotationHash marks a definition with a hash of itself.
const AnnotationHash = "tokenkeeper.dev/definition-hash"

// every is how often the definitions are read: an upgrade may bring them after the operator.
const every = 5 * time.Minute

// The role for the two definitions, by name.
// +kubebuilder:rbac:groups=apiextensions.k8s.io,resources=customresourcedefinitions,resourceNames=marketplaceaccounts.tokenkeeper.dev;marketplaces.tokenkeeper.dev,verbs=get

// Watch compares the definitions now and then, until the operator ends.
type Watch struct {
	// Reader reads from the API server, and not from a cache.
	Reader client.Reader
	Log    logr.Logger
	// Report is told whether the definitions differ from this version's, as soon as that is known.
	Report func(outdated bool)

	said string // the last line in the log
}

// NeedLeaderElection is false: every replica reports its own comparison.
func (w *Watch) NeedLeaderElection() bool { return false }

// Start compares until ctx ends. It never fails, because the operator works on with any definitions.
func (w *Watch) Start(ctx context.Context) error {
	wait.UntilWithContext(ctx, w.Compare, every)
	return nil
}

// Compare compares once, and logs a result unless the last one was the same.
func (w *Watch) Compare(ctx context.Context) {
	served, err := w.served(ctx)
	if err != nil {
		w.say(fmt.Sprintf("The custom resource definitions cannot be compared with those of this version: %v", err))
		return
	}
	names := differing(served)
	w.Report(len(names) > 0)
	if len(names) == 0 {
		w.say("The custom resource definitions are those of this version")
		return
	}
	w.say("The custom resource definitions are not those of this version, so fields may be dropped or unknown; " +
		"upgrade them with the chart or with config/crd: " + strings.Join(names, ", "))
}

// say logs a line, unless it was the last one.
func (w *Watch) say(line string) {
	if line != w.said {
		w.said = line
		w.Log.Info(line)
	}
}

// served reads the hash of each definition, which is empty where it has none or there is no such definition.
func (w *Watch) served(ctx context.Context) (map[string]string, error) {
	hashes := map[string]string{}
	for name := range own {
		var definition metav1.PartialObjectMetadata
		definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
		err := w.Reader.Get(ctx, client.ObjectKey{Name: name}, &definition)
		if err != nil && !apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		hashes[name] = definition.Annotations[AnnotationHash]
	}
	return hashes, nil
}

// differing names the definitions that differ from this version's.
func differing(served map[string]string) []string {
	var names []string
	for name, hash := range own {
		if served[name] != hash {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
