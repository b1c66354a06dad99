package tokensecret

import (
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Uses are what a Secret may be used as, by its label tokenkeeper.dev/use. The zero value is that of a Secret without the label.
//
// Who may write accounts need not be one who may read Secrets: without the label, an account could have any password of its namespace sent to a
// marketplace.
type Uses uint8

// The uses, and what Allows takes for a Secret that needs no label: a Marketplace names it, which a cluster admin has written.
const (
	UseApplication Uses = 1 << iota
	UseLogin
	UseRefreshToken
	labelled // there is a label, whatever it says

	UseOfMarketplace Uses = 0
)

// useNames are the words of the label, in the order in which it is written.
var useNames = []struct {
	use  Uses
	name string
}{
	{UseApplication, v1alpha1.UseApplication}, {UseLogin, v1alpha1.UseLogin}, {UseRefreshToken, v1alpha1.UseRefreshToken},
}

// UsesOf reads the label. Words that are no use are none.
func UsesOf(labels map[string]string) Uses {
	value, ok := labels[v1alpha1.LabelUse]
	if !ok {
		return 0
	}
	uses := labelled
	for word := range strings.SplitSeq(value, v1alpha1.UseSeparator) {
		for _, known := range useNames {
			if word == known.name {
				uses |= known.use
			}
		}
	}
	return uses
}

// Labelled tells whether there is a label.
func (u Uses) Labelled() bool { return u&labelled != 0 }

// Allows tells whether the label allows all of these uses.
func (u Uses) Allows(uses Uses) bool { return u&uses == uses }

// With is the label that allows another use as well.
func (u Uses) With(use Uses) Uses { return u | use | labelled }

// String is the value of the label.
func (u Uses) String() string {
	var words []string
	for _, known := range useNames {
		if u&known.use != 0 {
			words = append(words, known.name)
		}
	}
	return strings.Join(words, v1alpha1.UseSeparator)
}

// Label is the label by itself; nil where there is none.
func (u Uses) Label() map[string]string {
	if !u.Labelled() {
		return nil
	}
	return map[string]string{v1alpha1.LabelUse: u.String()}
}

// IsMadeByOperator tells whether a Secret, whole or by its metadata alone, is one that the operator makes, of whichever account. The authors of
// accounts decide what it holds, so that it is no credential.
func IsMadeByOperator(secret metav1.Object) bool {
	account, _ := ControllingAccount(secret)
	labels := secret.GetLabels()
	return account != "" || labels[v1alpha1.LabelManagedBy] == v1alpha1.ManagedBy && labels[v1alpha1.LabelAccount] != ""
}
