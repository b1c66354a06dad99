package grantstore

import (
	"errors"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

func TestOwnWritesNeedNoReconcile(t *testing.T) {
	secret := func(name, version string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: version}}
	}
	own := &OwnWrites{}
	var told []string
	own.OnForeign = func(secret client.Object) { told = append(told, secret.GetName()+"@"+secret.GetResourceVersion()) }
	only := own.Predicate()
	updated := func(name, version string) bool {
		return only.Update(event.UpdateEvent{ObjectNew: secret(name, version)})
	}
	wrote := func(name, version string, meanwhile ...string) {
		t.Helper()
		written := secret(name, "")
		if err := own.Write(written, func() error {
			for _, shown := range meanwhile {
				if updated(name, shown) {
					t.Errorf("%s@%s is told before anybody knows whose it is", name, shown)
				}
			}
			if version == "" {
				return errors.New("refused")
			}
			written.ResourceVersion = version
			return nil
		}); (err == nil) != (version != "") {
			t.Errorf("the write ended with %v", err)
		}
	}
	tells := func(want ...string) {
		t.Helper()
		if !slices.Equal(told, want) {
			t.Errorf("told of %v, want %v", told, want)
		}
		told = nil
	}
	if !only.Create(event.CreateEvent{Object: secret("a", "7")}) || !updated("a", "8") {
		t.Error("what others write goes unseen")
	}
	wrote("a", "10")
	wrote("a", "12")
	if updated("a", "10") || updated("a", "11") || updated("a", "12") {
		t.Error("what a reconcile wrote, or wrote upon, is seen as somebody else's")
	}
	if !updated("a", "13") || !updated("b", "12") {
		t.Error("what others write after it goes unseen")
	}
	wrote("a", "14")
	if !updated("a", "15") || !updated("a", "16") {
		t.Error("what others write goes unseen when the own event did not come")
	}
	wrote("c", "20")
	if only.Create(event.CreateEvent{Object: secret("c", "20")}) {
		t.Error("what a reconcile created is seen as somebody else's")
	}
	wrote("c", "21")
	if !only.Delete(event.DeleteEvent{Object: secret("c", "21")}) {
		t.Error("a deletion goes unseen")
	}
	tells()

	// The watch is quicker than the answer.
	wrote("d", "30", "29", "30")
	tells()
	if !updated("d", "31") {
		t.Error("what others write goes unseen after an own event that was quicker than its answer")
	}
	wrote("d", "32", "32", "33")
	tells("d@33")
	wrote("d", "", "34")
	tells("d@34")
	wrote("d", "35")
	wrote("d", "", "35")
	tells()
	wrote("d", "36")
	wrote("d", "37", "36")
	if updated("d", "37") {
		t.Error("what a reconcile wrote is seen as somebody else's")
	}
	tells()
	if len(own.writes) != 0 {
		t.Errorf("%d writes are remembered for good", len(own.writes))
	}
}
