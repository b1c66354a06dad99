// Package custodykey holds the key with which the operator authenticates grant Secrets, and knows the grant Secrets that count as authentic
// without it: they existed when the key was made, or when an admin vouched for them.
//
// The key lies in one Secret of the operator's namespace, where no tenant may write. A grant Secret existed at a moment if its
// resourceVersion, given by the API server, is less than the one that the key's Secret had then. A later write has a greater
// one, however its text is dated. The package judges documents; package facts draws the conclusions.
package custodykey
