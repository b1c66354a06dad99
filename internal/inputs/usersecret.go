package inputs

import (
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/tokensecret"
	"github.com/tokenkeeper/tokenkeeper/internal/usersecrets"
)

// namedSecret is a Secret that a user wrote, with the field that names it and the use that it is named for.
type namedSecret struct {
	key client.ObjectKey
	// field begins what people are told.
	field string
	use   tokensecret.Uses
}

// failure is why the Secret that was read cannot be used; its error is the API server's.
func (n namedSecret) failure(secret *usersecrets.Secret, err error) (*facts.Failure, error) {
	refused, isRefused := errors.AsType[*usersecrets.UseError](err)
	switch {
	case isRefused:
		return n.invalid(fmt.Errorf("Secret %q is not used before its label allows it: %s", n.key.Name, n.labelCommand(refused.Allowed))), nil
	case errors.Is(err, usersecrets.ErrNotFound):
		return &facts.Failure{Reason: v1alpha1.ReasonSecretNotFound,
			Message: fmt.Sprintf("%s: Secret %q does not exist in namespace %q; create it", n.field, n.key.Name, n.key.Namespace)}, nil
	case errors.Is(err, usersecrets.ErrForbidden):
		return &facts.Failure{Reason: v1alpha1.ReasonSecretNotFound, Message: fmt.Sprintf("%s: the operator may not read Secret %q in namespace %q, "+
			"which it does not watch; give it a Role to get this Secret", n.field, n.key.Name, n.key.Namespace)}, nil
	case errors.Is(err, usersecrets.ErrOfOperator):
		return n.invalid(fmt.Errorf("Secret %q is made by tokenkeeper for an account, and is no credential; name a Secret that somebody has written", n.key.Name)), nil
	case err != nil:
		return nil, err
	case secret.Invalid != nil:
		return n.invalid(secret.Invalid), nil
	}
	return nil, nil
}

func (n namedSecret) invalid(err error) *facts.Failure {
	return &facts.Failure{Reason: v1alpha1.ReasonSecretInvalid, Message: n.field + ": " + err.Error()}
}

// unlabelled lists the Secret if its label does not allow the use, so that --require-use-label would refuse it.
func (n namedSecret) unlabelled(secret *usersecrets.Secret) []facts.UnlabelledSecret {
	if secret.Allowed.Allows(n.use) {
		return nil
	}
	return []facts.UnlabelledSecret{{Name: n.key.Name, Message: fmt.Sprintf("%s: Secret %q is used although its label does not allow it, which --require-use-label would refuse: %s",
		n.field, n.key.Name, n.labelCommand(secret.Allowed))}}
}

// labelCommand is the command that lets the Secret be used so, beside what its label allows already.
func (n namedSecret) labelCommand(allowed tokensecret.Uses) string {
	overwrite := ""
	if allowed.Labelled() {
		overwrite = " --overwrite"
	}
	return fmt.Sprintf("kubectl -n %s label secret %s %s=%s%s", n.key.Namespace, n.key.Name, v1alpha1.LabelUse, allowed.With(n.use), overwrite)
}
