package grantstore

import (
	"errors"
	"net"
	"slices"
	"syscall"
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
	const lost = "lost"
	var told []string
	own.OnForeign = func(secret client.Object, doubtful bool) {
		version := secret.GetName() + "@" + secret.GetResourceVersion()
		if doubtful {
			version += " in doubt"
		}
		told = append(told, version)
	}
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
			switch version {
			case "":
				return errors.New("refused")
			case lost:
				return &net.OpError{Op: "read", Err: syscall.ECONNRESET}
			}
			written.ResourceVersion = version
			return nil
		}); (err == nil) != (version != "" && version != lost) {
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

	// The answer is lost, and the write may have made a version all the same.
	wrote("e", lost)
	if updated("e", "40") {
		t.Error("what a reconcile may have written is told at once")
	}
	tells("e@40 in doubt")
	if !updated("e", "41") {
		t.Error("what others write after it goes unseen")
	}
	wrote("e", lost, "42")
	tells("e@42 in doubt")
	wrote("e", lost)
	wrote("e", "44", "43")
	if updated("e", "43") || updated("e", "44") || !updated("e", "45") {
		t.Error("what a reconcile wrote after it is seen as somebody else's, or what others wrote is not")
	}
	wrote("e", "46")
	wrote("e", lost)
	if updated("e", "46") || updated("e", "47") {
		t.Error("what a reconcile wrote before it, or may have written, is told at once")
	}
	tells("e@47 in doubt")
	wrote("e", lost)
	wrote("e", "", "48")
	tells("e@48")
	wrote("e", lost)
	if only.Create(event.CreateEvent{Object: secret("e", "49")}) {
		t.Error("what a reconcile may have created is told at once")
	}
	tells("e@49 in doubt")
	wrote("e", lost)
	if !only.Delete(event.DeleteEvent{Object: secret("e", "50")}) || !only.Create(event.CreateEvent{Object: secret("e", "51")}) {
		t.Error("a deletion after it, or what others create then, goes unseen")
	}
	var unheard OwnWrites // nobody listens yet
	if err := unheard.Write(secret("f", "1"), func() error { return &net.OpError{Op: "read", Err: syscall.ECONNRESET} }); err == nil || unheard.letThrough(secret("f", "2")) {
		t.Error("what a reconcile may have written is told at once")
	}
	tells()
	if len(own.writes) != 0 {
		t.Errorf("%d writes are remembered for good", len(own.writes))
	}
}
