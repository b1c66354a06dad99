// Package openid discovers OpenID Connect issuers and verifies ID tokens by the keys that the issuers publish.
package openid
