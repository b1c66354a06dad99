// Package recorded acts as platforms of which exchanges are written down: a request that fits one gets its answer. Values that differ from visit to
// visit are no part of the fit: credentials, codes and tokens are the demo's own, and moments count from now.
//
// It knows nothing of any platform beyond the files, and adds nothing to them but the state between requests: the application's
// credentials, the refresh tokens that are spent, and the access tokens that were issued.
package recorded
