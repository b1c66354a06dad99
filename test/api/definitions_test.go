package api_test

import (
	"testing"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/internal/crds"
)

// The shipped definitions are known as the definitions of this version, and different ones are not.
func TestOperatorKnowsItsDefinitions(t *testing.T) {
	compare := func(reader client.Reader) (reported []bool) {
		watch := &crds.Watch{Reader: reader, Log: logr.Discard(), Report: func(outdated bool) { reported = append(reported, outdated) }}
		watch.Compare(t.Context())
		return reported
	}
	if got := compare(kube); len(got) != 1 || got[0] {
		t.Errorf("of the shipped definitions it is reported that they are outdated: %v", got)
	}

	var definition metav1.PartialObjectMetadata
	definition.SetGroupVersionKind(schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"})
	if err := kube.Get(t.Context(), client.ObjectKey{Name: "marketplaces.tokenkeeper.dev"}, &definition); err != nil {
		t.Fatal(err)
	}
	mark := func(hash string) {
		t.Helper()
		before := definition.DeepCopy()
		definition.Annotations[crds.AnnotationHash] = hash
		if err := kube.Patch(t.Context(), &definition, client.MergeFrom(before)); err != nil {
			t.Fatal(err)
		}
	}
	shipped := definition.Annotations[crds.AnnotationHash]
	mark("0123456789abcdef")
	if got := compare(kube); len(got) != 1 || !got[0] {
		t.Errorf("of another definition it is reported that it is outdated: %v", got)
	}
	mark(shipped)

	stranger := rest.CopyConfig(config)
	stranger.Impersonate = rest.ImpersonationConfig{UserName: "somebody"}
	powerless, err := client.New(stranger, client.Options{Mapper: kube.RESTMapper()})
	if err != nil {
		t.Fatal(err)
	}
	if got := compare(powerless); len(got) != 0 {
		t.Errorf("without the right to read definitions it is reported that they are outdated: %v", got)
	}
}
