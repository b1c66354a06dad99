package controller

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// unwritable is the trouble with a Secret that the API server does not let the operator write. Its text is not
// passed on: it may quote what was to be written.
func unwritable(name string, err error) *lifecycle.Failure {
	reason := apierrors.ReasonForError(err)
	switch reason {
	case metav1.StatusReasonForbidden, metav1.StatusReasonInvalid, metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonBadRequest:
		return &lifecycle.Failure{Reason: v1alpha1.ReasonSecretConflict, Message: fmt.Sprintf("Secret %q cannot be written, the API server says %s: look for a quota, "+
			"a policy or webhook, missing rights, an immutable Secret or a type with keys of its own", name, reason)}
	}
	return nil // it passes
}
