// Package recorded acts as platforms of which exchanges are written down: a request that fits one gets its answer. What differs from visit to
// visit is no part of the fit: credentials, codes and tokens are those of the demo, and moments count from now.
//
// It knows nothing of any platform beyond the files, and adds nothing to what they say but what must hold between requests: the application's
// credentials, which refresh tokens are spent, and which access tokens were issued.
package recorded
