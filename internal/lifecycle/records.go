package lifecycle

import (
	"github.com/tokenkeeper/tokenkeeper/api/v1alpha1"
	"github.com/tokenkeeper/tokenkeeper/internal/bounds"
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/facts"
	"github.com/tokenkeeper/tokenkeeper/internal/reasons"
)

// A refusal stands while the operator would send the refused parts again. Whether it would is told by the content of the parts, and not by versions: a label
// on a Secret, or an edit of the spec or the Marketplace that changes no request, makes a new version of the same content.

// withKey gives a custody the key of its digests, where it has none yet; false where none could be drawn.
func withKey(f facts.Facts, kept custody.Custody) (custody.Custody, bool) {
	if len(kept.RefusalKey) == 0 {
		kept.RefusalKey = f.NewKey
	}
	return kept, len(kept.RefusalKey) > 0
}

// withSecrets records which of the two client secrets was accepted, so that it goes first from now on. The pair of which the first was refused is kept by
// digest, or by version where that has to do.
func withSecrets(f facts.Facts, kept custody.Custody, byPrevious bool) custody.Custody {
	if kept.PreviousSecretOf = ""; !byPrevious {
		return kept
	}
	kept.PreviousSecretOf = f.Request.Inputs.Application
	if f.Request.Shared {
		return kept
	}
	if keyed, ok := withKey(f, kept); ok {
		kept = keyed
		kept.PreviousSecretOf = kept.RefusalDigest(f.Request.SecretParts())
	}
	return kept
}

// withSecretDate keeps since when the client secret has its value, where the platform ends client secrets.
func withSecretDate(f facts.Facts, kept custody.Custody) custody.Custody {
	if f.Request.Platform.ApplicationSecretLifetime <= 0 {
		return kept
	}
	since := &custody.Since{Of: f.Request.Inputs.Application, At: f.ClientSecretSince()}
	if !f.Request.Shared {
		if keyed, ok := withKey(f, kept); ok {
			kept = keyed
			since.Of = kept.RefusalDigest(f.Request.ClientSecretParts())
		}
	}
	kept.ClientSecret = since
	return kept
}

// withLogin records that the login has brought tokens, which forgets all that was in doubt before.
func withLogin(f facts.Facts, kept custody.Custody) custody.Custody {
	if !f.Request.LogsIn() {
		return kept
	}
	if keyed, ok := withKey(f, kept); ok {
		kept = keyed
		kept.Logins = custody.Logins{Worked: kept.RefusalDigest(f.Request.PasswordParts())}
	}
	return kept
}

// refusal is the record of a refusal of these parts, which goes on from an earlier one, and the custody with its key. Where no
// key can be drawn it is kept by versions.
func refusal(f facts.Facts, kept custody.Custody, why facts.Failure, parts []string, earlier *custody.Refusal) (custody.Custody, *custody.Refusal) {
	refused := custody.Refusal{Reason: why.Reason, Message: bounds.Shorten(why.Message, bounds.Message), At: f.Now, Inputs: f.Request.Inputs}
	kept, keyed := withKey(f, kept)
	if keyed {
		refused = refused.WithDigest(kept.RefusalDigest(parts), earlier)
	}
	return kept, &refused
}

// WithSignInRefused records why a sign-in brought nothing.
func WithSignInRefused(f facts.Facts, kept custody.Custody, why facts.Failure) custody.Custody {
	kept, refused := refusal(f, kept, why, f.SignInParts(why.Reason), nil)
	kept.SignIn.Refused = refused
	return kept
}

// withoutEarlierSignIn forgets why an earlier sign-in brought nothing, where the grant in use ends now: that end is why a sign-in is needed. What has to be changed
// before any sign-in succeeds stays.
func withoutEarlierSignIn(f facts.Facts, kept custody.Custody, ends bool) custody.Custody {
	if was := kept.SignIn.Refused; was != nil && ends && !f.NeedsNewGrant() && reasons.Of(was.Reason).Cure != reasons.Change {
		kept.SignIn.Refused = nil
	}
	return kept
}

// withHandledRenew records that the request for a renewal was acted on.
func withHandledRenew(f facts.Facts, kept custody.Custody) custody.Custody {
	kept.HandledRenew = facts.RequestOf(f.Account, v1alpha1.AnnotationRenew)
	return kept
}
