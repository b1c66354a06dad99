package facts

import (
	"fmt"

	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
)

// Failure is why no token can be had: a condition's reason and message.
type Failure struct{ Reason, Message string }

// InSecret names the Secret that holds an account's credentials, for the end of a sentence.
func InSecret(account *v1alpha1.MarketplaceAccount) string {
	switch spec := account.Spec.Grant; {
	case spec.Password != nil:
		return fmt.Sprintf(" (Secret %q)", spec.Password.SecretRef.Name)
	case spec.RefreshToken != nil:
		return fmt.Sprintf(" (Secret %q)", spec.RefreshToken.SecretRef.Name)
	}
	return ""
}

// InApplicationSecret names the place of an account's application, for the end of a phrase: its Secret, or the Marketplace that shares one.
func InApplicationSecret(account *v1alpha1.MarketplaceAccount) string {
	if name := account.Spec.ApplicationSecretRef.Name; name != "" {
		return fmt.Sprintf(" in Secret %q", name)
	}
	return fmt.Sprintf(" in the application of Marketplace %q", account.Spec.MarketplaceRef.Name)
}

// HowToRenewGrant says how a new grant comes.
func (f *Facts) HowToRenewGrant() string {
	if f.SignsIn() {
		return "a person signs in again"
	}
	return "a new one is supplied" + InSecret(f.Account)
}
