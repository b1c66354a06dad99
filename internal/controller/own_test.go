package controller

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"
)

func TestOwnWritesNeedNoReconcile(t *testing.T) {
	secret := func(name, version string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, ResourceVersion: version}}
	}
	own := &ownWrites{}
	only := own.predicate()
	updated := func(name, version string) bool {
		return only.Update(event.UpdateEvent{ObjectNew: secret(name, version)})
	}
	if !only.Create(event.CreateEvent{Object: secret("a", "7")}) || !updated("a", "8") {
		t.Error("what others write goes unseen")
	}
	own.wrote(secret("a", "10"))
	own.wrote(secret("a", "12"))
	if updated("a", "10") || updated("a", "11") || updated("a", "12") {
		t.Error("what a reconcile wrote, or wrote upon, is seen as somebody else's")
	}
	if !updated("a", "13") || !updated("b", "12") {
		t.Error("what others write after it goes unseen")
	}
	own.wrote(secret("a", "14"))
	if !updated("a", "15") || !updated("a", "16") {
		t.Error("what others write goes unseen when the own event did not come")
	}
	own.wrote(secret("c", "20"))
	if only.Create(event.CreateEvent{Object: secret("c", "20")}) {
		t.Error("what a reconcile created is seen as somebody else's")
	}
	own.wrote(secret("c", "21"))
	if !only.Delete(event.DeleteEvent{Object: secret("c", "21")}) {
		t.Error("a deletion goes unseen")
	}
	if len(own.versions) != 0 {
		t.Errorf("%d writes are remembered for good", len(own.versions))
	}
}
