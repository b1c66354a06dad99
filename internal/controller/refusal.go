package controller

import (
	"github.com/tokenkeeper/tokenkeeper/internal/custody"
	"github.com/tokenkeeper/tokenkeeper/internal/lifecycle"
)

// A refusal stands while the operator would send again what was refused. That is told by the content: tools that label Secrets, and
// edits of the spec or the Marketplace that change no request, make new versions of the same.

// keyRefusals draws the key under which refusals are digested, where there is none yet.
func (s *store) keyRefusals(kept *custody.Custody) error {
	keyed, err := kept.WithRefusalKey(s.Random)
	*kept = keyed
	return err
}

// clientSecrets tells one pair of client secrets from another: by digest, or by version where that has to do.
func (s *store) clientSecrets(kept *custody.Custody) string {
	if s.found.Request.Shared || s.keyRefusals(kept) != nil {
		return s.found.Request.Inputs.Application
	}
	return kept.RefusalDigest(s.found.Request.SecretParts())
}

// dateClientSecret keeps since when the client secret is what it is, where the platform ends client secrets.
func (s *store) dateClientSecret(kept *custody.Custody) {
	v := s.found.Facts
	if v.Request.Platform.ApplicationSecretLifetime <= 0 {
		return
	}
	since := &custody.Since{Of: v.Request.Inputs.Application, At: v.ClientSecretSince()}
	if !v.Request.Shared && s.keyRefusals(kept) == nil {
		since.Of = kept.RefusalDigest(v.Request.ClientSecretParts())
	}
	kept.ClientSecret = since
}

// refusal is the record of a refusal of these parts, which goes on from an earlier one. Where no key can be drawn it is kept by
// versions.
func (s *store) refusal(kept *custody.Custody, why lifecycle.Failure, parts []string, earlier *custody.Refusal) *custody.Refusal {
	refused := &custody.Refusal{Reason: why.Reason, Message: why.Message, At: s.found.Now, Inputs: s.found.Request.Inputs}
	if s.keyRefusals(kept) == nil {
		*refused = refused.WithDigest(kept.RefusalDigest(parts), earlier)
	}
	return refused
}

// signInRefusal is the record of a sign-in that brought nothing.
func (s *store) signInRefusal(kept *custody.Custody, why lifecycle.Failure) *custody.Refusal {
	return s.refusal(kept, why, s.found.SignInParts(why.Reason), nil)
}
